#include "vlalign/nn/mlp.hpp"

#include <ATen/TensorOperators.h>

#include <cmath>

#include "config/config_fields.hpp"
#include "vlalign/nn/transformer.hpp"

namespace vlalign::nn {

Mlp::Mlp(const TransformerOptions& options, Initializer& initializer)
    : activation_(options.activation), kind_(options.block.mlp) {
  const auto hidden = mlp_width(options.width, options.mlp_ratio);
  const auto rows = kind_ == BlockConfig::Mlp::plain ? hidden : 2 * hidden;
  Linear::Options fc{.bias = options.block.mlp_bias}, proj{.bias = options.block.mlp_bias};
  if (options.clip_text_init) {
    const auto width = static_cast<double>(options.width);
    fc.standard_deviation = 1.0 / std::sqrt(2.0 * width);
    proj.standard_deviation = 1.0 / std::sqrt(2.0 * width * static_cast<double>(options.layers));
  }
  c_fc = register_module("c_fc", std::make_shared<Linear>(options.width, rows, fc, initializer));
  if (options.block.mlp_input_norm)
    ln_in = register_module("ln_in", make_norm(options.block.norm, options.width, options.norm_eps));
  if (options.block.mlp_inner_norm) ln = register_module("ln", make_norm(options.block.norm, hidden, options.norm_eps));
  c_proj = register_module("c_proj", std::make_shared<Linear>(hidden, options.width, proj, initializer));
}

Tensor Mlp::forward(const Tensor& x) const {
  auto hidden = c_fc->forward(ln_in ? ln_in->forward(x) : x);
  if (kind_ == BlockConfig::Mlp::plain) {
    hidden = activate(hidden, activation_);
  } else {
    const auto halves = hidden.chunk(2, -1);
    const bool first = kind_ == BlockConfig::Mlp::gated;
    hidden = activate(halves[first ? 0 : 1], activation_) * halves[first ? 1 : 0];
  }
  return c_proj->forward(ln ? ln->forward(hidden) : hidden);
}

}  // namespace vlalign::nn
