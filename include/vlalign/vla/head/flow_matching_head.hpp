#pragma once

#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/vla/head/action_head.hpp"
#include "vlalign/vla/head/residual_mlp.hpp"

namespace vlalign::vla {

/// Flow matching as in pi0 (Black et al. 2024): with noise e ~ N(0, 1) and a time t,
///
///     x_t = t e + (1 - t) a,    L = mean (v(x_t, t | features) - (e - a))^2,    t = 0.999 u + 0.001, u ~ Beta(1.5, 1)
///
/// so that t = 1 is noise and low noise is drawn less often. A prediction follows v from noise at t = 1 to t = 0 in
/// Euler steps. v is a residual MLP over features, x_t and sines of t. For actions of about unit size.
class VLALIGN_EXPORT FlowMatchingHead : public ActionHead {
 public:
  struct Options {
    std::int64_t hidden = 256;
    std::int64_t layers = 3;
    std::int64_t steps = 10;  ///< pi0's
  };
  FlowMatchingHead(std::int64_t width, const ActionShape& shape, const Options& options, nn::Initializer& initializer);

  /// v: features [B, D], x: [B, H, A], t: [B] in [0, 1]; returns [B, H, A].
  Tensor velocity(const Tensor& features, const Tensor& x, const Tensor& t) const;
  /// noise: [B, H, A]; returns [B, H, A] without a graph. predict() draws the noise.
  Tensor predict_from(const Tensor& features, const Tensor& noise) const;
  /// Euler steps of a prediction.
  std::int64_t steps() const { return steps_; }
  /// loss() with given draws, whose noise and times it takes from the generator, in that order.
  ///   noise: [B, H, A]; t: [B]
  Tensor loss_at(const Tensor& features, const Tensor& actions, const Tensor& mask, const Tensor& noise,
                 const Tensor& t) const;
  /// N(0, 1), float32 [B, H, A] on the CPU.
  Tensor draw_noise(std::int64_t batch, const at::Generator& generator) const;
  /// float32 [B] on the CPU.
  static Tensor draw_times(std::int64_t batch, const at::Generator& generator);

  std::shared_ptr<ResidualMlp> mlp;

 protected:
  Tensor loss_of(const Tensor& features, const Target& target, const at::Generator& generator) const override;
  Tensor prediction(const Tensor& features, const at::Generator& generator) const override;

 private:
  std::int64_t steps_;
};

}  // namespace vlalign::vla
