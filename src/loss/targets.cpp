#include "loss/targets.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_unique2.h>
#include <ATen/ops/aminmax.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "core/check.hpp"
#include "loss/checked_batch.hpp"

namespace vlalign {
namespace {

Wanted wanted_of_groups(const at::Tensor& groups, const at::Tensor& columns, RowRange rows) {
  const auto ids = std::get<1>(at::_unique2(groups, /*sorted=*/true, /*return_inverse=*/true));
  const auto counts = at::bincount(ids);
  const auto sums = at::zeros({counts.size(0), columns.size(1)}, columns.options()).index_add(0, ids, columns);
  const auto own = narrowed(ids, rows);
  return {sums.index_select(0, own), counts.index_select(0, own).to(columns.scalar_type())};
}

Wanted wanted_columns(const at::Tensor& groups, const at::Tensor& soft_rows, const at::Tensor& columns, RowRange rows) {
  if (groups.defined()) return wanted_of_groups(groups.to(columns.device()), columns, rows);
  if (!soft_rows.defined()) return {narrowed(columns, rows), {}};
  const auto weights = narrowed(soft_rows, rows).to(columns.options());
  return {at::matmul(weights, columns), weights.sum(1)};
}

}  // namespace

void check_targets(const ContrastiveBatch& batch, std::string_view loss) {
  const auto size = batch.image.size(0);
  const auto& groups = batch.groups;
  const auto& soft = batch.soft_targets;
  check(!groups.defined() || !soft.defined(), "[{}] the batch has groups and soft targets; expected one of them", loss);
  check(!groups.defined() || (groups.sizes() == at::IntArrayRef{size} && groups.scalar_type() == at::kLong),
        "[{}] groups: expected int64 [{}], got {} {}", loss, size,
        groups.defined() ? c10::toString(groups.scalar_type()) : "",
        groups.defined() ? groups.sizes().vec() : std::vector<std::int64_t>());
  if (!soft.defined()) return;
  check(soft.sizes() == at::IntArrayRef({size, size}) && soft.is_floating_point(),
        "[{}] soft_targets: expected floating [{}, {}], got {} {}", loss, size, size, c10::toString(soft.scalar_type()),
        soft.sizes().vec());
  const auto [low, high] = at::aminmax(soft);  // NaN where there is one
  const auto ends = at::stack({low, high}).to(at::kCPU, at::kDouble);
  const auto least = ends[0].item<double>(), most = ends[1].item<double>();
  const auto odd = std::isfinite(least) ? most : least;
  check(std::isfinite(odd), "[{}] soft_targets: expected finite ones, got {}", loss,
        std::isnan(odd) ? std::abs(odd) : odd);  // a NaN's sign says nothing
  check(least >= 0, "[{}] soft_targets: expected no negative one, got {}", loss, least);
}

Wanted wanted_texts(const ContrastiveBatch& batch, const at::Tensor& text, RowRange rows) {
  return wanted_columns(batch.groups, batch.soft_targets, text, rows);
}

Wanted wanted_images(const ContrastiveBatch& batch, const at::Tensor& image, RowRange rows) {
  const auto& soft = batch.soft_targets;
  return wanted_columns(batch.groups, soft.defined() ? soft.t() : soft, image, rows);
}

}  // namespace vlalign
