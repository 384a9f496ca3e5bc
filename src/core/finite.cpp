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
  if (from.defined() && !from.is_floating_point())
    fail("{}: expected {} floating numbers, got {}", where, out.size(), c10::toString(from.scalar_type()));
  const auto count = from.defined() ? from.numel() : 0;
  check(count == std::ssize(out), "{}: expected {} numbers, got {}", where, out.size(), count);
  const auto row = from.to(at::kCPU, at::kFloat).contiguous();
  std::copy_n(row.const_data_ptr<float>(), out.size(), out.begin());
}

}  // namespace vlalign
