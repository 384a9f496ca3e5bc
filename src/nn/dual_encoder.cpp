#include "vlalign/nn/dual_encoder.hpp"

#include <ATen/ops/full.h>

#include <cmath>

#include "core/check.hpp"
#include "vlalign/core/normalize.hpp"

namespace vlalign::nn {
namespace {

std::shared_ptr<Linear> projection(const Tower& tower, std::int64_t embed_dim, bool bias, Initializer& initializer) {
  const double deviation = 1.0 / std::sqrt(static_cast<double>(tower.width()));
  return std::make_shared<Linear>(tower.width(), embed_dim,
                                  Linear::Options{.bias = bias, .standard_deviation = deviation}, initializer);
}

}  // namespace

DualEncoderImpl::DualEncoderImpl(std::shared_ptr<Tower> image, std::shared_ptr<Tower> text_tower,
                                 std::int64_t embed_dim, const Options& options, Initializer& initializer) {
  check(image && text_tower, "[DualEncoder] a tower is null");
  visual = register_module("visual", std::move(image));
  text = register_module("text", std::move(text_tower));
  image_projection =
      register_module("image_projection", projection(*visual, embed_dim, options.image_projection_bias, initializer));
  text_projection =
      register_module("text_projection", projection(*text, embed_dim, options.text_projection_bias, initializer));
  log_logit_scale = register_parameter("logit_scale", at::full({}, std::log(1 / 0.07)));
}

at::Tensor DualEncoderImpl::encode_image(const at::Tensor& pixels, at::ScalarType compute) {
  check(pixels.dim() == 4 && pixels.size(1) == 3, "[encode_image] pixels: expected [B, 3, S, S], got {}",
        pixels.sizes().vec());
  return l2_normalize(image_projection->forward(visual->forward(pixels, compute)));
}

at::Tensor DualEncoderImpl::encode_text(const at::Tensor& tokens, at::ScalarType compute) {
  check(tokens.dim() == 2 && tokens.scalar_type() == at::kLong,
        "[encode_text] tokens: expected int64 [B, L], got {} {}", c10::toString(tokens.scalar_type()),
        tokens.sizes().vec());
  return l2_normalize(text_projection->forward(text->forward(tokens, compute)));
}

at::Tensor DualEncoderImpl::logit_scale() const { return log_logit_scale.exp(); }

void DualEncoderImpl::clamp_logit_scale() {
  torch::NoGradGuard no_grad;
  log_logit_scale.clamp_(0.0, std::log(100.0));
}

}  // namespace vlalign::nn
