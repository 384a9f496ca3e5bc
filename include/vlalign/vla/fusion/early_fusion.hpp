#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/nn/transformer.hpp"
#include "vlalign/vla/fusion/fusion.hpp"

namespace vlalign::vla {

/// One Transformer over all tokens, [text; visual; state; readouts], each kind of token projected to D with a learned
/// vector of its own added; the normed readouts are the result. Everything sees everything but padding and the
/// readouts, which only readouts see (Octo, Octo Model Team 2024). Places are known as far as the towers' tokens know
/// them.
class VLALIGN_EXPORT EarlyFusion : public Fusion {
 public:
  struct Options {
    std::int64_t layers = 2;
    std::int64_t heads = 4;
    std::int64_t readouts = 1;  ///< M
  };
  EarlyFusion(const FusionSizes& sizes, const Options& options, nn::Initializer& initializer);

  std::shared_ptr<nn::Linear> text_proj, visual_proj;
  Tensor text_embedding, visual_embedding, state_embedding;  ///< [D]; the last undefined without a state
  Tensor readouts;                                           ///< [M, D]
  std::shared_ptr<nn::Transformer> transformer;
  std::shared_ptr<nn::LayerNorm> ln_final;

 protected:
  Tensor fuse(const FusionInput& input) const override;

 private:
  /// Additive [1 or B, 1, T, T].
  Tensor mask(const FusionInput& input, const Tensor& tokens) const;
};

}  // namespace vlalign::vla
