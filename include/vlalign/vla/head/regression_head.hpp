#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/vla/head/action_head.hpp"
#include "vlalign/vla/head/residual_mlp.hpp"

namespace vlalign::vla {

/// A residual MLP to the whole chunk; the loss is the mean over a step's numbers of f(prediction - action).
class VLALIGN_EXPORT RegressionHead : public ActionHead {
 public:
  enum class Loss {
    mse,    ///< x^2
    l1,     ///< |x| (ACT, OpenVLA-OFT)
    huber,  ///< x^2 / 2 up to |x| = 1, |x| - 1/2 beyond (BC-Z)
  };
  struct Options {
    Loss loss = Loss::l1;
    std::int64_t hidden = 256;
    std::int64_t layers = 3;
  };
  RegressionHead(std::int64_t width, const ActionShape& shape, const Options& options, nn::Initializer& initializer);

  std::shared_ptr<ResidualMlp> mlp;

 protected:
  Tensor loss_of(const Tensor& features, const Target& target, const at::Generator& generator) const override;
  Tensor prediction(const Tensor& features, const at::Generator& generator) const override;

 private:
  Loss loss_;
};

}  // namespace vlalign::vla
