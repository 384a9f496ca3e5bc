#pragma once

#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// A weight that may change during the training run: `from` until `begin`, then linearly to `to` at `end`, both shares
/// of the run from 0 to 1.
struct VLALIGN_EXPORT Weight {
  double from = 1.0;
  double to = from;
  double begin = 0.0;
  double end = 1.0;

  double at(double progress) const;
};

/// The weighted sum of losses; uses what any of them uses. A term whose weight is 0 isn't computed.
///
///     WeightedSum({{InfoNCE(), {1.0}}, {CyclicConsistency(), {.from = 0.0, .to = 0.5, .end = 0.1}}})
class VLALIGN_EXPORT WeightedSum : public ContrastiveLoss {
 public:
  struct Term {
    AnyLoss loss;
    Weight weight{};
  };

  /// Throws Error without terms, and for weights that are not finite or shares of the run out of order.
  explicit WeightedSum(std::vector<Term> terms);

  at::Tensor forward(const ContrastiveBatch& batch) const override;
  std::string name() const override;     ///< as make_loss() takes it, such as "infonce+0.5*cyclip"
  std::string options() const override;  ///< those of the terms, each with its name
  BatchParts uses() const override;

 private:
  std::vector<Term> terms_;
};

}  // namespace vlalign
