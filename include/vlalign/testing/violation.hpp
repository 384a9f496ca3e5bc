#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign::kit {

/// What a contrastive loss should do. <vlalign/testing/loss_properties.hpp> makes a GoogleTest of each.
enum class Property {
  purity,             ///< twice the same bits for the same batch, with and without a graph; the batch stays as it is
  gradients,          ///< of all embeddings, scale and bias equal finite differences; kinks are left out
  descent,            ///< some small step against the embeddings' gradient lowers it
  pair_order,         ///< a permutation of the pairs changes nothing
  modality_symmetry,  ///< exchanging images and texts changes nothing
  rotation,           ///< an orthogonal map of the joint space changes nothing
  unit_length,        ///< rows that aren't unit count as if they were, or throw Error
  padding,            ///< features of tokens that the mask hides change nothing, nor does hiding none
  custom_targets,     ///< groups and soft targets mean what ContrastiveBatch says
  perfect_alignment,  ///< equal images and texts score no worse than any permutation of the texts
  scale_sharpens,     ///< a larger logit scale never raises it for a perfect, orthonormal batch
  batch_growth,       ///< more identical pairs never lower it
  lower_bound,        ///< it stays above LossClaims::lower_bound, also after descending
  edges,              ///< finite with its gradients in float32 for zero, equal and opposite embeddings at scale 100
  bfloat16,           ///< bfloat16 embeddings give float32's value: logits aren't rounded
  micro_batches,      ///< backward_in_pieces gives the whole batch's value and gradients
  other_texts,        ///< where the loss has over_other_texts(), parts with what the others' texts add are the whole
  processes,          ///< the mean over processes, each with rows of its own, has the whole batch's value and gradients
  cuda,               ///< a batch on a GPU gives the CPU's value and gradients; skipped where there is none
};

/// All of them, in that order.
VLALIGN_EXPORT std::span<const Property> all_properties();

/// As a sentence without spaces, e.g. "GradientsEqualFiniteDifferences".
VLALIGN_EXPORT std::string_view to_string(Property property);

/// How far off a loss may be. Every difference is measured against 1 + the size of what was expected.
namespace tolerance {
inline constexpr double rounding = 1e-9;           ///< two ways to the same number, in float64
inline constexpr double finite_difference = 1e-5;  ///< of a gradient, in float64 with steps of 1e-5 and less
inline constexpr double bfloat16 = 1e-4;           ///< bfloat16 against the same numbers in float32
inline constexpr double float32 = 1e-4;            ///< two ways to the same number, in float32
}  // namespace tolerance

/// A property that a loss isn't meant to have.
struct Declined {
  Property property;
  std::string reason;
};

/// What a loss promises beside being one.
struct LossClaims {
  std::optional<double> lower_bound{};
  std::int64_t smallest_batch = 1;  ///< smaller batches must throw Error
  std::vector<Declined> declined{};
};

/// The smallest batch found for which a loss lacks a property.
struct Violation {
  Property property;
  std::int64_t batch_size = 0;
  std::int64_t dim = 0;
  std::uint64_t seed = 0;
  std::string message;  ///< all of it for people: what was expected, by how much it is off, what the batch is
};

/// Looks for a violation among batches from 1 pair upward, made from fixed seeds, with the parts that the loss uses.
/// nullopt: none was found. Anything the loss throws where it should not is a violation too. Takes no account of
/// claims.declined.
VLALIGN_EXPORT std::optional<Violation> find_violation(Property property, const AnyLoss& loss,
                                                       const LossClaims& claims = {});

/// Why a property isn't to be tested, because it is declined or can't apply to what the loss uses; nullopt: it is.
VLALIGN_EXPORT std::optional<std::string> reason_to_skip(Property property, const AnyLoss& loss,
                                                         const LossClaims& claims = {});

}  // namespace vlalign::kit
