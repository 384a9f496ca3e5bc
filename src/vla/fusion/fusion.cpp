#include "vlalign/vla/fusion/fusion.hpp"

#include <ATen/TensorOperators.h>

#include "core/check.hpp"
#include "vla/check_shape.hpp"

namespace vlalign::vla {
namespace {

/// What a fusion takes batch and dtype from.
Tensor visual_of(const FusionInput& input, const Fusion::Needs& needs) {
  if (needs.maps) return input.maps.empty() ? Tensor() : input.maps.front();
  return needs.visual_tokens ? input.visual_tokens : input.pooled_visual;
}

}  // namespace

Fusion::Fusion(std::string name, const FusionSizes& sizes, const Needs& needs, nn::Initializer& initializer)
    : name_(std::move(name)), sizes_(sizes), needs_(needs) {
  const auto given = [this](bool needed, std::int64_t width, const char* what) {
    check(!needed || width > 0, "[{}] sizes.{}: expected a width, got {}", name_, what, width);
    check(width >= 0 && width <= largest_size, "[{}] sizes.{}: expected at most {}, got {}", name_, what, largest_size,
          width);
  };
  given(needs.visual_tokens, sizes.visual_tokens, "visual_tokens");
  given(needs.pooled_visual, sizes.pooled_visual, "pooled_visual");
  given(needs.text_tokens, sizes.text_tokens, "text_tokens");
  given(needs.pooled_text, sizes.pooled_text, "pooled_text");
  given(needs.joint, sizes.joint, "joint");
  given(false, sizes.state, "state");
  given(true, sizes.width, "width");
  check(!needs.maps || !sizes.maps.empty(), "[{}] sizes.maps: expected a width for each map, got none", name_);
  check_layers(std::ssize(sizes.maps), name_);
  for (const auto channels : sizes.maps) given(true, channels, "maps");
  if (sizes.state > 0) state_proj = projection("state_proj", sizes.state, initializer);
}

void Fusion::check_heads(std::int64_t heads) const {
  check(heads > 0 && sizes_.width % heads == 0, "[{}] width {} is not a multiple of heads {}", name_, sizes_.width,
        heads);
}

std::shared_ptr<nn::Linear> Fusion::projection(const std::string& name, std::int64_t in, nn::Initializer& initializer) {
  return register_module(name, std::make_shared<nn::Linear>(in, sizes_.width, nn::Linear::Options{}, initializer));
}

Tensor Fusion::take(const Tensor& x, const char* what, at::IntArrayRef shape, at::ScalarType dtype) const {
  check_shape(x, shape, name_, what);
  return x.to(dtype);
}

FusionInput Fusion::prepared(const FusionInput& input) const {
  const auto visual = visual_of(input, needs_);
  check(visual.defined(), "[{}] the visual input is missing", name_);
  const bool has_rows = visual.dim() > 0 && visual.size(0) > 0 && visual.is_floating_point();
  if (!has_rows) fail("[{}] the visual input: expected floating rows, got {}", name_, shape_of(visual));
  const auto batch = visual.size(0);
  const auto dtype = visual.scalar_type();
  FusionInput ready;
  if (needs_.visual_tokens)
    ready.visual_tokens = take(input.visual_tokens, "visual_tokens", {batch, any, sizes_.visual_tokens}, dtype);
  if ((needs_.visual_tokens || needs_.maps) && input.visual_weights.defined()) {
    const auto count = needs_.visual_tokens ? input.visual_tokens.size(1) : any;
    ready.visual_weights = take(input.visual_weights, "visual_weights", {batch, count}, at::kFloat);
  }
  if (needs_.pooled_visual)
    ready.pooled_visual = take(input.pooled_visual, "pooled_visual", {batch, sizes_.pooled_visual}, dtype);
  if (needs_.maps) ready.maps = prepared_maps(input, batch, dtype);
  if (needs_.text_tokens) {
    ready.text_tokens = take(input.text_tokens, "text_tokens", {batch, any, sizes_.text_tokens}, dtype);
    ready.text_mask = checked_mask(input, input.text_tokens, batch);
    if (ready.text_mask.defined())
      ready.text_tokens = ready.text_tokens.masked_fill(~ready.text_mask.unsqueeze(-1), 0.0);
  }
  if (needs_.joint) {
    ready.joint_visual = take(input.joint_visual, "joint_visual", {batch, any, sizes_.joint}, at::kFloat);
    ready.joint_words = take(input.joint_words, "joint_words", {batch, any, sizes_.joint}, at::kFloat);
    ready.text_mask = checked_mask(input, input.joint_words, batch);
    if (ready.text_mask.defined())
      ready.joint_words = ready.joint_words.masked_fill(~ready.text_mask.unsqueeze(-1), 0.0);
  }
  if (needs_.pooled_text)
    ready.pooled_text = take(input.pooled_text, "pooled_text", {batch, sizes_.pooled_text}, dtype);
  if (sizes_.state > 0) ready.state = take(input.state, "state", {batch, sizes_.state}, dtype);
  return ready;
}

std::vector<Tensor> Fusion::prepared_maps(const FusionInput& input, std::int64_t batch, at::ScalarType dtype) const {
  check(input.maps.size() == sizes_.maps.size(), "[{}] maps: expected {}, got {}", name_, sizes_.maps.size(),
        input.maps.size());
  std::vector<Tensor> ready;
  for (std::size_t i = 0; i < input.maps.size(); ++i) {
    const auto& map = input.maps[i];
    ready.push_back(map.dim() == 3 ? take(map, "maps", {batch, any, sizes_.maps[i]}, dtype)
                                   : take(map, "maps", {batch, sizes_.maps[i], any, any}, dtype));
  }
  return ready;
}

Tensor Fusion::checked_mask(const FusionInput& input, const Tensor& words, std::int64_t batch) const {
  const auto& mask = input.text_mask;
  const std::array expected{batch, words.size(1)};
  if (mask.defined() && (!mask.sizes().equals(expected) || mask.scalar_type() != at::kBool))
    fail("[{}] text_mask: expected bool {}, got {}", name_, expected, mask.sizes());
  return mask;
}

Tensor Fusion::forward(const FusionInput& input) const {
  const auto tokens = fuse(prepared(input));
  check_shape(tokens, {visual_of(input, needs_).size(0), any, sizes_.width}, name_, "fuse()");
  return tokens;
}

Tensor Fusion::vector(const FusionInput& input) const { return forward(input).mean(1); }

Tensor Fusion::logit_weights(const FusionInput& input, at::ScalarType dtype) {
  return input.visual_weights.defined() ? input.visual_weights.log().to(dtype) : Tensor();
}

Tensor Fusion::weighted(const Tensor& tokens, const FusionInput& input) {
  if (!input.visual_weights.defined()) return tokens;
  check_shape(tokens, {any, any, any}, "Fusion", "tokens");
  check_shape(input.visual_weights, tokens.sizes().slice(0, 2), "Fusion", "visual_weights");
  const auto share = input.visual_weights / input.visual_weights.mean(1, true);
  return tokens * share.unsqueeze(-1).to(tokens.scalar_type());
}

Tensor Fusion::with_state(const Tensor& tokens, const FusionInput& input) const {
  return state_proj ? tokens + state_proj->forward(input.state).unsqueeze(1) : tokens;
}

}  // namespace vlalign::vla
