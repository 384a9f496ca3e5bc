// What turns a fused vector into actions. Like include/vlalign/nn, these headers cost <torch/nn/module.h>.
#pragma once

#include <string>

#include "vlalign/core/export.hpp"
#include "vlalign/nn/feed_forward.hpp"
#include "vlalign/vla/action_shape.hpp"

namespace vlalign::vla {

using at::Tensor;

/// Learns and predicts chunks of actions from features. Everything is computed in float32 (float64 in a float64
/// module). Random numbers come from the caller's generator, one on the CPU, alone, so that one that is keyed by (seed,
/// step) makes a run resume to the same bits, on any device; heads that draw none ignore it.
class VLALIGN_EXPORT ActionHead : public torch::nn::Module {
 public:
  /// features: [B, D], any floating dtype; actions: [B, H, A]; mask: bool [B, H], false for steps that don't count
  /// (behind an episode's end), whose actions are taken for 0, or undefined. Returns a scalar [], the mean over the
  /// steps that count, 0 when none does. Throws Error on other shapes.
  Tensor loss(const Tensor& features, const Tensor& actions, const Tensor& mask = {},
              const at::Generator& generator = {}) const;

  /// features: [B, D]; returns [B, H, A] without a graph.
  Tensor predict(const Tensor& features, const at::Generator& generator = {}) const;

  const ActionShape& shape() const { return shape_; }
  std::int64_t width() const { return width_; }

 protected:
  /// name: for messages; width: D.
  ActionHead(std::string name, std::int64_t width, const ActionShape& shape);

  struct Target {
    Tensor actions;  ///< [B, H, A], on the features' device and of their dtype
    Tensor mask;     ///< [B, H], or undefined
  };
  virtual Tensor loss_of(const Tensor& features, const Target& target, const at::Generator& generator) const = 0;
  virtual Tensor prediction(const Tensor& features, const at::Generator& generator) const = 0;

  /// per_step: [B, H]; returns [].
  static Tensor mean_over_steps(const Tensor& per_step, const Tensor& mask);

 private:
  Tensor checked_features(const Tensor& features) const;

  std::string name_;
  std::int64_t width_;
  ActionShape shape_;
};

}  // namespace vlalign::vla
