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
  std::array<std::vector<at::Tensor>, embeddings.size()> parts;
  {
    const at::NoGradGuard no_graph;
    for (std::int64_t k = 0; k < pieces; ++k) {
      auto piece = encode(k);
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
    send_back(piece, whole, begin);
    begin += piece.image.size(0);
  }
  return value.detach();
}

}  // namespace vlalign
