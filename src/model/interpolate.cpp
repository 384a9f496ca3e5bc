#include "vlalign/model/interpolate.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/lerp.h>

#include "config/config_fields.hpp"
#include "core/check.hpp"
#include "model/make_module.hpp"
#include "model/peers/coca_decoder.hpp"
#include "model/peers/peer_names.hpp"
#include "nn/finite_weights.hpp"

namespace vlalign {
namespace {

/// Under our own names, adapters merged.
NamedTensors tensors_of(const DualEncoder& model) {
  return peer_tensors(*model.module(), /*schemes=*/{}, merged_weights(*model.module()));
}

/// What decides the result beside the tensors and is easily mixed up (OpenAI's weights want quick_gelu).
std::pair<Activation, Activation> activations_of(const ModelConfig& config) {
  const auto* vit = std::get_if<VitConfig>(&config.vision);
  return {vit ? vit->activation : Activation::gelu, config.text.activation};
}

/// Between the models' text decoders; a's where b has none.
void interpolate_decoder(DualEncoder& result, const DualEncoder& a, const DualEncoder& b, double alpha) {
  auto between = a.decoder();
  if (!between.empty() && !b.decoder().empty()) {
    check_same_decoder(between, b.decoder(), "[interpolate] b beside a");
    for (auto& [name, tensor] : between) tensor = at::lerp(tensor, b.decoder().at(name).to(tensor.options()), alpha);
  }
  result.keep_decoder(a.config().decoder, std::move(between));
}

}  // namespace

DualEncoder interpolate(const DualEncoder& a, const DualEncoder& b, double alpha) {
  check(alpha >= 0 && alpha <= 1, "[interpolate] alpha: expected 0 to 1, got {}", alpha);
  check(activations_of(a.config()) == activations_of(b.config()),
        "[interpolate] the models' activations differ: one is no fine-tuned version of the other");
  DualEncoder result(make_module(a.config(), 0), a.config(), a.tokenizer());
  result.to(a.device());
  result.train(false);
  const auto results = tensors_of(result), first = tensors_of(a);
  assign_tensors(results, tensors_of(b), "[interpolate] b beside a");
  check_finite(*a.module(), "[interpolate] a");
  const auto differs = first_difference(computation_of(a.config()), computation_of(b.config()));
  if (differs)
    fail("[interpolate] {} is {} in a and {} in b: one is no fine-tuned version of the other", differs->name,
         differs->a, differs->b);
  at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : results) {
    const auto& from = first.at(name);
    if (tensor.is_floating_point()) {
      tensor.copy_(at::lerp(from, tensor, alpha));
    } else if (alpha < 0.5) {
      tensor.copy_(from);
    }
  }
  interpolate_decoder(result, a, b, alpha);
  return result;
}

}  // namespace vlalign
