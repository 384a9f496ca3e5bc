#include "train/histogram.hpp"

#include <ATen/ops/aminmax.h>
#include <ATen/ops/histc.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <tuple>

namespace vlalign {
namespace {

constexpr std::int64_t bucket_count = 64;
/// Numbers that are taken to double precision at a time: in float32 counts end at 2^24, and the width of a range may
/// be infinite.
constexpr std::int64_t at_a_time = 1 << 22;

template <typename Visit>
void for_each_chunk(const std::vector<at::Tensor>& tensors, Visit visit) {
  for (const auto& tensor : tensors) {
    for (const auto& chunk : tensor.detach().flatten().split(at_a_time)) {
      const auto wide = chunk.to(at::kDouble);
      const auto finite = wide.masked_select(at::isfinite(wide));
      if (finite.numel() > 0) visit(finite);
    }
  }
}

void add_sums(Histogram& histogram, const at::Tensor& values) {
  const auto [low, high] = at::aminmax(values);
  const auto min = low.item<double>(), max = high.item<double>();
  histogram.min = histogram.values > 0 ? std::min(histogram.min, min) : min;
  histogram.max = histogram.values > 0 ? std::max(histogram.max, max) : max;
  histogram.values += static_cast<double>(values.numel());
  histogram.sum += values.sum().item<double>();
  histogram.sum_of_squares += values.dot(values).item<double>();
}

}  // namespace

Histogram histogram_of(const std::vector<at::Tensor>& tensors) {
  Histogram out;
  for_each_chunk(tensors, [&](const at::Tensor& values) { add_sums(out, values); });
  if (out.values == 0) return out;
  if (out.min == out.max) {
    out.limits = {out.max};
    out.counts = {out.values};
    return out;
  }
  auto counts = at::zeros({bucket_count}, at::kDouble);
  for_each_chunk(tensors,
                 [&](const at::Tensor& values) { counts += at::histc(values, bucket_count, out.min, out.max).cpu(); });
  const double width = (out.max - out.min) / bucket_count;
  for (std::int64_t i = 1; i < bucket_count; ++i) out.limits.push_back(out.min + static_cast<double>(i) * width);
  out.limits.push_back(out.max);
  out.counts.assign(counts.const_data_ptr<double>(), counts.const_data_ptr<double>() + bucket_count);
  return out;
}

}  // namespace vlalign
