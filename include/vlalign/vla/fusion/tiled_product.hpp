#pragma once

#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/nn/feed_forward.hpp"
#include "vlalign/vla/fusion/fusion.hpp"

namespace vlalign::vla {

/// Maps of several scales, each projected to D channels and multiplied at every place with the projected text, as in
/// CLIPort's decoder (Shridhar et al. 2021, "mult"). CLIPort goes on to pixels; here each product becomes a vector,
/// what there is (the mean of its GELU) and where it is (each channel's spatial softmax as an expected place, Levine et
/// al. 2016), and an MLP joins the scales' vectors to one.
class VLALIGN_EXPORT TiledProduct : public Fusion {
 public:
  struct Options {
    std::int64_t hidden = 512;
  };
  TiledProduct(const FusionSizes& sizes, const Options& options, nn::Initializer& initializer);

  std::vector<std::shared_ptr<nn::Linear>> visual_projs, text_projs;  ///< registered as visual_proj0, text_proj0, ...
  std::shared_ptr<nn::FeedForward> mlp;

 protected:
  Tensor fuse(const FusionInput& input) const override;
};

/// Tokens [B, N, C] of a square grid, with or without a class token in front, as a map [B, C, S, S].
/// Throws Error when N is neither a square nor one more.
VLALIGN_EXPORT Tensor tokens_to_map(const Tensor& tokens);

}  // namespace vlalign::vla
