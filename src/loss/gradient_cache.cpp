#include "vlalign/loss/gradient_cache.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "core/check.hpp"
#include "loss/checked_value.hpp"

namespace vlalign {
namespace {

/// A tensor that the towers make of a piece.
struct Embedding {
  at::Tensor& (*of)(ContrastiveBatch&);
  bool has_gradient = true;
  const TokenFeatures& (*tokens)(const ContrastiveBatch&) = nullptr;  ///< those it belongs to: [B, N, ...]
};

constexpr auto image_tokens = +[](const ContrastiveBatch& b) -> const TokenFeatures& { return b.image_tokens; };
constexpr auto text_tokens = +[](const ContrastiveBatch& b) -> const TokenFeatures& { return b.text_tokens; };
constexpr std::array embeddings{
    Embedding{[](ContrastiveBatch& b) -> at::Tensor& { return b.image; }},
    Embedding{[](ContrastiveBatch& b) -> at::Tensor& { return b.text; }},
    Embedding{[](ContrastiveBatch& b) -> at::Tensor& { return b.image_tokens.features; }, true, image_tokens},
    Embedding{[](ContrastiveBatch& b) -> at::Tensor& { return b.text_tokens.features; }, true, text_tokens},
    Embedding{[](ContrastiveBatch& b) -> at::Tensor& { return b.second_image; }},
    Embedding{[](ContrastiveBatch& b) -> at::Tensor& { return b.frames; }},
    Embedding{[](ContrastiveBatch& b) -> at::Tensor& { return b.teacher_image; }, false},
    Embedding{[](ContrastiveBatch& b) -> at::Tensor& { return b.teacher_text; }, false},
    Embedding{[](ContrastiveBatch& b) -> at::Tensor& { return b.image_tokens.mask; }, false, image_tokens},
    Embedding{[](ContrastiveBatch& b) -> at::Tensor& { return b.text_tokens.mask; }, false, text_tokens},
};

/// Rows that come in pieces, in one tensor with room for all: small tensors kept between those that the towers make and
/// drop would leave holes in the memory.
class Rows {
 public:
  bool empty() const { return !rows_.defined(); }

  /// Whether a part can lie behind those before, which may be shorter or longer where they are `padded`.
  bool takes(const at::Tensor& part, bool padded) const {
    const std::size_t alike = padded ? 2 : 1;  // from this dimension on
    return part.dim() == rows_.dim() && part.scalar_type() == rows_.scalar_type() &&
           part.sizes().slice(alike) == rows_.sizes().slice(alike);
  }

  /// Where it is shorter than others, zeros follow.
  ///   pieces: how many parts of this size there may be
  void add(const at::Tensor& part, std::int64_t pieces) {
    auto sizes = part.sizes().vec();
    sizes[0] = count_ == 0 ? pieces * part.size(0) : std::max(rows_.size(0), count_ + part.size(0));
    if (count_ > 0) sizes[1] = std::max(sizes[1], rows_.size(1));
    if (!rows_.defined() || rows_.sizes() != sizes) {
      const auto larger = at::zeros(sizes, part.options());
      if (count_ > 0) larger.narrow(0, 0, count_).narrow(1, 0, rows_.size(1)).copy_(rows_.narrow(0, 0, count_));
      rows_ = larger;
    }
    rows_.narrow(0, count_, part.size(0)).narrow(1, 0, part.size(1)).copy_(part);
    count_ += part.size(0);
  }

  at::Tensor take() { return std::exchange(rows_, {}).narrow(0, 0, std::exchange(count_, 0)); }

 private:
  at::Tensor rows_;  // [room, ...], of which `count_` are filled
  std::int64_t count_ = 0;
};

/// What all pieces so far hold of each embedding.
using Parts = std::array<Rows, embeddings.size()>;

void check_piece(ContrastiveBatch& piece, const Parts& before, std::int64_t number) {
  check(piece.image.dim() >= 2, "[backward_in_pieces] encode({}): expected an image [b, D]", number);
  const bool is_first = before[0].empty();
  for (std::size_t i = 0; i < embeddings.size(); ++i) {
    const auto& part = embeddings[i].of(piece);
    const bool padded = embeddings[i].tokens != nullptr && embeddings[i].tokens(piece).mask.defined();
    const bool fits = !part.defined()
                          ? before[i].empty()
                          : part.dim() >= 2 && (is_first || (!before[i].empty() && before[i].takes(part, padded)));
    check(fits, "[backward_in_pieces] encode({}): expected the embeddings, sizes and dtypes of the first piece",
          number);
  }
}

std::int64_t rows_of(const ContrastiveBatch& piece) {
  return piece.image.defined() && piece.image.dim() > 0 ? piece.image.size(0) : 0;
}

bool is_empty(const ContrastiveBatch& piece) { return !piece.image.defined() && !piece.text.defined(); }

/// The rows of the embeddings' gradient that belong to a part, as long as it is.
at::Tensor own_rows(const at::Tensor& gradient, const at::Tensor& part, std::int64_t begin) {
  check(part.dim() == gradient.dim() && part.size(1) <= gradient.size(1) &&
            part.sizes().slice(2) == gradient.sizes().slice(2),
        "[backward_in_pieces] encode: gave embeddings of other sizes the second time");
  return gradient.narrow(0, begin, part.size(0)).narrow(1, 0, part.size(1));
}

/// The loss's gradient for each embedding; undefined for those that it doesn't use.
using Gradients = std::array<at::Tensor, embeddings.size()>;

/// The embeddings themselves are no longer needed then, and a large batch's take room.
Gradients take_gradients(ContrastiveBatch& whole) {
  Gradients gradients;
  for (std::size_t i = 0; i < embeddings.size(); ++i) {
    const auto embedding = std::exchange(embeddings[i].of(whole), {});
    if (embeddings[i].has_gradient && embedding.defined()) gradients[i] = embedding.grad();
  }
  return gradients;
}

/// The gradient of sum <embedding, gradient of the loss> over a piece.
void send_back(ContrastiveBatch& piece, const Gradients& gradients, std::int64_t begin) {
  at::Tensor surrogate;
  for (std::size_t i = 0; i < embeddings.size(); ++i) {
    const auto& part = embeddings[i].of(piece);
    if (!gradients[i].defined() || !part.defined() || !part.requires_grad()) continue;
    const auto term = (part * own_rows(gradients[i], part, begin)).sum();
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
      rows.push_back(rows_of(piece));
      if (is_empty(piece)) continue;
      check_piece(piece, parts, k);
      for (std::size_t i = 0; i < embeddings.size(); ++i)
        if (const auto& part = embeddings[i].of(piece); part.defined()) parts[i].add(part, pieces - k);
    }
    check(!parts[0].empty(), "[backward_in_pieces] encode: expected an image [b, D] of some piece, got none of any");
    for (std::size_t i = 0; i < embeddings.size(); ++i)
      if (!parts[i].empty()) embeddings[i].of(whole) = parts[i].take();
  }
  for (const auto& embedding : embeddings)
    if (embedding.has_gradient && embedding.of(whole).defined()) embedding.of(whole).set_requires_grad(true);

  auto value = checked_value(loss, whole, "[backward_in_pieces] ");
  value.backward();
  value = value.detach();  // its graph holds the embeddings
  const auto gradients = take_gradients(whole);
  for (std::int64_t k = 0, begin = 0; k < pieces; ++k) {
    auto piece = encode(k);
    const auto again = rows_of(piece);
    const auto before = rows[static_cast<std::size_t>(k)];
    check(again == before, "[backward_in_pieces] encode({}): gave {} rows at first, {} the second time", k, before,
          again);
    if (again > 0) send_back(piece, gradients, begin);
    begin += again;
  }
  return value;
}

}  // namespace vlalign
