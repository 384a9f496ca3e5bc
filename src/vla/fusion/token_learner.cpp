#include "vlalign/vla/fusion/token_learner.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>

#include "vla/check_shape.hpp"

namespace vlalign::vla {

TokenLearner::TokenLearner(std::int64_t width, std::int64_t tokens, nn::Initializer& initializer) {
  check_size(width, "TokenLearner", "width");
  check_size(tokens, "TokenLearner", "tokens");
  norm = register_module("norm", std::make_shared<nn::LayerNorm>(width));
  mlp = register_module("mlp", std::make_shared<nn::FeedForward>(width, bottleneck, tokens, initializer));
}

Tensor TokenLearner::forward(const Tensor& x, const Tensor& logit_weights) const {
  check_shape(x, {any, any, norm->weight.size(0)}, "TokenLearner", "x");
  if (logit_weights.defined()) check_shape(logit_weights, x.sizes().slice(0, 2), "TokenLearner", "logit_weights");
  auto logits = mlp->forward(norm->forward(x));  // [B, N, M]
  if (logit_weights.defined()) logits = logits + logit_weights.unsqueeze(-1);
  const auto selections = at::softmax(logits, 1);
  return at::matmul(selections.transpose(1, 2), x);
}

}  // namespace vlalign::vla
