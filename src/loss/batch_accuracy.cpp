#include "loss/batch_accuracy.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>

#include "core/check.hpp"
#include "kernels/product.hpp"
#include "loss/checked_batch.hpp"
#include "vlalign/loss/info_nce.hpp"

namespace vlalign {
namespace {

constexpr auto far = -std::numeric_limits<double>::infinity();

}  // namespace

NearestTexts::NearestTexts(const at::Tensor& image)
    : image_(widened(image.detach())),
      own_(at::full({image.size(0)}, far, image_.options())),
      nearest_other_(own_.clone()) {}

/// see(cosines, rows): of a few rows of images at a time, [rows.count, m]
template <typename See>
void NearestTexts::compare(const at::Tensor& text, const See& see) {
  constexpr std::int64_t elements = std::int64_t{1} << 21;  // of the cosines that are there at a time
  const auto texts = widened(text.detach());
  const auto count = image_.size(0),
             step = std::max<std::int64_t>(1, elements / std::max<std::int64_t>(1, text.size(0)));
  for (std::int64_t begin = 0; begin < count; begin += step) {
    const tiles::RowRange rows{begin, std::min(step, count - begin)};
    const auto cosines = product(narrowed(image_, rows), texts);
    see(cosines, rows);
    const auto nearest = narrowed(nearest_other_, rows);
    nearest.copy_(at::maximum(nearest, cosines.amax(1)));
  }
}

/// An own text is compared with the others in the same product, so that one that is there twice is a tie to the bit.
void NearestTexts::own(const at::Tensor& text, std::int64_t begin) {
  compare(text, [&](const at::Tensor& cosines, tiles::RowRange rows) {
    const auto own_ones = cosines.diagonal(begin + rows.begin);
    narrowed(own_, rows).copy_(own_ones);
    own_ones.fill_(far);
  });
}

void NearestTexts::others(const at::Tensor& text) {
  compare(text, [](const at::Tensor&, tiles::RowRange) {});
}

at::Tensor NearestTexts::right() const { return (nearest_other_ < own_).sum(); }

at::Tensor accuracy_on_device(const at::Tensor& image, const at::Tensor& text, std::optional<tiles::RowRange> own) {
  check(image.dim() == 2 && image.size(0) > 0 && image.sizes() == text.sizes(),
        "[batch_accuracy] image, text: expected both [B, D], got {} and {}", image.sizes().vec(), text.sizes().vec());
  const auto rows = own.value_or(tiles::RowRange{0, image.size(0)});
  if (rows.count == 0) return at::zeros({}, image.options().dtype(at::kDouble));
  NearestTexts texts(narrowed(image, rows));
  texts.own(text, rows.begin);
  return texts.right().to(at::kDouble) / static_cast<double>(rows.count);
}

double batch_accuracy(const at::Tensor& image, const at::Tensor& text) {
  return accuracy_on_device(image, text).item<double>();
}

}  // namespace vlalign
