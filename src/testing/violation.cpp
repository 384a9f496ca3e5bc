#include "vlalign/testing/violation.hpp"

#include <ATen/Context.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/check.hpp"
#include "testing/property_check.hpp"

namespace vlalign::kit {
namespace {

struct Entry {
  Property property;
  std::string_view name;
  std::optional<Violation> (*check)(const Subject&);
};

constexpr std::array entries{
    Entry{Property::purity, "GivesTheSameTwiceAndLeavesTheBatchAlone", check_purity},
    Entry{Property::gradients, "GradientsEqualFiniteDifferences", check_gradients},
    Entry{Property::descent, "AStepAgainstTheGradientLowersIt", check_descent},
    Entry{Property::pair_order, "TheOrderOfThePairsChangesNothing", check_pair_order},
    Entry{Property::modality_symmetry, "ExchangingImagesAndTextsChangesNothing", check_modality_symmetry},
    Entry{Property::rotation, "RotatingTheSpaceChangesNothing", check_rotation},
    Entry{Property::unit_length, "LengthsNeverLeakIn", check_unit_length},
    Entry{Property::padding, "PaddingChangesNothing", check_padding},
    Entry{Property::custom_targets, "TargetsMeanWhatTheySay", check_custom_targets},
    Entry{Property::perfect_alignment, "NoPermutationBeatsPerfectAlignment", check_perfect_alignment},
    Entry{Property::scale_sharpens, "ALargerScaleNeverHurtsAPerfectBatch", check_scale_sharpens},
    Entry{Property::batch_growth, "MoreIdenticalPairsNeverLowerIt", check_batch_growth},
    Entry{Property::lower_bound, "StaysAboveItsLowerBound", check_lower_bound},
    Entry{Property::edges, "IsFiniteAtTheEdges", check_edges},
    Entry{Property::bfloat16, "BFloat16EmbeddingsGiveTheValueOfFloat32", check_bfloat16},
    Entry{Property::micro_batches, "PiecesGiveTheGradientOfTheWhole", check_micro_batches},
    Entry{Property::processes, "ProcessesTogetherGiveTheWholeBatch", check_processes},
    Entry{Property::other_texts, "OtherTextsAddUp", check_other_texts},
    Entry{Property::cuda, "OnCudaItIsAsOnTheCpu", check_cuda},
};

constexpr auto properties = [] {
  std::array<Property, entries.size()> result{};
  std::ranges::transform(entries, result.begin(), &Entry::property);
  return result;
}();

const Entry& entry_of(Property property) {
  const auto* found = std::ranges::find(entries, property, &Entry::property);
  check(found != entries.end(), "[Property] expected one of all_properties(), got number {}",
        static_cast<int>(property));
  return *found;
}

/// With a larger one no batch would be tried, and no violation found.
void check_smallest_batch(const LossClaims& claims) {
  constexpr std::int64_t largest_tried = 8;
  check(claims.smallest_batch >= 1 && claims.smallest_batch <= largest_tried,
        "[find_violation] claims.smallest_batch: expected 1 to {}, the largest batch that is tried, got {}",
        largest_tried, claims.smallest_batch);
}

/// Why a property says nothing about losses that use what this one does; "" if it does.
std::string_view why_not_applicable(Property property, const BatchParts& uses, const LossClaims& claims) {
  switch (property) {
    case Property::modality_symmetry:
      if (uses.second_image) return "it uses a second image, which texts haven't";
      return uses.frames > 0 ? "it uses frames, which texts haven't" : "";
    case Property::padding:
      return uses.tokens ? "" : "it uses no tokens";
    case Property::custom_targets:
      return uses.groups || uses.soft_targets ? "" : "it uses no groups and no soft targets";
    case Property::lower_bound:
      return claims.lower_bound ? "" : "no lower bound is claimed";
    case Property::cuda:
      return at::hasCUDA() ? "" : "this machine has no CUDA GPU";
    default:
      return "";
  }
}

}  // namespace

std::span<const Property> all_properties() { return properties; }

std::string_view to_string(Property property) { return entry_of(property).name; }

std::optional<Violation> find_violation(Property property, const AnyLoss& loss, const LossClaims& claims) {
  check_smallest_batch(claims);
  if (!why_not_applicable(property, loss->uses(), claims).empty()) return {};
  return entry_of(property).check({property, *loss, claims});
}

std::optional<std::string> reason_to_skip(Property property, const AnyLoss& loss, const LossClaims& claims) {
  const auto declined = std::ranges::find(claims.declined, property, &Declined::property);
  if (declined != claims.declined.end()) return fmt::format("{}: declined: {}", loss->name(), declined->reason);
  const auto why = why_not_applicable(property, loss->uses(), claims);
  if (why.empty()) return {};
  return fmt::format("{}: does not apply: {}", loss->name(), why);
}

}  // namespace vlalign::kit
