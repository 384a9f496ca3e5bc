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
#include "vlalign/loss/liv.hpp"
#include "vlalign/loss/semi_hard_triplet.hpp"
#include "vlalign/loss/sigmoid.hpp"
#include "vlalign/loss/simclr.hpp"
#include "vlalign/loss/temperature_free.hpp"
#include "vlalign/loss/time_contrastive.hpp"
#include "vlalign/loss/vip.hpp"
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
      {"vip", VIP()},
      {"liv", LIV()},
      {"r3m", TimeContrastive()},
  };
  return all;
}

const AnyLoss& find(std::string_view name) {
  for (const auto& entry : known())
    if (entry.name == name) return entry.loss;
  fail("unknown loss \"{}\": there are {}", name, fmt::join(loss_names(), ", "));
}

/// What stands between the places of `text` at which `mark` stands outside brackets, and is no exponent's sign.
std::vector<std::string_view> split(std::string_view text, char mark) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    depth += text[i] == '(' ? 1 : text[i] == ')' ? -1 : 0;
    const bool exponent = i >= 2 && text[i - 1] == 'e' && text[i - 2] >= '0' && text[i - 2] <= '9';
    if (text[i] != mark || depth > 0 || exponent) continue;
    parts.push_back(text.substr(begin, i - begin));
    begin = i + 1;
  }
  parts.push_back(text.substr(begin));
  return parts;
}

/// "0.25", or "0:0.5@0.1:0.3", from 0 to 0.5 between a tenth and three tenths of the run.
Weight parse_weight(std::string_view text, std::string_view term) {
  const auto bad = [&] {
    return fmt::format("loss term \"{}\": expected a number before *, e.g. 0.5*cyclip, or from:to@begin:end", term);
  };
  const auto number = [&](std::string_view digits) {
    double value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    check(error == std::errc() && end == digits.data() + digits.size(), "{}", bad());
    return value;
  };
  const auto halves = split(text, '@');
  if (halves.size() == 1) return {number(text)};
  const auto weights = split(halves[0], ':'), shares = split(halves[1], ':');
  check(halves.size() == 2 && weights.size() == 2 && shares.size() == 2, "{}", bad());
  return {number(weights[0]), number(weights[1]), number(shares[0]), number(shares[1])};
}

AnyLoss parse_sum(std::string_view text, int depth);

/// A name, or a sum in brackets.
AnyLoss parse_summand(std::string_view text, int depth) {
  constexpr int deepest = 16;
  if (!text.starts_with('(') || !text.ends_with(')')) return find(text);
  check(depth < deepest, "loss: expected at most {} brackets in each other", deepest);
  return parse_sum(text.substr(1, text.size() - 2), depth + 1);
}

/// "0.25*cyclip" or "cyclip".
WeightedSum::Term parse_term(std::string_view text, int depth) {
  const auto parts = split(text, '*');
  if (parts.size() == 1) return {parse_summand(text, depth)};
  const auto weight = text.substr(0, parts[0].size());
  return {parse_summand(text.substr(weight.size() + 1), depth), parse_weight(weight, text)};
}

AnyLoss parse_sum(std::string_view text, int depth) {
  std::vector<WeightedSum::Term> terms;
  for (const auto part : split(text, '+')) terms.push_back(parse_term(part, depth));
  const auto counts = [](const auto& term) { return term.weight.from != 0 || term.weight.to != 0; };
  check(std::any_of(terms.begin(), terms.end(), counts), "loss \"{}\": every weight is 0", text);
  const auto& [loss, weight] = terms.front();
  if (terms.size() == 1 && weight.from == 1.0 && weight.to == 1.0) return loss;
  return WeightedSum(std::move(terms));
}

}  // namespace

std::vector<std::string> loss_names() {
  std::vector<std::string> names;
  for (const auto& entry : known()) names.emplace_back(entry.name);
  return names;
}

AnyLoss make_loss(std::string_view text) { return parse_sum(text, 0); }

}  // namespace vlalign
