#include "vlalign/nn/projection.hpp"

#include <cmath>

namespace vlalign::nn {
namespace {

Linear::Options drawn(std::int64_t in, bool bias) {
  return {.bias = bias, .standard_deviation = 1.0 / std::sqrt(static_cast<double>(in))};
}

std::int64_t inputs(std::int64_t width, const ProjectionConfig& config) {
  return config.hidden > 0 ? config.hidden : width;
}

}  // namespace

Projection::Projection(std::int64_t width, std::int64_t embed_dim, const ProjectionConfig& config,
                       Initializer& initializer)
    : Linear(inputs(width, config), embed_dim, drawn(inputs(width, config), config.bias), initializer) {
  if (config.hidden > 0)
    hidden = register_module(
        "hidden", std::make_shared<Linear>(width, config.hidden, drawn(width, config.hidden_bias), initializer));
}

Tensor Projection::forward(const Tensor& x) const {
  return Linear::forward(hidden ? activate(hidden->forward(x), Activation::gelu) : x);
}

}  // namespace vlalign::nn
