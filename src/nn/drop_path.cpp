#include "nn/drop_path.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <vector>

namespace vlalign::nn {

Tensor drawn_paths(const Tensor& x, double probability, bool training) {
  if (!training || probability <= 0) return {};
  const double kept = 1 - probability;
  std::vector<std::int64_t> shape(static_cast<std::size_t>(x.dim()), 1);
  shape[0] = x.size(0);
  auto draws = at::empty(shape, x.options().requires_grad(false)).bernoulli_(kept);
  return draws.div_(kept);
}

double path_probability(double last, std::int64_t number, std::int64_t count) {
  return count > 1 ? last * static_cast<double>(number) / static_cast<double>(count - 1) : 0.0;
}

}  // namespace vlalign::nn
