#include "nn/mobile_clip_front.hpp"

#include <ATen/ops/gelu.h>

#include <string>

namespace vlalign::nn {

MobileClipFront::MobileClipFront(std::int64_t width, Initializer& initializer) {
  const auto add = [&](std::int64_t in, std::int64_t out, std::int64_t stride, bool last) {
    const auto place = register_module(std::to_string(convs_.size()), std::make_shared<torch::nn::Module>());
    const Conv2d::Options options{.stride = stride, .bias = last};
    convs_.push_back(place->register_module("conv", std::make_shared<Conv2d>(in, out, stride, options, initializer)));
    if (!last) norms_.push_back(place->register_module("bn", std::make_shared<BatchNorm2d>(out)));
  };
  add(3, width / 4, 4, false);
  add(width / 4, width / 4, 2, false);
  add(width / 4, width, 2, true);
}

Tensor MobileClipFront::forward(const Tensor& pixels) {
  auto x = pixels;
  for (std::size_t i = 0; i < norms_.size(); ++i) x = at::gelu(norms_[i]->forward(convs_[i]->forward(x)));
  return convs_.back()->forward(x);
}

}  // namespace vlalign::nn
