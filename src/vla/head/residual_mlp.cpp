#include "vlalign/vla/head/residual_mlp.hpp"

#include <ATen/TensorOperators.h>

#include "vla/check_shape.hpp"

namespace vlalign::vla {

ResidualMlp::ResidualMlp(std::int64_t in_width, std::int64_t hidden, std::int64_t layers, std::int64_t out_width,
                         nn::Initializer& initializer) {
  check_size(hidden, "ResidualMlp", "hidden");
  check_layers(layers, "ResidualMlp");
  const auto linear = [&](std::int64_t from, std::int64_t to) {
    return std::make_shared<nn::Linear>(from, to, nn::Linear::Options{}, initializer);
  };
  in = register_module("in", linear(in_width, hidden));
  for (std::int64_t i = 0; i < layers; ++i) {
    const auto number = std::to_string(i);
    norms.push_back(register_module("norm" + number, std::make_shared<nn::LayerNorm>(hidden)));
    mlps.push_back(
        register_module("mlp" + number, std::make_shared<nn::FeedForward>(hidden, 4 * hidden, hidden, initializer)));
  }
  norm_out = register_module("norm_out", std::make_shared<nn::LayerNorm>(hidden));
  out = register_module("out", linear(hidden, out_width));
}

at::Tensor ResidualMlp::forward(const at::Tensor& x) const {
  check_shape(x, {any, in->weight.size(1)}, "ResidualMlp", "x");
  auto y = in->forward(x);
  for (std::size_t i = 0; i < mlps.size(); ++i) y = y + mlps[i]->forward(norms[i]->forward(y));
  return out->forward(norm_out->forward(y));
}

}  // namespace vlalign::vla
