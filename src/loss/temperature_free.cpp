#include "vlalign/loss/temperature_free.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_softmax.h>

#include "kernels/product.hpp"
#include "loss/checked_batch.hpp"
#include "vlalign/loss/tiled.hpp"

namespace vlalign {
namespace {

constexpr double largest_cosine = 1.0 - 1e-6;

/// sum_i of the cross-entropy of finding the own row of y.
at::Tensor cross_entropy(const at::Tensor& x, const at::Tensor& y, tiles::RowRange own) {
  const auto of_block = [&](const std::vector<at::Tensor>& in, tiles::RowRange rows) {
    const auto cosines = product(narrowed(in[0], rows), in[1]).clamp(-largest_cosine, largest_cosine);
    return -at::log_softmax(2.0 * cosines.atanh(), 1).diagonal(rows.begin).sum();
  };
  constexpr std::int64_t matrices = 3;
  return tiles::sum_over_rows({x, y}, own, matrices * y.size(0), of_block);
}

}  // namespace

at::Tensor TemperatureFree::forward(const ContrastiveBatch& batch) const {
  const auto [image, text, own] = checked_pairs(batch, "TemperatureFree");
  return (cross_entropy(image, text, own) + cross_entropy(text, image, own)) / (2.0 * static_cast<double>(own.count));
}

}  // namespace vlalign
