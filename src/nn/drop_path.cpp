#include "nn/drop_path.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

namespace vlalign::nn {

Tensor drawn_paths(const Tensor& x, double probability, bool training) {
  if (!training || probability <= 0) return {};
  const double kept = 1 - probability;
  auto draws = at::empty({x.size(0), 1, 1, 1}, x.options().requires_grad(false)).bernoulli_(kept);
  return draws.div_(kept);
}

double path_probability(double last, std::int64_t number, std::int64_t count) {
  return count > 1 ? last * static_cast<double>(number) / static_cast<double>(count - 1) : 0.0;
}

}  // namespace vlalign::nn
