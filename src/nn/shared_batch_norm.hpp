// Batch normalisation over several processes. Internal.
#pragma once

#include <memory>
#include <vector>

#include "vlalign/nn/layers.hpp"

namespace vlalign::nn {

/// What at::batch_norm gives in training to a batch of all rows of the norm's ranks, this rank's part of it, with its
/// exact gradient; moves the norm's running statistics alike on each. Two exchanges of numbers a channel, one back for
/// each.
///   x: [b, C, H, W], this rank's rows, at least one
Tensor batch_norm_over_ranks(const Tensor& x, const BatchNorm2d& norm);

/// What goes through a module's norms counts for nothing in their statistics as long as this lives: rows that a rank
/// makes up where it has none.
class UncountedRows {
 public:
  explicit UncountedRows(const torch::nn::Module& module);
  UncountedRows(const UncountedRows&) = delete;
  UncountedRows& operator=(const UncountedRows&) = delete;
  ~UncountedRows();

 private:
  std::vector<std::shared_ptr<BatchNorm2d>> norms_;
};

/// All batch norms below a module.
std::vector<std::shared_ptr<BatchNorm2d>> batch_norms(const torch::nn::Module& module);

}  // namespace vlalign::nn
