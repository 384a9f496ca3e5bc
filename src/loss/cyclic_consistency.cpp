#include "vlalign/loss/cyclic_consistency.hpp"

#include <ATen/TensorOperators.h>

#include <cmath>

#include "core/check.hpp"
#include "core/product.hpp"
#include "loss/checked_batch.hpp"
#include "vlalign/loss/tiled.hpp"

namespace vlalign {

CyclicConsistency::CyclicConsistency(const Options& options) : options_(options) {
  const auto check_weight = [](const char* name, double weight) {
    check(std::isfinite(weight) && weight >= 0, "[CyclicConsistency] {}: expected 0 or more, got {}", name, weight);
  };
  check_weight("in_modal", options.in_modal);
  check_weight("cross_modal", options.cross_modal);
}

std::string CyclicConsistency::options() const {
  return fmt::format("in_modal={} cross_modal={}", options_.in_modal, options_.cross_modal);
}

at::Tensor CyclicConsistency::forward(const ContrastiveBatch& batch) const {
  const auto pairs = checked_pairs(batch, "CyclicConsistency");
  const auto own = own_rows(batch);
  const auto of_block = [&](const std::vector<at::Tensor>& in, RowRange rows) {
    const auto &x = in[0], &y = in[1];
    const auto own_x = narrowed(x, rows), own_y = narrowed(y, rows);
    const auto in_modal = (product(own_x, x) - product(own_y, y)).square().sum();
    const auto cross_modal = (product(own_x, y) - product(own_y, x)).square().sum();
    return options_.in_modal * in_modal + options_.cross_modal * cross_modal;
  };
  constexpr std::int64_t matrices = 4;
  const auto sum = sum_over_rows({pairs.image, pairs.text}, own, matrices * pairs.size(), of_block);
  return sum / static_cast<double>(own.count);
}

}  // namespace vlalign
