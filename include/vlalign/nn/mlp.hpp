#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/nn/layers.hpp"

namespace vlalign::nn {

struct TransformerOptions;

/// The MLP of a block, gated or not: c_fc to the hidden width (twice that where it is gated), an activation, c_proj
/// back.
class VLALIGN_EXPORT Mlp : public torch::nn::Module {
 public:
  Mlp(const TransformerOptions& options, Initializer& initializer);
  /// x: [..., W]; returns the same shape.
  Tensor forward(const Tensor& x) const;

  std::shared_ptr<Linear> c_fc, c_proj;
  std::shared_ptr<Norm> ln_in, ln;  ///< of the input and of the hidden layer; null unless the blocks have them

 private:
  Activation activation_;
  BlockConfig::Mlp kind_;
};

}  // namespace vlalign::nn
