#include "vlalign/loss/filip.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/max.h>

#include <limits>

#include "core/check.hpp"
#include "core/product.hpp"
#include "loss/checked_batch.hpp"
#include "vlalign/loss/tiled.hpp"

namespace vlalign {
namespace {

struct Tokens {
  at::Tensor features;  // [B, N, D], zeros where padding stands
  at::Tensor padding;   // bool [B, N], undefined if there is none
  at::Tensor weights;   // [B, N], 1 / n_i for each real token of item i, 0 for padding
};

Tokens checked_tokens(const TokenFeatures& tokens, std::int64_t size, std::string_view field) {
  const auto& [given, mask] = tokens;
  check(given.defined() && given.dim() == 3 && given.size(0) == size && given.size(1) > 0 && given.is_floating_point(),
        "[FILIP] {}: expected floating [{}, N, D], got {}", field, size,
        given.defined() ? given.sizes().vec() : std::vector<std::int64_t>());
  Tokens result{widened(given), {}, {}};
  const auto length = given.size(1);
  if (mask.defined()) {
    check(mask.scalar_type() == at::kBool && mask.sizes() == at::IntArrayRef({size, length}),
          "[FILIP] {}: expected a mask bool [{}, {}], got {} {}", field, size, length,
          c10::toString(mask.scalar_type()), mask.sizes().vec());
    result.padding = mask.to(given.device()).logical_not();
    result.features = result.features.masked_fill(result.padding.unsqueeze(2), 0.0);
    const auto counts = mask.to(result.features.options()).sum(1, /*keepdim=*/true);
    const auto empty = (counts == 0).squeeze(1).nonzero();
    check(empty.size(0) == 0, "[FILIP] {}: every token of item {} is masked", field,
          empty.size(0) > 0 ? empty[0][0].item<std::int64_t>() : 0);
    result.weights = mask.to(counts.options()) / counts;
  } else {
    result.weights = at::full({size, length}, 1.0 / static_cast<double>(length), result.features.options());
  }
  checked_unit_rows(result.features.flatten(0, 1), "FILIP", field);
  return result;
}

/// How similar each item of `rows` of x is to all items of y: the mean over its tokens of the most similar token of the
/// other. [n, B]
at::Tensor late_interaction(const at::Tensor& x, const at::Tensor& weights, RowRange rows, const at::Tensor& y,
                            const at::Tensor& padding) {
  const auto own = narrowed(x, rows);
  auto cosines = product(own.flatten(0, 1), y.flatten(0, 1)).unflatten(1, {y.size(0), y.size(1)});
  if (padding.defined()) cosines = cosines.masked_fill(padding, -std::numeric_limits<double>::infinity());
  const auto best = std::get<0>(cosines.max(2)).unflatten(0, {rows.count, x.size(1)});  // [n, N, B]
  return at::matmul(narrowed(weights, rows).unsqueeze(1), best).squeeze(1);
}

/// sum_i of the cross-entropy of finding the own item of y.
at::Tensor cross_entropy(const Tokens& x, const Tokens& y, const at::Tensor& scale, RowRange own) {
  const auto of_block = [&](const std::vector<at::Tensor>& in, RowRange rows) {
    const auto logits = in[2] * late_interaction(in[0], x.weights, rows, in[1], y.padding);
    return -at::log_softmax(logits, 1).diagonal(rows.begin).sum();
  };
  return sum_over_rows({x.features, y.features, scale}, own, x.features.size(1) * y.weights.numel(), of_block);
}

}  // namespace

at::Tensor FILIP::forward(const ContrastiveBatch& batch) const {
  const auto size = batch.image.size(0);
  const auto image = checked_tokens(batch.image_tokens, size, "image_tokens");
  const auto text = checked_tokens(batch.text_tokens, size, "text_tokens");
  check(image.features.size(2) == text.features.size(2),
        "[FILIP] text_tokens: expected tokens of dimension {} as the images', got {}", image.features.size(2),
        text.features.size(2));
  const auto scale = checked_scale(batch, "FILIP", image.features);
  const auto own = own_rows(batch);
  const auto sum = cross_entropy(image, text, scale, own) + cross_entropy(text, image, scale, own);
  return sum / (2.0 * static_cast<double>(own.count));
}

}  // namespace vlalign
