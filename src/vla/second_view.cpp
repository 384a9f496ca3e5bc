#include "vla/second_view.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/_upsample_bilinear2d_aa.h>
#include <ATen/ops/tensor.h>

#include <vector>

namespace vlalign::vla {
namespace {

at::Tensor of_channels(const std::array<double, 3>& values) {
  return at::tensor(std::vector<double>(values.begin(), values.end()), at::kDouble).view({3, 1, 1});
}

}  // namespace

SecondView::SecondView(const ImageTower& tower, std::int64_t layer, const Preprocess& encoder)
    : layer_(layer),
      side_(tower.config().preprocess.image_size),
      interpolation_(tower.config().preprocess.interpolation) {
  tower_ = register_module("tower", tower.module());
  const auto& own = tower.config().preprocess;
  const auto std = of_channels(own.std);
  scale_ = register_buffer("scale", (of_channels(encoder.std) / std).to(at::kFloat));
  shift_ = register_buffer("shift", ((of_channels(encoder.mean) - of_channels(own.mean)) / std).to(at::kFloat));
}

void SecondView::train(bool) { torch::nn::Module::train(false); }

at::Tensor SecondView::as_tower_prepares(const at::Tensor& pixels) const {
  const auto own = pixels * scale_ + shift_;
  if (own.size(2) == side_) return own;
  return interpolation_ == Interpolation::bicubic ? at::_upsample_bicubic2d_aa(own, {side_, side_}, false)
                                                  : at::_upsample_bilinear2d_aa(own, {side_, side_}, false);
}

at::Tensor SecondView::forward(const at::Tensor& pixels, at::ScalarType compute) const {
  const at::NoGradGuard no_graph;
  const auto features = tower_->features(as_tower_prepares(pixels), compute, std::span(&layer_, 1));
  const auto& hidden = features.hidden.front();
  if (hidden.dim() == 4) return hidden.flatten(2).transpose(1, 2);
  const auto patches = features.tokens.size(1);
  return hidden.narrow(1, hidden.size(1) - patches, patches);  // without what stands in front of them
}

}  // namespace vlalign::vla
