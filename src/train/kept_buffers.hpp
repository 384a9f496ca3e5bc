// What a forward pass changes beside the weights. Internal.
#pragma once

#include <torch/nn/module.h>

#include <string>
#include <utility>
#include <vector>

namespace vlalign {

/// A module's buffers, such as batch norm's statistics, as they were at some moment, kept on their device. A module
/// without buffers costs nothing.
class KeptBuffers {
 public:
  /// Keeps what the buffers hold now.
  explicit KeptBuffers(const torch::nn::Module& module);

  /// Keeps what they hold now, in place of what was kept before.
  void keep();
  /// Puts back what was kept, to the bit.
  void restore() const;

  /// The floating buffers, without those that weren't finite at first, such as a mask.
  const std::vector<at::Tensor>& watched() const { return watched_; }
  /// The largest size of a number in the watched buffers, a scalar [] on their device: NaN or infinite where one of
  /// them isn't finite. Undefined where there are none.
  at::Tensor largest() const;
  /// The name of the first buffer for which largest() isn't finite; empty: none.
  std::string first_not_finite() const;

 private:
  std::vector<at::Tensor> buffers_, kept_;
  std::vector<at::Tensor> watched_;
  std::vector<std::string> watched_names_;
};

}  // namespace vlalign
