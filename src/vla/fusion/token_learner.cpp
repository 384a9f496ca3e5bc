#include "vlalign/vla/fusion/token_learner.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>

namespace vlalign::vla {

TokenLearner::TokenLearner(std::int64_t width, std::int64_t tokens, nn::Initializer& initializer) {
  norm = register_module("norm", std::make_shared<nn::LayerNorm>(width));
  mlp = register_module("mlp", std::make_shared<nn::FeedForward>(width, bottleneck, tokens, initializer));
}

Tensor TokenLearner::forward(const Tensor& x) const {
  const auto selections = at::softmax(mlp->forward(norm->forward(x)), 1);  // [B, N, M]
  return at::matmul(selections.transpose(1, 2), x);
}

}  // namespace vlalign::vla
