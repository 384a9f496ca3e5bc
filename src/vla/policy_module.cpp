#include "vla/policy_module.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "core/check.hpp"
#include "nn/evaluation_mode.hpp"
#include "nn/grid_positions.hpp"
#include "vla/check_shape.hpp"
#include "vlalign/core/normalize.hpp"
#include "vlalign/nn/text_transformer.hpp"

namespace vlalign::vla {
namespace {

Tensor numbers(const std::vector<float>& given, std::int64_t count, float otherwise) {
  return given.empty() ? at::full({count}, otherwise) : at::tensor(given);
}

/// [B, ...] of a text that all B frames share.
Tensor for_all(const Tensor& x, std::int64_t batch) {
  if (!x.defined() || (x.dim() > 0 && x.size(0) == batch)) return x;
  check(x.dim() > 0 && x.size(0) == 1, "[Policy] instruction: expected 1 or {} rows, got {}", batch, x.sizes());
  auto shape = x.sizes().vec();
  shape[0] = batch;
  return x.expand(shape);
}

/// Where a square grid's tokens are, in waves from the first step: from zero a policy takes thousands of steps to tell
/// places apart. Zeros for tokens of another arrangement.
Tensor first_positions(std::int64_t places, std::int64_t width) {
  const auto side = nn::grid_side(places);
  return side && width % 4 == 0 ? nn::grid_positions(*side, width) : at::zeros({places, width});
}

constexpr double first_weight_scale = 20;
constexpr double lowest_weight = 1e-6;  // its logarithm is still a number

/// How much the words mean each place, [B, N]: N times the softmax over the places of scale times the cosine of the
/// mean word.
Tensor weights_of(const Tensor& visual, const Tensor& words, const Tensor& mask, const Tensor& log_scale) {
  const auto read = l2_normalize(mask.defined() ? nn::masked_mean(words, mask) : words.mean(1));
  const auto cosines = visual.matmul(read.unsqueeze(-1)).squeeze(-1);
  return (at::softmax(cosines * log_scale.exp(), 1) * cosines.size(1)).clamp_min(lowest_weight);
}

std::int64_t width_of(const Tensor& hidden) { return hidden.size(hidden.dim() == 3 ? 2 : 1); }

}  // namespace

namespace {

/// Channels that the second tower adds, 0 without one.
std::int64_t second_width(const PolicyConfig& config, const Preprocess& encoder, const Tensor& tokens) {
  if (!config.second_tower) return 0;
  check(tokens.defined(), "[Policy] second_tower: the encoder's image tower gives no patch tokens to join its own to");
  const auto side = encoder.image_size;
  const auto second = SecondView(*config.second_tower, config.second_layer, encoder)
                          .forward(at::zeros({1, 3, side, side}, tokens.options().dtype(at::kFloat)), at::kFloat);
  check(
      second.size(1) == tokens.size(1),
      "[Policy] second_tower: sees {} places in {} px, the encoder's {}: load it in the image size that gives as many",
      second.size(1), config.second_tower->config().preprocess.image_size, tokens.size(1));
  return second.size(2);
}

}  // namespace

TowerWidths tower_widths(const DualEncoder& encoder, const PolicyConfig& config) {
  const std::span<const std::int64_t> layers = config.maps;
  auto& module = *encoder.module();
  const at::NoGradGuard no_graph;
  const nn::EvaluationMode evaluating(module);  // no statistics move
  const auto side = encoder.config().preprocess.image_size;
  const bool has_layers = !module.visual->layer_widths().empty();
  const auto image =
      encoder.image_features(at::zeros({1, 3, side, side}, at::kByte), has_layers ? layers : layers.first(0));
  const auto text = encoder.text_features(at::full({1, 2}, encoder.tokenizer()->end_id(), at::kLong));
  const auto tokens = vlalign::places(image);
  TowerWidths widths{.visual_tokens = tokens.defined() ? tokens.size(2) : 0,
                     .places = tokens.defined() ? tokens.size(1) : 0,
                     .text_tokens = text.tokens.defined() ? text.tokens.size(2) : 0,
                     .embedding = image.embedding.size(1),
                     .second = second_width(config, encoder.config().preprocess, tokens),
                     .joint = 0,
                     .maps = {}};
  if (widths.visual_tokens == module.visual->width() && widths.text_tokens == module.text->width())
    widths.joint = widths.embedding;
  for (const auto& hidden : image.hidden) widths.maps.push_back(width_of(hidden));
  return widths;
}

PolicyModule::PolicyModule(const DualEncoder& towers, std::shared_ptr<Fusion> fuse, std::shared_ptr<ActionHead> act,
                           const PolicyConfig& config, const TowerWidths& widths, nn::Initializer& initializer)
    : map_layers_(config.maps), embedding_(widths.embedding) {
  encoder = register_module("encoder", towers.module());
  fusion = register_module("fusion", std::move(fuse));
  head = register_module("head", std::move(act));
  const auto& needs = fusion->needs();
  const bool takes_weights = needs.visual_tokens ? !needs.joint
                             : needs.maps        ? nn::grid_side(widths.places).has_value()
                                                 : needs.pooled_visual;
  if (config.weighted && takes_weights && widths.joint > 0)
    weight_log_scale = register_parameter("weight_log_scale", at::full({}, std::log(first_weight_scale)));
  if (!config.film.empty())
    film =
        register_module("film", std::make_shared<Film>(*encoder->visual, config.film, widths.embedding, initializer));
  const bool reads_tokens = needs.visual_tokens || (needs.pooled_visual && weight_log_scale.defined());
  if (reads_tokens)
    positions = register_parameter("positions", first_positions(widths.places, widths.visual_tokens + widths.second));
  if (config.second_tower) {
    check(reads_tokens, "[Policy] second_tower: the fusion {} reads no patch tokens that its own could be joined to",
          config.fusion);
    second = register_module("second_tower", std::make_shared<SecondView>(*config.second_tower, config.second_layer,
                                                                          towers.config().preprocess));
  }
  state_mean = register_buffer("state_mean", numbers(config.state_mean, config.state, 0));
  state_std = register_buffer("state_std", numbers(config.state_std, config.state, 1));
  const auto dims = head->shape().dims;
  action_low = register_buffer("action_low", numbers(config.action_low, dims, -1));
  action_range = register_buffer("action_range", numbers(config.action_high, dims, 1) - action_low);
}

void PolicyModule::train(bool on) {
  torch::nn::Module::train(on);
  if (second) second->train(false);
}

Tensor PolicyModule::features(const Tensor& pixels, const Features& text, const Tensor& state, at::ScalarType compute) {
  const auto& needs = fusion->needs();
  const auto batch = pixels.size(0);
  check_shape(text.embedding, {any, embedding_}, "Policy", "instruction.embedding");
  const auto pooled_text = for_all(text.embedding, batch);
  const auto layers = needs.maps ? std::span<const std::int64_t>(map_layers_) : std::span<const std::int64_t>();
  nn::LayerHook hook;
  if (film) hook = [&](std::int64_t layer, const Tensor& output) { return film->forward(layer, output, pooled_text); };
  const auto image = encoder->image_features(pixels, layers, compute, hook);
  FusionInput input{.pooled_visual = image.embedding,
                    .maps = image.hidden,
                    .text_tokens = for_all(text.tokens, batch),
                    .text_mask = for_all(text.mask, batch),
                    .pooled_text = pooled_text};
  const auto tokens = places(image);
  if (needs.joint || weight_log_scale.defined()) {
    check(tokens.defined() && input.text_tokens.defined(), "[Policy] the towers give no tokens for the joint space");
    input.joint_visual = encoder->in_joint_space(tokens, encoder->image_projection);
    input.joint_words = encoder->in_joint_space(input.text_tokens, encoder->text_projection);
  }
  if (positions.defined()) {
    const auto joined =
        second ? at::cat({tokens, second->forward(pixels, compute).to(tokens.scalar_type())}, 2) : tokens;
    input.visual_tokens = joined + positions;
  }
  if (weight_log_scale.defined())
    input.visual_weights = weights_of(input.joint_visual, input.joint_words, input.text_mask, weight_log_scale);
  if (needs.pooled_visual && weight_log_scale.defined())
    input.pooled_visual = Fusion::weighted(input.visual_tokens, input).mean(1);
  if (state_mean.numel() > 0) input.state = (state.to(state_mean.device()) - state_mean) / state_std;
  return fusion->vector(input);
}

Tensor PolicyModule::act(const Tensor& pixels, const Features& text, const Tensor& state, at::ScalarType compute,
                         const at::Generator& generator) {
  return from_head(head->predict(features(pixels, text, state, compute), generator)).to(at::kFloat);
}

}  // namespace vlalign::vla
