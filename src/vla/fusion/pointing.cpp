#include "vlalign/vla/fusion/pointing.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/softmax.h>

#include <cmath>
#include <limits>

#include "core/check.hpp"
#include "nn/grid_positions.hpp"
#include "vla/check_shape.hpp"
#include "vlalign/core/normalize.hpp"
#include "vlalign/vla/fusion/spatial_softmax.hpp"

namespace vlalign::vla {

namespace {

/// [..., N] as a map [..., S, S]. Throws Error when N is no square.
Tensor as_map(const Tensor& mass) {
  const auto count = mass.size(-1);
  const auto side = nn::grid_side(count);
  check(side.has_value(), "[Pointing] {} places are no square grid", count);
  return mass.unflatten(-1, {*side, *side});
}

/// sum_l softmax_l(u_k . w_l) w_l for each row u_k of the weights: [B, K, W].
Tensor weighted_means(const nn::Linear& weights, const Tensor& words, const Tensor& mask) {
  auto scores = weights.forward(words).transpose(1, 2);  // [B, K, L]
  if (mask.defined()) scores = scores.masked_fill(~mask.unsqueeze(1), -std::numeric_limits<float>::infinity());
  return at::softmax(scores, -1).matmul(words);
}

}  // namespace

Pointing::Pointing(const FusionSizes& sizes, const Options& options, nn::Initializer& initializer)
    : Fusion("Pointing", sizes, {.visual_tokens = true, .text_tokens = true, .joint = true}, initializer) {
  check_size(options.pointers, "Pointing", "pointers");
  check_size(options.found, "Pointing", "found");
  check_size(options.hidden, "Pointing", "hidden");
  constexpr std::int64_t most_joined = 1 << 18;
  check(options.pointers * (options.found + sizes.text_tokens) <= most_joined,
        "[Pointing] pointers: expected {} numbers from all of them at most, got {} times {} + {}", most_joined,
        options.pointers, options.found, sizes.text_tokens);
  check(options.scale > 0 && std::isfinite(options.scale), "[Pointing] scale: expected more than 0 and finite, got {}",
        options.scale);
  const nn::Linear::Options without_bias{.bias = false, .standard_deviation = {}};
  const auto weights = [&](const char* name, std::int64_t in) {
    return register_module(name, std::make_shared<nn::Linear>(in, options.pointers, without_bias, initializer));
  };
  word_weights = weights("word_weights", sizes.joint);
  read_weights = weights("read_weights", sizes.text_tokens);
  {
    // Pointers that began alike would stay alike: only the first is the plain mean.
    const at::NoGradGuard no_graph;
    word_weights->weight.select(0, 0).zero_();
  }
  log_scale = register_parameter("log_scale", at::full({options.pointers}, std::log(options.scale)));
  const auto linear = [&](const char* name, std::int64_t in, std::int64_t out) {
    return register_module(name, std::make_shared<nn::Linear>(in, out, nn::Linear::Options{}, initializer));
  };
  found_proj = linear("found_proj", sizes.visual_tokens, options.found);
  read_proj = linear("read_proj", options.pointers * sizes.text_tokens, sizes.width);
  const auto joined = options.pointers * (options.found + 2) + sizes.width;
  mlp = register_module("mlp", std::make_shared<nn::FeedForward>(joined, options.hidden, sizes.width, initializer));
}

Tensor Pointing::read(const Tensor& unit_words, const Tensor& mask) const {
  check_shape(unit_words, {any, any, sizes().joint}, "Pointing", "words");
  if (mask.defined() && (mask.scalar_type() != at::kBool || !mask.sizes().equals(unit_words.sizes().slice(0, 2))))
    fail("[Pointing] mask: expected bool {}, got {} {}", unit_words.sizes().slice(0, 2),
         c10::toString(mask.scalar_type()), mask.sizes());
  return weighted_means(*word_weights, unit_words * std::sqrt(static_cast<double>(unit_words.size(2))), mask);
}

Tensor Pointing::maps(const Tensor& visual, const Tensor& read) const {
  check_shape(visual, {any, any, sizes().joint}, "Pointing", "visual");
  check_shape(read, {visual.size(0), log_scale.size(0), sizes().joint}, "Pointing", "read");
  return at::softmax(l2_normalize(read).matmul(visual.transpose(1, 2)) * log_scale.exp().unsqueeze(-1), -1);
}

Tensor Pointing::fuse(const FusionInput& input) const {
  const auto mass = maps(input.joint_visual, read(input.joint_words, input.text_mask));
  const auto told = weighted_means(*read_weights, input.text_tokens, input.text_mask);
  const auto found = mass.to(input.visual_tokens.scalar_type()).matmul(found_proj->forward(input.visual_tokens));
  const auto dtype = found.scalar_type();
  const auto joined = at::cat({found.flatten(1), expected_place(as_map(mass)).flatten(1).to(dtype),
                               read_proj->forward(told.flatten(1)).to(dtype)},
                              1);
  return with_state(mlp->forward(joined).unsqueeze(1), input);
}

}  // namespace vlalign::vla
