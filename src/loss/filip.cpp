#include "vlalign/loss/filip.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/max.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "core/check.hpp"
#include "kernels/like_lengths.hpp"
#include "kernels/product.hpp"
#include "loss/checked_batch.hpp"
#include "vlalign/loss/tiled.hpp"

namespace vlalign {
namespace {

struct Tokens {
  at::Tensor features;  // [B, N, D], zeros where padding stands
  at::Tensor mask;      // bool [B, N], false where padding stands; undefined if there is none
  Pieces by_length;     // of all items, where there is padding
};

constexpr std::int64_t most_pieces = 8;
constexpr std::int64_t smallest_piece = 16;

/// Of items that end where the mask's last token does.
Pieces cut_to_pieces(const at::Tensor& mask) {
  const auto ends = (mask * at::arange(1, mask.size(1) + 1, mask.options().dtype(at::kLong))).amax(1);
  return pieces_of_like_length(ends, std::clamp<std::int64_t>(mask.size(0) / smallest_piece, 1, most_pieces));
}

/// size: B, any without it
void check_features(const at::Tensor& given, std::optional<std::int64_t> size, std::string_view field) {
  if (given.defined() && given.dim() == 3 && given.size(0) == size.value_or(given.size(0)) && given.numel() > 0 &&
      given.is_floating_point())
    return;
  fail("[FILIP] {}: expected floating [{}, N, D], got {}", field, size ? fmt::to_string(*size) : "B",
       given.defined() ? given.sizes().vec() : std::vector<std::int64_t>());
}

Tokens checked_tokens(const TokenFeatures& tokens, std::string_view field) {
  const auto& [given, mask] = tokens;
  Tokens result{widened(given), {}, {}};
  if (mask.defined()) {
    check(mask.scalar_type() == at::kBool && mask.sizes() == given.sizes().slice(0, 2),
          "[FILIP] {}: expected a mask bool [{}, {}], got {} {}", field, given.size(0), given.size(1),
          c10::toString(mask.scalar_type()), mask.sizes().vec());
    result.mask = mask.to(given.device());
    result.features = result.features.masked_fill(~result.mask.unsqueeze(2), 0.0);
    const auto empty = (~result.mask.any(1)).nonzero();
    check(empty.size(0) == 0, "[FILIP] {}: every token of item {} is masked", field,
          empty.size(0) > 0 ? empty[0][0].item<std::int64_t>() : 0);
    result.by_length = cut_to_pieces(result.mask);
  }
  checked_unit_rows(result.features.flatten(0, 1), "FILIP", field);
  return result;
}

/// The cosine of each row of x with the token most like it of each item of y. x: [R, D], y: [B, N, D]. [R, B]
at::Tensor best_cosines(const at::Tensor& x, const at::Tensor& y, const Tokens& of_y) {
  const auto best_of = [&x](const at::Tensor& items, const at::Tensor& padding) {
    auto cosines = product(x, items.flatten(0, 1)).unflatten(1, {items.size(0), items.size(1)});
    if (padding.defined()) cosines = cosines.masked_fill(padding, -std::numeric_limits<double>::infinity());
    return std::get<0>(cosines.max(2));
  };
  if (!of_y.mask.defined()) return best_of(y, {});
  std::vector<at::Tensor> best;
  for (const auto& piece : of_y.by_length.pieces) {
    const auto cut = [&piece](const at::Tensor& padded) {
      return padded.index_select(0, piece.items).narrow(1, 0, piece.longest);
    };
    best.push_back(best_of(cut(y), ~cut(of_y.mask)));
  }
  return at::cat(best, 1).index_select(1, of_y.by_length.order);
}

/// How similar each item of `rows` of x is to all items of y: the mean over its tokens of the most similar token of the
/// other. x: [B, N, D]. [n, B]
at::Tensor late_interaction(const at::Tensor& x, const Tokens& of_x, tiles::RowRange rows, const at::Tensor& y,
                            const Tokens& of_y) {
  const auto length = x.size(1);
  const auto own = narrowed(x, rows).flatten(0, 1);
  if (!of_x.mask.defined()) return best_cosines(own, y, of_y).unflatten(0, {rows.count, length}).mean(1);
  const auto mask = narrowed(of_x.mask, rows);
  const auto real = mask.flatten().nonzero().squeeze(1);
  const auto best = best_cosines(own.index_select(0, real), y, of_y);
  const auto sums = at::zeros({rows.count, y.size(0)}, best.options()).index_add(0, real.floor_divide(length), best);
  return sums / mask.sum(1, /*keepdim=*/true);
}

/// sum_i of the cross-entropy of finding the own item of y.
at::Tensor cross_entropy(const Tokens& x, const Tokens& y, const at::Tensor& scale, tiles::RowRange own) {
  const auto of_block = [&](const std::vector<at::Tensor>& in, tiles::RowRange rows) {
    const auto logits = in[2] * late_interaction(in[0], x, rows, in[1], y);
    return -at::log_softmax(logits, 1).diagonal(rows.begin).sum();
  };
  return tiles::sum_over_rows({x.features, y.features, scale}, own,
                              x.features.size(1) * y.features.size(0) * y.features.size(1), of_block);
}

}  // namespace

at::Tensor FILIP::forward(const ContrastiveBatch& batch) const {
  const auto &image_features = batch.image_tokens.features, &text_features = batch.text_tokens.features;
  check_features(image_features, {}, "image_tokens");
  const auto size = image_features.size(0);
  check_features(text_features, size, "text_tokens");
  check(image_features.size(2) == text_features.size(2),
        "[FILIP] text_tokens: expected tokens of dimension {} as the images', got {}", image_features.size(2),
        text_features.size(2));
  check_alike(text_features, image_features, "FILIP", "text_tokens", "image_tokens");
  const auto image = checked_tokens(batch.image_tokens, "image_tokens");
  const auto text = checked_tokens(batch.text_tokens, "text_tokens");
  const auto scale = checked_scale(batch, "FILIP", image.features);
  const auto own = checked_own(batch, "FILIP", size);
  const auto sum = cross_entropy(image, text, scale, own) + cross_entropy(text, image, scale, own);
  return sum / (2.0 * static_cast<double>(own.count));
}

}  // namespace vlalign
