#include "loss/batch_accuracy.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>

#include "core/check.hpp"
#include "kernels/product.hpp"
#include "loss/checked_batch.hpp"
#include "vlalign/loss/info_nce.hpp"

namespace vlalign {
namespace {

/// Of the images of some rows, how many have no text as near as their own. An own text is compared with the others in
/// the same product, so that one that is there twice is a tie to the bit.
at::Tensor nearest(const at::Tensor& image, const at::Tensor& text, tiles::RowRange rows) {
  const auto cosines = product(narrowed(image, rows), text), own_ones = cosines.diagonal(rows.begin);
  const auto own = own_ones.clone();
  own_ones.fill_(-std::numeric_limits<double>::infinity());
  return (cosines.amax(1) < own).sum();
}

}  // namespace

at::Tensor accuracy_on_device(const at::Tensor& image, const at::Tensor& text, std::optional<tiles::RowRange> own) {
  check(image.dim() == 2 && image.size(0) > 0 && image.sizes() == text.sizes(),
        "[batch_accuracy] image, text: expected both [B, D], got {} and {}", image.sizes().vec(), text.sizes().vec());
  constexpr std::int64_t elements = std::int64_t{1} << 21;  // of the cosines that are there at a time
  const auto x = widened(image.detach()), y = widened(text.detach());
  const auto rows = own.value_or(tiles::RowRange{0, x.size(0)});
  const auto end = rows.begin + rows.count, step = std::max<std::int64_t>(1, elements / x.size(0));
  const auto right = at::zeros({}, x.options().dtype(at::kLong));
  for (auto begin = rows.begin; begin < end; begin += step)
    right.add_(nearest(x, y, {begin, std::min(step, end - begin)}));
  return right.to(at::kDouble) / static_cast<double>(std::max<std::int64_t>(1, rows.count));
}

double batch_accuracy(const at::Tensor& image, const at::Tensor& text) {
  return accuracy_on_device(image, text).item<double>();
}

}  // namespace vlalign
