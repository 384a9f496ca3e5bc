// A module's weights as a control loop uses them. Internal.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace vlalign::nn {

/// Weights that are laid out for inference once and shared with whoever else has the module. Safe to call from several
/// threads.
class LiveWeights {
 public:
  /// Puts the module into evaluation mode and, where it lies on a CPU, has inference keep its weights in the order a
  /// CPU reads fastest from now on. Throws Error naming the first weight that isn't finite.
  ///   owner: for messages; a literal
  LiveWeights(std::shared_ptr<torch::nn::Module> module, const char* owner);

  /// Evaluation mode again, where something has set training mode since.
  void evaluate() const;

  /// Grows with each change of a weight that is counted: those by operators, not by a write through a pointer or
  /// data().
  std::uint64_t version() const;

  /// Counts one change of every weight, so that what was made from them is made again, and packs layers that are new.
  /// Throws as the constructor does, and then counts none.
  void refresh() const;

 private:
  void check_weights() const;
  void pack() const;

  std::shared_ptr<torch::nn::Module> module_;
  const char* owner_;
  std::vector<at::Tensor> weights_;
};

}  // namespace vlalign::nn
