#include "vlalign/nn/dual_encoder.hpp"

#include <ATen/ops/full.h>

#include <cmath>

#include "core/check.hpp"
#include "nn/check_inputs.hpp"
#include "vlalign/core/normalize.hpp"

namespace vlalign::nn {
namespace {

constexpr double largest_scale = 100.0;  // Radford et al. 2021, section 2.5

/// What a tower of one's own gives, before the projection's product reads it.
const at::Tensor& checked_pooled(const at::Tensor& pooled, std::int64_t batch, const Tower& tower, const char* where) {
  const bool fits = pooled.defined() && pooled.is_floating_point() && pooled.dim() == 2 && pooled.size(0) == batch &&
                    pooled.size(1) == tower.width();
  if (!fits)
    fail("[{}] the tower: expected floating features [{}, {}], got {}", where, batch, tower.width(),
         pooled.defined() ? fmt::format("{} {}", c10::toString(pooled.scalar_type()), pooled.sizes()) : "nothing");
  return pooled;
}

}  // namespace

DualEncoderImpl::DualEncoderImpl(std::shared_ptr<Tower> image, std::shared_ptr<Tower> text_tower,
                                 std::int64_t embed_dim, const Options& options, Initializer& initializer) {
  check(image && text_tower, "[DualEncoder] a tower is null");
  check(embed_dim > 0, "[DualEncoder] embed_dim: expected a positive number, got {}", embed_dim);
  check(options.scale.initial > 0 && std::isfinite(std::log(options.scale.initial)),
        "[DualEncoder] scale.initial: expected a positive number, got {}", options.scale.initial);
  visual = register_module("visual", std::move(image));
  text = register_module("text", std::move(text_tower));
  const auto add = [&](const char* name, const Tower& tower, const ProjectionConfig& wanted) {
    if (wanted.present)
      return register_module(name, std::make_shared<Projection>(tower.width(), embed_dim, wanted, initializer));
    check(tower.width() == embed_dim,
          "[DualEncoder] without {} the tower's width {} must be the embedding dimension {}", name, tower.width(),
          embed_dim);
    return std::shared_ptr<Projection>();
  };
  image_projection = add("image_projection", *visual, options.image_projection);
  text_projection = add("text_projection", *text, options.text_projection);
  const auto& scale = options.scale;
  if (scale.temperature) {
    temperature = register_parameter("temperature", at::full({}, 1 / scale.initial));
  } else {
    log_logit_scale = register_parameter("logit_scale", at::full({}, std::log(scale.initial)));
  }
  if (scale.bias) logit_bias = register_parameter("logit_bias", at::full({}, *scale.bias));
}

at::Tensor DualEncoderImpl::encode_image(const at::Tensor& pixels, at::ScalarType compute) {
  check_pixels(pixels, "encode_image");
  return in_joint_space(checked_pooled(visual->forward(pixels, compute), pixels.size(0), *visual, "encode_image"),
                        image_projection);
}

at::Tensor DualEncoderImpl::encode_text(const at::Tensor& tokens, at::ScalarType compute) {
  check_tokens(tokens, "encode_text");
  return in_joint_space(checked_pooled(text->forward(tokens, compute), tokens.size(0), *text, "encode_text"),
                        text_projection);
}

Features DualEncoderImpl::image_features(const at::Tensor& pixels, std::span<const std::int64_t> layers,
                                         at::ScalarType compute, const LayerHook& hook) {
  check_pixels(pixels, "image_features");
  auto features =
      hook ? visual->hooked_features(pixels, compute, layers, hook) : visual->features(pixels, compute, layers);
  features.embedding =
      in_joint_space(checked_pooled(features.pooled, pixels.size(0), *visual, "image_features"), image_projection);
  return features;
}

Features DualEncoderImpl::text_features(const at::Tensor& tokens, std::span<const std::int64_t> layers,
                                        at::ScalarType compute) {
  check_tokens(tokens, "text_features");
  auto features = text->features(tokens, compute, layers);
  features.embedding =
      in_joint_space(checked_pooled(features.pooled, tokens.size(0), *text, "text_features"), text_projection);
  return features;
}

at::Tensor DualEncoderImpl::in_joint_space(const at::Tensor& features, const std::shared_ptr<Projection>& projection) {
  return l2_normalize(projected(features, projection));
}

at::Tensor DualEncoderImpl::projected(const at::Tensor& features, const std::shared_ptr<Projection>& projection) {
  return projection ? projection->forward(features) : features;
}

std::optional<DualEncoderImpl::Place> DualEncoderImpl::place_of(std::string_view name) const {
  const auto of = [&](Place::Side side, std::string_view tower_name, const Tower& tower,
                      std::string_view projection_name, bool projected) -> std::optional<Place> {
    const auto groups = tower.group_count() + (projected ? 1 : 0);
    if (name.starts_with(tower_name)) return Place{side, tower.group_of(name.substr(tower_name.size())), groups};
    if (name.starts_with(projection_name)) return Place{side, groups - 1, groups};
    return {};
  };
  if (const auto place = of(Place::Side::image, "visual.", *visual, "image_projection.", image_projection != nullptr))
    return place;
  return of(Place::Side::text, "text.", *text, "text_projection.", text_projection != nullptr);
}

at::Tensor DualEncoderImpl::logit_scale() const {
  return temperature.defined() ? temperature.reciprocal() : log_logit_scale.exp();
}

void DualEncoderImpl::clamp_logit_scale() {
  torch::NoGradGuard no_grad;
  auto& parameter = temperature.defined() ? temperature : log_logit_scale;
  if (!parameter.requires_grad()) return;
  if (temperature.defined()) {
    parameter.clamp_(1 / largest_scale, 1.0);
  } else {
    parameter.clamp_(0.0, std::log(largest_scale));
  }
}

}  // namespace vlalign::nn
