#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/nn/transformer.hpp"
#include "vlalign/vla/fusion/fusion.hpp"

namespace vlalign::vla {

/// Learned queries, each with the projected pooled text added, attend to the visual tokens, then an MLP: multi-head
/// attention pooling (Lee et al. 2019; Voltron's and Octo's MAP) that the instruction steers.
class VLALIGN_EXPORT AttentionPooling : public Fusion {
 public:
  struct Options {
    std::int64_t queries = 1;  ///< M
    std::int64_t heads = 4;
  };
  AttentionPooling(const FusionSizes& sizes, const Options& options, nn::Initializer& initializer);

  Tensor queries;  ///< [M, D]
  std::shared_ptr<nn::Linear> visual_proj, text_proj;
  std::shared_ptr<nn::ResidualBlock> block;
  std::shared_ptr<nn::LayerNorm> ln_final;

 protected:
  Tensor fuse(const FusionInput& input) const override;
};

}  // namespace vlalign::vla
