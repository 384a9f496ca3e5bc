#pragma once

#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/vla/head/action_head.hpp"
#include "vlalign/vla/head/residual_mlp.hpp"

namespace vlalign::vla {

/// Each number of an action as one of K bins of equal width on [low, high], with a softmax of its own (RT-1, Brohan et
/// al. 2022; OpenVLA, Kim et al. 2024). The loss is the mean cross-entropy of a step's numbers, in nats; values outside
/// count to the outermost bins. Predicted is the centre of the likeliest bin, so within half a bin of what was learnt.
class VLALIGN_EXPORT BinsHead : public ActionHead {
 public:
  struct Options {
    std::int64_t bins = 256;        ///< K
    std::vector<double> low{-1.0};  ///< for each of the A numbers, or one for all
    std::vector<double> high{1.0};  ///< above low
    std::int64_t hidden = 256;
    std::int64_t layers = 3;
  };
  BinsHead(std::int64_t width, const ActionShape& shape, const Options& options, nn::Initializer& initializer);

  /// [B, H, A, K]
  Tensor logits(const Tensor& features) const;
  /// actions: [..., A]; returns int64 [..., A] in [0, K).
  Tensor bin_of(const Tensor& actions) const;
  /// bins: int64 [..., A]; returns [..., A], each bin's centre.
  Tensor centre_of(const Tensor& bins) const;

  std::shared_ptr<ResidualMlp> mlp;
  Tensor low, bin_width;  ///< [A], buffers

 protected:
  Tensor loss_of(const Tensor& features, const Target& target, const at::Generator& generator) const override;
  Tensor prediction(const Tensor& features, const at::Generator& generator) const override;

 private:
  std::int64_t bins_;
};

}  // namespace vlalign::vla
