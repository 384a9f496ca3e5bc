#include "eval/rows.hpp"

#include <ATen/ops/isfinite.h>

#include <algorithm>

#include "core/check.hpp"

namespace vlalign {

void check_rows_shape(const at::Tensor& x, std::string_view function, std::string_view argument) {
  check(x.defined() && x.dim() == 2 && x.is_floating_point(), "[{}] {}: expected floating [N, D], got {}", function,
        argument,
        x.defined() ? fmt::format("{} {}", c10::toString(x.scalar_type()), fmt::join(x.sizes(), " x ")) : "none");
  check(x.size(0) > 0 && x.size(1) > 0, "[{}] {}: expected at least one row and column, got [{}, {}]", function,
        argument, x.size(0), x.size(1));
}

const at::Tensor& checked_rows(const at::Tensor& x, std::string_view function, std::string_view argument) {
  check_rows_shape(x, function, argument);
  for_each_block(x.size(0), block_rows_for(x.size(1)), [&](std::int64_t start, std::int64_t end) {
    const auto bad = at::isfinite(x.slice(0, start, end)).all(1).logical_not().nonzero();
    check(bad.size(0) == 0, "[{}] {}: row {} is not finite", function, argument,
          bad.size(0) ? start + bad[0][0].item<std::int64_t>() : 0);
  });
  return x;
}

void check_device(const at::Tensor& x, const at::Tensor& like, std::string_view function, std::string_view argument,
                  std::string_view like_argument) {
  check(x.device() == like.device(), "[{}] {}: expected it on {} as {}, got it on {}", function, argument,
        like.device().str(), like_argument, x.device().str());
}

at::Tensor float_rows(const at::Tensor& rows) { return rows.scalar_type() == at::kDouble ? rows : rows.to(at::kFloat); }

std::int64_t block_rows_for(std::int64_t width) {
  return std::max<std::int64_t>(1, (std::int64_t{1} << 22) / std::max<std::int64_t>(1, width));
}

}  // namespace vlalign
