#include "vlalign/loss/cyclic_consistency.hpp"

#include <ATen/TensorOperators.h>

#include "core/check.hpp"
#include "kernels/product.hpp"
#include "loss/checked_batch.hpp"
#include "loss/checked_options.hpp"
#include "vlalign/loss/tiled.hpp"

namespace vlalign {

CyclicConsistency::CyclicConsistency(const Options& options) : options_(options) {
  check_not_negative(options.in_modal, "CyclicConsistency", "in_modal");
  check_not_negative(options.cross_modal, "CyclicConsistency", "cross_modal");
  check(options.in_modal > 0 || options.cross_modal > 0,
        "[CyclicConsistency] in_modal, cross_modal: expected one of them above 0");
}

std::string CyclicConsistency::options() const {
  return fmt::format("in_modal={} cross_modal={}", options_.in_modal, options_.cross_modal);
}

at::Tensor CyclicConsistency::forward(const ContrastiveBatch& batch) const {
  const auto pairs = checked_pairs(batch, "CyclicConsistency");
  const auto of_block = [&](const std::vector<at::Tensor>& in, tiles::RowRange rows) {
    const auto &x = in[0], &y = in[1];
    const auto own_x = narrowed(x, rows), own_y = narrowed(y, rows);
    const auto in_modal = (product(own_x, x) - product(own_y, y)).square().sum();
    const auto cross_modal = (product(own_x, y) - product(own_y, x)).square().sum();
    return options_.in_modal * in_modal + options_.cross_modal * cross_modal;
  };
  constexpr std::int64_t matrices = 4;
  const auto sum = tiles::sum_over_rows({pairs.image, pairs.text}, pairs.own, matrices * pairs.size(), of_block);
  return sum / static_cast<double>(pairs.own.count);
}

}  // namespace vlalign
