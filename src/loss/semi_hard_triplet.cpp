#include "vlalign/loss/semi_hard_triplet.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/max.h>
#include <ATen/ops/min.h>
#include <ATen/ops/where.h>

#include <limits>

#include "core/check.hpp"
#include "kernels/product.hpp"
#include "loss/checked_batch.hpp"
#include "loss/checked_options.hpp"
#include "loss/targets.hpp"
#include "vlalign/loss/tiled.hpp"

namespace vlalign {
namespace {

/// The chosen negative of each row.
struct Negatives {
  at::Tensor index;   // int64 [n]
  at::Tensor exists;  // bool [n]
};

Negatives semi_hard(const at::Tensor& x, const at::Tensor& y, const at::Tensor& groups, tiles::RowRange rows) {
  const at::NoGradGuard no_graph;
  constexpr auto infinity = std::numeric_limits<double>::infinity();
  const auto cosines = product(narrowed(x, rows), y);
  const auto same = narrowed(groups, rows).unsqueeze(1) == groups.unsqueeze(0);
  const auto own = cosines.diagonal(rows.begin).unsqueeze(1);
  // The nearer, the larger the cosine.
  const auto [nearest, nearest_index] = cosines.masked_fill(same.logical_or(cosines >= own), -infinity).max(1);
  const auto farthest_index = std::get<1>(cosines.masked_fill(same, infinity).min(1));
  return {at::where(nearest > -infinity, nearest_index, farthest_index), same.logical_not().any(1)};
}

/// sum over the own rows.
at::Tensor hinges(const at::Tensor& x, const at::Tensor& y, const at::Tensor& groups, tiles::RowRange own,
                  double margin) {
  const auto of_block = [&](const std::vector<at::Tensor>& in, tiles::RowRange rows) {
    const auto negatives = semi_hard(in[0], in[1], groups, rows);
    const auto difference = in[1].index_select(0, negatives.index) - narrowed(in[1], rows);
    const auto violation = 2.0 * (narrowed(in[0], rows) * difference).sum(1) + margin;  // d_ii - d_in + margin
    return at::where(negatives.exists, violation, 0.0).relu().sum();
  };
  constexpr std::int64_t matrices = 3;
  return tiles::sum_over_rows({x, y}, own, matrices * y.size(0), of_block);
}

}  // namespace

SemiHardTriplet::SemiHardTriplet(const Options& options) : options_(options) {
  check_positive(options.margin, "SemiHardTriplet", "margin");
}

std::string SemiHardTriplet::options() const { return fmt::format("margin={}", options_.margin); }

at::Tensor SemiHardTriplet::forward(const ContrastiveBatch& batch) const {
  const auto [image, text, own] = checked_pairs(batch, "SemiHardTriplet", 2);
  check_targets(batch, "SemiHardTriplet");
  const auto groups = batch.groups.defined() ? batch.groups.to(image.device())
                                             : at::arange(image.size(0), image.options().dtype(at::kLong));
  const auto sum =
      hinges(image, text, groups, own, options_.margin) + hinges(text, image, groups, own, options_.margin);
  return sum / (2.0 * static_cast<double>(own.count));
}

}  // namespace vlalign
