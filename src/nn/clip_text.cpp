#include "vlalign/nn/clip_text.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/full.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "core/check.hpp"

namespace vlalign::nn {
namespace {

/// Additive [L, L]: a token sees itself and what stands before it.
at::Tensor causal_mask(std::int64_t length, const at::TensorOptions& options) {
  return at::full({length, length}, -std::numeric_limits<double>::infinity(), options).triu_(1);
}

/// Rows a piece of a batch should have at least to be worth a pass of its own.
constexpr std::int64_t smallest_piece = 32;
constexpr std::int64_t most_pieces = 4;

}  // namespace

ClipText::ClipText(const TextConfig& config, bool quick_gelu, Initializer& initializer) : width_(config.width) {
  check(config.heads > 0 && config.width % config.heads == 0, "[ClipText] width {} is not a multiple of heads {}",
        config.width, config.heads);
  const auto table = register_module("token_embedding", std::make_shared<torch::nn::Module>());
  token_embedding = table->register_parameter("weight", initializer.normal({config.vocab_size, config.width}, 0.02));
  positional_embedding =
      register_parameter("positional_embedding", initializer.normal({config.context_length, config.width}, 0.01));
  const TransformerOptions options{.width = config.width,
                                   .heads = config.heads,
                                   .layers = config.layers,
                                   .mlp_ratio = config.mlp_ratio,
                                   .quick_gelu = quick_gelu,
                                   .clip_text_init = true};
  transformer = register_module("transformer", std::make_shared<Transformer>(options, initializer));
  ln_final = register_module("ln_final", std::make_shared<LayerNorm>(config.width));
}

at::Tensor ClipText::forward(const at::Tensor& tokens, at::ScalarType compute) {
  check(tokens.size(1) <= positional_embedding.size(0), "[ClipText] tokens: expected at most {} a text, got {}",
        positional_embedding.size(0), tokens.size(1));
  const auto end = tokens.argmax(-1);
  const auto pieces = std::min(most_pieces, tokens.size(0) / smallest_piece);
  if (!tokens.is_cpu() || pieces < 2) return forward_piece(tokens, end, compute);

  // Texts of like length together, each piece cut to its own longest: the same rows for less padding.
  const auto order = end.argsort(/*stable=*/true);
  std::vector<at::Tensor> rows;
  for (const auto& piece : order.tensor_split(pieces)) {
    const auto ends = end.index_select(0, piece);
    const auto longest = ends.max().item<std::int64_t>() + 1;
    rows.push_back(forward_piece(tokens.index_select(0, piece).narrow(1, 0, longest), ends, compute));
  }
  return at::cat(rows).index_select(0, order.argsort());
}

at::Tensor ClipText::forward_piece(const at::Tensor& tokens, const at::Tensor& end, at::ScalarType compute) {
  const auto length = tokens.size(1);
  const auto x = (at::embedding(token_embedding, tokens) + positional_embedding.narrow(0, 0, length)).to(compute);
  return ln_final->forward(transformer->forward_pooled(x, causal_mask(length, x.options()), end));
}

}  // namespace vlalign::nn
