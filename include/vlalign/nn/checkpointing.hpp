#pragma once

namespace vlalign::nn {

/// A module of blocks that can keep only each block's input for the backward pass, which computes the block again (Chen
/// et al. 2016). DualEncoder::checkpoint_activations() finds it by type.
class Checkpointing {
 public:
  virtual ~Checkpointing() = default;
  bool checkpoints = false;

 protected:
  Checkpointing() = default;
  Checkpointing(const Checkpointing&) = default;
  Checkpointing& operator=(const Checkpointing&) = default;
};

}  // namespace vlalign::nn
