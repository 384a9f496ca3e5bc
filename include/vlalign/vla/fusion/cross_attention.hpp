#pragma once

#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/nn/transformer.hpp"
#include "vlalign/vla/fusion/fusion.hpp"

namespace vlalign::vla {

/// One modality's tokens ask, the other's answer: pre-norm blocks q + attention(q, keys), then + MLP, both projected to
/// D (Vaswani et al. 2017, the decoder's second attention).
class VLALIGN_EXPORT CrossAttention : public Fusion {
 public:
  enum class Queries {
    text,    ///< words look at places; the mean over the text's tokens is the result, M = 1
    visual,  ///< places look at words; M = N
  };
  struct Options {
    Queries queries = Queries::text;
    std::int64_t layers = 1;
    std::int64_t heads = 4;
  };
  CrossAttention(const FusionSizes& sizes, const Options& options, nn::Initializer& initializer);

  std::shared_ptr<nn::Linear> visual_proj, text_proj;
  std::vector<std::shared_ptr<nn::ResidualBlock>> blocks;  ///< registered as block0, ...; ln_1 norms queries and keys
  std::shared_ptr<nn::LayerNorm> ln_final;

 protected:
  Tensor fuse(const FusionInput& input) const override;

 private:
  Queries queries_;
};

}  // namespace vlalign::vla
