#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/ranks/shard.hpp"
#include "vlalign/train/optimizer_options.hpp"

namespace vlalign {

/// Updates parameters from their gradients, by the method whose options it is given.
///
///     Optimizer optimizer(parameters, LionOptions{.weight_decay = 1.0});
///
/// Vectors and scalars (biases, gains, the logit scale) and a tower's position and class embeddings are not decayed, as
/// in open_clip; nor are BERT's positions and token types, which it does decay: the rows that no caption reaches would
/// shrink unseen. A sparse gradient of some of a table's rows is that of the whole table, zero elsewhere: moments and
/// decay go on in every row.
class VLALIGN_EXPORT Optimizer {
 public:
  using NamedParameters = std::vector<std::pair<std::string, at::Tensor>>;

  /// Parameters that don't require a gradient are left alone. Throws Error on options and factors out of range, on a
  /// name that is there twice and on a parameter with gaps in its memory.
  ///   factors: on the learning rate, by name, >= 0; 1 for those that are not in it
  ///   ranks: that hold a part of the moments each (ZeRO's first stage, Rajbhandari et al. 2020) and have the same
  ///   parameters; each updates its part and gets the others'. The weights are those of an optimizer alone, to the bit.
  Optimizer(const NamedParameters& parameters, const OptimizerOptions& options,
            const std::map<std::string, double>& factors = {}, const Ranks& ranks = {});
  Optimizer(Optimizer&&) noexcept;
  Optimizer& operator=(Optimizer&&) noexcept;
  ~Optimizer();

  /// One update from the parameters' gradients; those without a gradient stay as they are. On several ranks collective,
  /// and the gradients must be the same on all. Throws Error unless the rate is finite and 0 or more.
  void step(double learning_rate);
  void zero_grad();
  /// Whether a step at this rate moves the parameter: it is one of those that train, has a gradient, and its factor
  /// isn't 0.
  bool moves(const at::Tensor& parameter, double learning_rate) const;

  /// The gradients that there are; of a sparse one, the values.
  std::vector<at::Tensor> gradients() const;
  /// The L2 norm over all gradients, float32 scalar.
  at::Tensor grad_norm() const;
  /// Scales all gradients by max_norm / (norm + 1e-6) where that is below 1, as torch.nn.utils.clip_grad_norm_.
  void clip_grad_norm(const at::Tensor& norm, double max_norm);

  /// Moments and, where the method counts, step counts: "NAME.exp_avg", "NAME.exp_avg_sq" and "NAME.step" of AdamW and
  /// LAMB, "NAME.exp_avg" of Lion, "NAME.momentum_buffer" of Muon. They share the optimizer's memory, so that
  /// distributing into them restores.
  NamedShards state() const;

 private:
  struct VLALIGN_HIDDEN State;
  std::unique_ptr<State> state_;
};

}  // namespace vlalign
