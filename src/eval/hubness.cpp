#include "vlalign/eval/hubness.hpp"

#include <algorithm>
#include <cmath>

#include "core/check.hpp"
#include "eval/nearest.hpp"
#include "eval/rows.hpp"
#include "kernels/product.hpp"

namespace vlalign {

std::vector<std::int64_t> k_occurrences(const at::Tensor& queries, const at::Tensor& candidates, std::int64_t k,
                                        std::int64_t block) {
  const auto n = checked_rows(queries, "k_occurrences", "queries").size(0);
  const auto m = checked_rows(candidates, "k_occurrences", "candidates").size(0);
  check(candidates.size(1) == queries.size(1), "[k_occurrences] candidates: expected {} columns as queries, got {}",
        queries.size(1), candidates.size(1));
  check_device(candidates, queries, "k_occurrences", "candidates", "queries");
  check(k > 0, "[k_occurrences] k: expected at least 1, got {}", k);
  check(block > 0, "[k_occurrences] block: expected at least 1, got {}", block);
  constexpr std::int64_t most_neighbours = std::int64_t{1} << 30;  // 8 GB
  check(std::min(k, m) <= most_neighbours / n, "[k_occurrences] k: expected at most {} for {} queries, got {}",
        most_neighbours / n, n, k);
  Nearest nearest(n, std::min(k, m));
  for_each_block(n, block, [&](std::int64_t start, std::int64_t end) {
    const auto rows = queries.slice(0, start, end).to(at::kFloat);
    for_each_block(m, block, [&](std::int64_t first, std::int64_t last) {
      nearest.add(product(rows, candidates.slice(0, first, last).to(at::kFloat)), start, first);
    });
  });
  return nearest.occurrences(m);
}

Hubness hubness(std::span<const std::int64_t> occurrences) {
  check(!occurrences.empty(), "[hubness] occurrences: expected at least one");
  for (const auto count : occurrences) check(count >= 0, "[hubness] occurrences: expected 0 or more, got {}", count);
  const auto n = static_cast<double>(occurrences.size());
  double mean = 0.0;
  for (const auto count : occurrences) mean += static_cast<double>(count) / n;
  double second = 0.0, third = 0.0;
  for (const auto count : occurrences) {
    const double difference = static_cast<double>(count) - mean;
    second += difference * difference / n;
    third += difference * difference * difference / n;
  }
  const auto [least, most] = std::minmax_element(occurrences.begin(), occurrences.end());
  return {*least == *most ? 0.0 : third / std::pow(second, 1.5),
          static_cast<double>(std::count(occurrences.begin(), occurrences.end(), 0)) / n, *most};
}

}  // namespace vlalign
