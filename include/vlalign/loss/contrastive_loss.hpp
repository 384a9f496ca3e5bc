#pragma once

#include <ATen/core/Tensor.h>

#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace vlalign {

/// What a contrastive loss is computed from.
struct ContrastiveBatch {
  at::Tensor image;        ///< [B, D] unit rows, float32
  at::Tensor text;         ///< [B, D] unit rows, float32; row i belongs to image i
  at::Tensor logit_scale;  ///< [] multiplier of the cosines, > 0
};

/// A loss over a batch of aligned embeddings. Derive from it, or give the trainer a lambda:
///
///     Trainer trainer(model, [](const ContrastiveBatch& b) { return (b.image - b.text).square().sum(1).mean(); });
class ContrastiveLoss {
 public:
  virtual ~ContrastiveLoss() = default;

  /// A scalar [] in nats, differentiable with respect to every tensor of the batch.
  virtual at::Tensor forward(const ContrastiveBatch& batch) const = 0;
  virtual std::string name() const = 0;
};

/// A function of a batch that gives a scalar, such as a lambda.
template <typename Function>
concept LossFunction = std::is_invocable_r_v<at::Tensor, Function, const ContrastiveBatch&>;

/// Holds any loss: a class derived from ContrastiveLoss, or a function of a batch.
class AnyLoss {
 public:
  template <std::derived_from<ContrastiveLoss> Loss>
  AnyLoss(Loss loss) : loss_(std::make_shared<Loss>(std::move(loss))) {}

  template <LossFunction Function>
  AnyLoss(Function function) : loss_(from_function(std::move(function))) {}

  const ContrastiveLoss* operator->() const { return loss_.get(); }

 private:
  static std::shared_ptr<const ContrastiveLoss> from_function(
      std::function<at::Tensor(const ContrastiveBatch&)> function);

  std::shared_ptr<const ContrastiveLoss> loss_;
};

}  // namespace vlalign
