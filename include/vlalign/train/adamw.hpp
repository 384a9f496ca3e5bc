#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/ranks/shard.hpp"
#include "vlalign/train/optimizer_options.hpp"

namespace vlalign {

/// AdamW (Loshchilov & Hutter 2019) through ATen's fused operator. Vectors and scalars (biases, gains, the logit scale)
/// and a tower's position and class embeddings are not decayed, as in open_clip; nor are BERT's positions and token
/// types, which it does decay: the rows that no caption reaches would shrink unseen. A sparse gradient of some of a
/// table's rows is that of the whole table, zero elsewhere: moments and decay go on in every row.
class VLALIGN_EXPORT AdamW {
 public:
  using NamedParameters = std::vector<std::pair<std::string, at::Tensor>>;

  /// Parameters that don't require a gradient are left alone. Throws Error on options and factors out of range, on a
  /// name that is there twice and on a parameter with gaps in its memory.
  ///   factors: on the learning rate, by name, >= 0; 1 for those that are not in it
  ///   ranks: that hold a part of the moments each (ZeRO's first stage, Rajbhandari et al. 2020) and have the same
  ///   parameters; each updates its part and gets the others'. The weights are those of an AdamW alone, to the bit.
  AdamW(const NamedParameters& parameters, const AdamWOptions& options,
        const std::map<std::string, double>& factors = {}, const Ranks& ranks = {});

  /// One update from the parameters' gradients; those without a gradient stay as they are. On several ranks collective,
  /// and the gradients must be the same on all. Throws Error unless the rate is finite and 0 or more.
  void step(double learning_rate);
  void zero_grad();
  /// Whether a step at this rate moves the parameter: it is one of those that train, has a gradient, and its factor
  /// isn't 0.
  bool moves(const at::Tensor& parameter, double learning_rate) const;

  /// The L2 norm over all gradients, float32 scalar.
  at::Tensor grad_norm() const;
  /// Scales all gradients by max_norm / (norm + 1e-6) where that is below 1, as torch.nn.utils.clip_grad_norm_.
  void clip_grad_norm(const at::Tensor& norm, double max_norm);

  /// Moments and step counts, "NAME.exp_avg", "NAME.exp_avg_sq", "NAME.step". They share the optimizer's memory, so
  /// that distributing into them restores.
  NamedShards state() const;

 private:
  /// Parameters of one weight decay and one factor on the learning rate.
  struct Group {
    double weight_decay = 0.0;
    double factor = 1.0;
    std::vector<std::string> names;
    std::vector<at::Tensor> parameters, steps;
    std::vector<Shard> exp_avg, exp_avg_sq;
    std::vector<at::Tensor> dense;  ///< zeros, kept for the sparse gradients that are laid into them for a step

    at::Tensor dense_gradient(std::size_t i);
    std::vector<at::Tensor> step(double learning_rate, const AdamWOptions& options);
  };
  std::vector<at::Tensor> gradients() const;

  AdamWOptions options_;
  Ranks ranks_;
  std::vector<Group> groups_;
};

}  // namespace vlalign
