#include "core/random_permutation.hpp"

#include <numeric>
#include <utility>

#include "core/check.hpp"
#include "vlalign/core/random.hpp"

namespace vlalign {

std::vector<std::int64_t> random_permutation(std::int64_t n, std::initializer_list<std::uint64_t> key) {
  check(n >= 0, "[random_permutation] n: expected 0 or more, got {}", n);
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  Rng rng(key);
  for (std::int64_t i = n - 1; i > 0; --i) {
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(rng.below(i + 1))]);
  }
  return order;
}

}  // namespace vlalign
