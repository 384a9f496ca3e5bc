#include "model/finite.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/aminmax.h>

#include <cmath>

#include "core/check.hpp"

namespace vlalign {
namespace {

/// A NaN anywhere becomes both extremes.
bool is_finite(const at::Tensor& tensor) {
  const auto [low, high] = at::aminmax(tensor.detach());
  return std::isfinite(low.item<double>()) && std::isfinite(high.item<double>());
}

}  // namespace

void check_finite(const NamedTensors& tensors, const std::string& where) {
  const at::NoGradGuard no_graph;
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.is_floating_point() || tensor.numel() == 0) continue;
    check(is_finite(tensor), "{}: {} {} holds a NaN or an infinity: expected finite weights", where, name,
          tensor.sizes().vec());
  }
}

}  // namespace vlalign
