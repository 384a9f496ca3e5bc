#include "vlalign/loss/simclr.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/scalar_tensor.h>

#include "core/check.hpp"
#include "loss/checked_batch.hpp"
#include "loss/checked_options.hpp"
#include "vlalign/loss/tiled.hpp"

namespace vlalign {

SimCLR::SimCLR(const Options& options) : options_(options) {
  check_positive(options.temperature, "SimCLR", "temperature");
}

std::string SimCLR::options() const { return fmt::format("temperature={}", options_.temperature); }

at::Tensor SimCLR::forward(const ContrastiveBatch& batch) const {
  const auto [first, second, own] = checked_views(batch, "SimCLR");
  const auto own_first = narrowed(first, own), own_second = narrowed(second, own);
  const auto ids = at::arange(2 * first.size(0), first.options().dtype(at::kLong));
  const auto own_ids = at::cat({narrowed(ids, own), narrowed(ids, own) + first.size(0)});
  const tiles::PairFilter others{.keep = tiles::PairFilter::Keep::different, .row_ids = own_ids, .column_ids = ids};

  const auto scale = at::scalar_tensor(1.0 / options_.temperature, first.options());
  const auto sums = tiles::log_sum_exp(at::cat({own_first, own_second}), at::cat({first, second}), scale, others).rows;
  return sums.mean() - scale * (own_first * own_second).sum(1).mean();
}

}  // namespace vlalign
