#include "vlalign/vla/head/regression_head.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/huber_loss.h>

#include "core/check.hpp"

namespace vlalign::vla {
namespace {

Tensor errors(const Tensor& prediction, const Tensor& actions, RegressionHead::Loss loss) {
  switch (loss) {
    case RegressionHead::Loss::mse:
      return (prediction - actions).square();
    case RegressionHead::Loss::l1:
      return (prediction - actions).abs();
    case RegressionHead::Loss::huber:
      return at::huber_loss(prediction, actions, at::Reduction::None);
  }
  fail("[RegressionHead] unknown loss");
}

}  // namespace

RegressionHead::RegressionHead(std::int64_t width, const ActionShape& shape, const Options& options,
                               nn::Initializer& initializer)
    : ActionHead("RegressionHead", width, shape), loss_(options.loss) {
  mlp = register_module("mlp", std::make_shared<ResidualMlp>(width, options.hidden, options.layers,
                                                             shape.horizon * shape.dims, initializer));
}

Tensor RegressionHead::prediction(const Tensor& features, const at::Generator&) const {
  return mlp->forward(features).unflatten(1, {shape().horizon, shape().dims});
}

Tensor RegressionHead::loss_of(const Tensor& features, const Target& target, const at::Generator& generator) const {
  return mean_over_steps(errors(prediction(features, generator), target.actions, loss_).mean(2), target.mask);
}

}  // namespace vlalign::vla
