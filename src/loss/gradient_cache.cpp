#include "vlalign/loss/gradient_cache.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>

#include <array>
#include <vector>

#include "core/check.hpp"
#include "loss/checked_value.hpp"

namespace vlalign {
namespace {

/// What the towers make of a piece.
constexpr std::array embeddings{
    +[](ContrastiveBatch& b) -> at::Tensor& { return b.image; },
    +[](ContrastiveBatch& b) -> at::Tensor& { return b.text; },
    +[](ContrastiveBatch& b) -> at::Tensor& { return b.image_tokens.features; },
    +[](ContrastiveBatch& b) -> at::Tensor& { return b.text_tokens.features; },
    +[](ContrastiveBatch& b) -> at::Tensor& { return b.second_image; },
    +[](ContrastiveBatch& b) -> at::Tensor& { return b.frames; },
    +[](ContrastiveBatch& b) -> at::Tensor& { return b.teacher_image; },
    +[](ContrastiveBatch& b) -> at::Tensor& { return b.teacher_text; },
    +[](ContrastiveBatch& b) -> at::Tensor& { return b.image_tokens.mask; },
    +[](ContrastiveBatch& b) -> at::Tensor& { return b.text_tokens.mask; },
};
constexpr std::size_t without_gradient = 6;  // the first of them

/// What all pieces so far hold of each embedding.
using Parts = std::array<std::vector<at::Tensor>, embeddings.size()>;

/// Whether a part can lie behind those of the pieces before.
bool continues(const at::Tensor& part, const std::vector<at::Tensor>& before, bool is_first) {
  if (is_first || !part.defined()) return before.empty();
  if (before.empty() || part.dim() != before.front().dim()) return false;
  const auto& first = before.front();
  return part.sizes().slice(1) == first.sizes().slice(1) && part.scalar_type() == first.scalar_type();
}

void check_piece(ContrastiveBatch& piece, const Parts& before, std::int64_t number) {
  check(piece.image.defined() && piece.image.dim() > 0, "[backward_in_pieces] encode({}): expected an image [b, D]",
        number);
  for (std::size_t i = 0; i < embeddings.size(); ++i)
    check(continues(embeddings[i](piece), before[i], number == 0),
          "[backward_in_pieces] encode({}): expected the embeddings, sizes and dtypes of the first piece", number);
}

/// The gradient of sum <embedding, gradient of the loss> over a piece.
void send_back(ContrastiveBatch& piece, ContrastiveBatch& whole, std::int64_t begin) {
  at::Tensor surrogate;
  for (std::size_t i = 0; i < without_gradient; ++i) {
    const auto& part = embeddings[i](piece);
    if (!part.defined() || !part.requires_grad()) continue;
    const auto gradient = embeddings[i](whole).grad();
    if (!gradient.defined()) continue;  // the loss doesn't use it
    const auto term = (part * gradient.narrow(0, begin, part.size(0))).sum();
    surrogate = surrogate.defined() ? surrogate + term : term;
  }
  if (surrogate.defined()) surrogate.backward();
}

}  // namespace

at::Tensor backward_in_pieces(const ContrastiveLoss& loss, std::int64_t pieces,
                              const std::function<ContrastiveBatch(std::int64_t)>& encode, ContrastiveBatch& whole) {
  check(at::GradMode::is_enabled(), "[backward_in_pieces] gradients are switched off, as by at::NoGradGuard");
  check(pieces > 0, "[backward_in_pieces] pieces: expected at least 1, got {}", pieces);
  check(encode != nullptr, "[backward_in_pieces] encode: expected a function, got an empty one");
  Parts parts;
  std::vector<std::int64_t> rows;  // of each piece
  {
    const at::NoGradGuard no_graph;
    for (std::int64_t k = 0; k < pieces; ++k) {
      auto piece = encode(k);
      check_piece(piece, parts, k);
      rows.push_back(piece.image.size(0));
      for (std::size_t i = 0; i < embeddings.size(); ++i)
        if (embeddings[i](piece).defined()) parts[i].push_back(embeddings[i](piece));
    }
    for (std::size_t i = 0; i < embeddings.size(); ++i)
      if (!parts[i].empty()) embeddings[i](whole) = at::cat(std::exchange(parts[i], {}));
  }
  for (std::size_t i = 0; i < without_gradient; ++i)
    if (embeddings[i](whole).defined()) embeddings[i](whole).set_requires_grad(true);

  const auto value = checked_value(loss, whole, "[backward_in_pieces] ");
  value.backward();
  for (std::int64_t k = 0, begin = 0; k < pieces; ++k) {
    auto piece = encode(k);
    const auto again = piece.image.defined() && piece.image.dim() > 0 ? piece.image.size(0) : 0;
    const auto before = rows[static_cast<std::size_t>(k)];
    check(again == before, "[backward_in_pieces] encode({}): gave {} rows at first, {} the second time", k, before,
          again);
    send_back(piece, whole, begin);
    begin += piece.image.size(0);
  }
  return value.detach();
}

}  // namespace vlalign
