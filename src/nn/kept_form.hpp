// Tensors made of several parameters, kept like KeptWeight's. Internal.
#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include "vlalign/nn/layers.hpp"

namespace vlalign::nn {

/// What inference computes with in place of several parameters and running statistics, made once and kept until one of
/// them changes. A batch norm's statistics move without being counted: num_batches_tracked, which is, stands for them.
/// Safe to call from several threads.
class KeptForm {
 public:
  /// make(), without a graph; it reads `sources` and gives tensors for that dtype.
  std::vector<Tensor> operator()(const std::vector<Tensor>& sources, at::ScalarType dtype,
                                 const std::function<std::vector<Tensor>()>& make) const;

 private:
  struct State {
    const void* memory;
    std::uint32_t version;
    friend bool operator==(const State&, const State&) = default;
  };
  static State state_of(const Tensor& source);

  mutable std::mutex mutex_;
  mutable std::vector<Tensor> kept_;
  mutable at::ScalarType dtype_ = at::kFloat;
  mutable std::vector<State> states_;
};

}  // namespace vlalign::nn
