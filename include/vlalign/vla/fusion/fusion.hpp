// Fusion of what the towers see and read into what an action head takes. include/vlalign/vla/fusion and .../head are,
// like include/vlalign/nn, for people who build on torch::nn modules: they cost <torch/nn/module.h>.
#pragma once

#include <string>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/nn/layers.hpp"

namespace vlalign::vla {

using at::Tensor;

/// Widths of what goes in, 0 (or none) where a fusion has no need of it, and of what comes out: 16,384 at most.
struct FusionSizes {
  std::int64_t visual_tokens = 0;    ///< Dv
  std::int64_t pooled_visual = 0;    ///< Ev
  std::vector<std::int64_t> maps{};  ///< C of each
  std::int64_t text_tokens = 0;      ///< Dt
  std::int64_t pooled_text = 0;      ///< Et
  std::int64_t joint = 0;            ///< E, of the joint space
  std::int64_t state = 0;            ///< S; 0 for a policy that isn't told the robot's state
  std::int64_t width = 256;          ///< D, of the fused tokens
};

/// Floating tensors of any dtype; a fusion computes in the dtype of its visual input. The fields of Features fit:
/// tokens, pooled or embedding, hidden, mask.
struct FusionInput {
  Tensor visual_tokens{};   ///< [B, N, Dv]; a feature map's places row by row
  Tensor visual_weights{};  ///< [B, N], above 0: each visual token counts as if it stood there so often, in softmaxes
                            ///< and means; laid over maps as a square grid. Undefined: once each. Pointing weighs
                            ///< places itself and takes none
  Tensor pooled_visual{};   ///< [B, Ev]
  std::vector<Tensor> maps{};  ///< of several scales: [B, C, H, W], or tokens [B, N, C] of a square grid, with or
                               ///< without a class token in front
  Tensor text_tokens{};        ///< [B, L, Dt]
  Tensor text_mask{};     ///< bool [B, L], false where padding stands, which then counts for nothing; each text has
                          ///< one token at least. Undefined: all count
  Tensor joint_visual{};  ///< [B, N, E], unit rows: the visual tokens in the joint space
  Tensor joint_words{};   ///< [B, L, E], unit rows: the text tokens there
  Tensor pooled_text{};   ///< [B, Et]
  Tensor state{};         ///< [B, S]
};

/// From both modalities, and the robot's state where there is one, to tokens for an action head.
class VLALIGN_EXPORT Fusion : public torch::nn::Module {
 public:
  /// What a kind of fusion reads; the rest of its input may be undefined.
  struct Needs {
    bool visual_tokens = false, pooled_visual = false, maps = false, text_tokens = false, pooled_text = false;
    bool joint = false;  ///< the tokens of both in the joint space
  };

  /// Returns [B, M, D], all of them real tokens, none of padding; M = 1 where a kind makes one vector.
  /// Throws Error for an input that it needs and that is missing, empty or of another shape than the sizes say, and
  /// when fuse() gives another shape.
  Tensor forward(const FusionInput& input) const;
  /// The mean of forward()'s tokens, [B, D].
  Tensor vector(const FusionInput& input) const;

  /// tokens [B, N, D] whose mean is the weighted mean of those given.
  static Tensor weighted(const Tensor& tokens, const FusionInput& input);

  std::int64_t width() const { return sizes_.width; }
  const FusionSizes& sizes() const { return sizes_; }
  const Needs& needs() const { return needs_; }

  std::shared_ptr<nn::Linear> state_proj;  ///< weight [D, S]; null without a state

 protected:
  /// name: for messages. Throws Error where a needed width is missing.
  Fusion(std::string name, const FusionSizes& sizes, const Needs& needs, nn::Initializer& initializer);

  /// input: only what is needed, checked, of one dtype, with zeros in place of text padding.
  virtual Tensor fuse(const FusionInput& input) const = 0;

  /// What weights add to the logits of a softmax over visual tokens, their logarithms [B, N]; undefined without.
  static Tensor logit_weights(const FusionInput& input, at::ScalarType dtype);
  /// Adds the projected state to each token, as if it were joined to them before the next linear layer.
  Tensor with_state(const Tensor& tokens, const FusionInput& input) const;
  /// Throws Error unless so many heads share the width evenly.
  void check_heads(std::int64_t heads) const;
  std::shared_ptr<nn::Linear> projection(const std::string& name, std::int64_t in, nn::Initializer& initializer);

 private:
  FusionInput prepared(const FusionInput& input) const;
  std::vector<Tensor> prepared_maps(const FusionInput& input, std::int64_t batch, at::ScalarType dtype) const;
  Tensor checked_mask(const FusionInput& input, const Tensor& words, std::int64_t batch) const;
  Tensor take(const Tensor& x, const char* what, at::IntArrayRef shape, at::ScalarType dtype) const;

  std::string name_;
  FusionSizes sizes_;
  Needs needs_;
};

}  // namespace vlalign::vla
