#include "core/finite.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/aminmax.h>

#include <algorithm>
#include <cmath>

#include "core/check.hpp"

namespace vlalign {

bool all_finite(const at::Tensor& x) {
  if (!x.defined() || x.numel() == 0 || !x.is_floating_point()) return true;
  const auto [least, largest] = at::aminmax(x.detach());  // both NaN where any number is
  return std::isfinite(least.item<double>()) && std::isfinite(largest.item<double>());
}

bool all_finite(std::span<const float> x) {
  return std::all_of(x.begin(), x.end(), [](float value) { return std::isfinite(value); });
}

std::int64_t first_bad_row(const at::Tensor& x) {
  const auto bad = x.detach().isfinite().flatten(1).all(1).logical_not();
  return bad.to(at::kByte).argmax().item<std::int64_t>();
}

void copy_numbers(const at::Tensor& from, std::span<float> out, std::string_view where) {
  const bool fits = from.defined() && from.is_floating_point() && from.numel() == std::ssize(out);
  if (!fits) fail("{}: expected {} numbers, got {}", where, out.size(), from.defined() ? from.numel() : 0);
  const auto row = from.to(at::kCPU, at::kFloat).contiguous();
  std::copy_n(row.const_data_ptr<float>(), out.size(), out.begin());
}

}  // namespace vlalign
