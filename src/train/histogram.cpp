#include "train/histogram.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

namespace vlalign {
namespace {

constexpr std::size_t bucket_count = 64;
constexpr std::int64_t numbers_at_a_time = 1 << 22;  // that are brought from the device together

template <typename Visit>
void for_each_chunk(const std::vector<at::Tensor>& tensors, Visit visit) {
  for (const auto& tensor : tensors) {
    for (const auto& chunk : tensor.detach().flatten().split(numbers_at_a_time)) {
      const auto numbers = chunk.to(at::kCPU, at::kFloat).contiguous();
      visit(std::span(numbers.const_data_ptr<float>(), static_cast<std::size_t>(numbers.numel())));
    }
  }
}

void add_sums(Histogram& histogram, std::span<const float> numbers) {
  float min = std::numeric_limits<float>::infinity(), max = -min;
  double sum = 0, squares = 0;
  std::int64_t count = 0;
  for (const float number : numbers) {
    if (!std::isfinite(number)) continue;
    min = std::min(min, number);
    max = std::max(max, number);
    sum += number;
    squares += double{number} * number;
    ++count;
  }
  if (count == 0) return;
  histogram.min = histogram.values > 0 ? std::min(histogram.min, double{min}) : min;
  histogram.max = histogram.values > 0 ? std::max(histogram.max, double{max}) : max;
  histogram.values += static_cast<double>(count);
  histogram.sum += sum;
  histogram.sum_of_squares += squares;
}

}  // namespace

Histogram histogram_of(const std::vector<at::Tensor>& tensors) {
  Histogram out;
  for_each_chunk(tensors, [&](std::span<const float> numbers) { add_sums(out, numbers); });
  if (out.values == 0) return out;
  if (out.min == out.max) {
    out.limits = {out.max};
    out.counts = {out.values};
    return out;
  }
  const double width = (out.max - out.min) / bucket_count;
  for (std::size_t i = 1; i < bucket_count; ++i) out.limits.push_back(out.min + static_cast<double>(i) * width);
  out.limits.push_back(out.max);
  std::array<std::int64_t, bucket_count> counts{};
  for_each_chunk(tensors, [&](std::span<const float> numbers) {
    for (const float number : numbers) {
      if (std::isfinite(number))
        ++counts[std::min(static_cast<std::size_t>((number - out.min) / width), bucket_count - 1)];
    }
  });
  for (const auto count : counts) out.counts.push_back(static_cast<double>(count));
  return out;
}

}  // namespace vlalign
