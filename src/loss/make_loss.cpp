#include "vlalign/loss/make_loss.hpp"

#include <algorithm>
#include <charconv>

#include "core/check.hpp"
#include "vlalign/loss/affinity_distillation.hpp"
#include "vlalign/loss/alignment_uniformity.hpp"
#include "vlalign/loss/cloob.hpp"
#include "vlalign/loss/cyclic_consistency.hpp"
#include "vlalign/loss/decoupled_info_nce.hpp"
#include "vlalign/loss/feature_distillation.hpp"
#include "vlalign/loss/filip.hpp"
#include "vlalign/loss/hard_negative_info_nce.hpp"
#include "vlalign/loss/info_nce.hpp"
#include "vlalign/loss/interactive_contrast.hpp"
#include "vlalign/loss/semi_hard_triplet.hpp"
#include "vlalign/loss/sigmoid.hpp"
#include "vlalign/loss/simclr.hpp"
#include "vlalign/loss/temperature_free.hpp"
#include "vlalign/loss/weighted_sum.hpp"

namespace vlalign {
namespace {

struct NamedLoss {
  const char* name;
  AnyLoss loss;
};

const std::vector<NamedLoss>& known() {
  static const std::vector<NamedLoss> all{
      {"infonce", InfoNCE()},
      {"infonce_smoothed", InfoNCE({.label_smoothing = 0.1})},
      {"infonce_in", InfoNCE({.positives = Positives::log_of_mean})},
      {"dcl", DecoupledInfoNCE()},
      {"hcl", HardNegativeInfoNCE()},
      {"siglip", SigmoidLoss()},
      {"cloob", CLOOB()},
      {"cyclip", CyclicConsistency()},
      {"filip", FILIP()},
      {"simclr", SimCLR()},
      {"distill", AffinityDistillation()},
      {"feature_distill", FeatureDistillation()},
      {"interactive", InteractiveContrast()},
      {"triplet", SemiHardTriplet()},
      {"align_uniform", AlignmentUniformity()},
      {"temperature_free", TemperatureFree()},
  };
  return all;
}

const AnyLoss& find(std::string_view name) {
  for (const auto& entry : known())
    if (entry.name == name) return entry.loss;
  fail("unknown loss \"{}\": there are {}", name, fmt::join(loss_names(), ", "));
}

/// "0.25*cyclip" or "cyclip".
WeightedSum::Term parse_term(std::string_view text) {
  const auto star = text.find('*');
  if (star == std::string_view::npos) return {find(text)};
  double weight = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + star, weight);
  check(error == std::errc() && end == text.data() + star,
        "loss term \"{}\": expected a number before *, e.g. 0.5*cyclip", text);
  return {find(text.substr(star + 1)), {weight}};
}

}  // namespace

std::vector<std::string> loss_names() {
  std::vector<std::string> names;
  for (const auto& entry : known()) names.emplace_back(entry.name);
  return names;
}

AnyLoss make_loss(std::string_view text) {
  std::vector<WeightedSum::Term> terms;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find('+', begin), text.size());
    terms.push_back(parse_term(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  const auto counts = [](const auto& term) { return term.weight.from != 0; };
  check(std::any_of(terms.begin(), terms.end(), counts), "loss \"{}\": every weight is 0", text);
  if (terms.size() == 1 && terms.front().weight.from == 1.0) return terms.front().loss;
  return WeightedSum(std::move(terms));
}

}  // namespace vlalign
