// Tensors made of several parameters, kept like KeptWeight's. Internal.
#pragma once

#include <c10/util/FunctionRef.h>
#include <c10/util/SmallVector.h>

#include <mutex>
#include <vector>

#include "vlalign/nn/layers.hpp"

namespace vlalign::nn {

/// What inference computes with in place of several parameters and running statistics, made once and kept until one of
/// them changes. A batch norm's statistics move without being counted: num_batches_tracked, which is, stands for them.
/// Safe to call from several threads.
class KeptForm {
 public:
  using Form = c10::SmallVector<Tensor, 2>;  // so that a copy asks for no memory

  /// make(), without a graph; it reads `sources` and gives tensors for that dtype.
  Form operator()(const std::vector<Tensor>& sources, at::ScalarType dtype, c10::function_ref<Form()> make) const;

 private:
  struct State {
    const void* memory;
    std::uint32_t version;
    friend bool operator==(const State&, const State&) = default;
  };
  static State state_of(const Tensor& source);

  mutable std::mutex mutex_;
  mutable Form kept_;
  mutable at::ScalarType dtype_ = at::kFloat;
  mutable std::vector<State> states_;
};

}  // namespace vlalign::nn
