#pragma once

#include <memory>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/nn/checkpointing.hpp"
#include "vlalign/nn/layers.hpp"
#include "vlalign/nn/mlp.hpp"
#include "vlalign/nn/tower.hpp"

namespace vlalign::nn {

/// x + gamma * mlp(norm(depthwise 7x7 convolution(x))), norm and MLP of each place's channels.
class VLALIGN_EXPORT ConvNextBlock : public torch::nn::Module {
 public:
  /// number: of the block among all `blocks` of the tower, by which its stochastic depth goes.
  ConvNextBlock(const ConvNextConfig& config, std::int64_t width, std::int64_t number, Initializer& initializer);
  /// x: [B, W, H, W'], channels innermost; paths: what drawn_paths() gives for it, or undefined.
  Tensor forward(const Tensor& x, const Tensor& paths) const;
  double drop_path() const { return drop_path_; }

  std::shared_ptr<Conv2d> conv_dw;
  std::shared_ptr<Norm> norm;
  std::shared_ptr<Mlp> mlp;
  Tensor gamma;  ///< [W]; undefined without a layer scale

 private:
  double drop_path_;
};

/// ConvNeXt (Liu et al. 2022): a stem of 4x4 patches, four stages of blocks, each but the first behind a norm and a 2x2
/// convolution that halves the map, average pooling, final norm. Its layers are the stages.
class VLALIGN_EXPORT ConvNext : public Tower, public Checkpointing {
 public:
  ConvNext(const ConvNextConfig& config, Initializer& initializer);
  /// pixels: at least 32 a side.
  at::Tensor forward(const at::Tensor& pixels, at::ScalarType compute) override;
  Features features(const at::Tensor& pixels, at::ScalarType compute, std::span<const std::int64_t> layers) override;
  Features hooked_features(const at::Tensor& pixels, at::ScalarType compute, std::span<const std::int64_t> layers,
                           const LayerHook& hook) override;
  std::vector<std::int64_t> layer_widths() const override { return config_.widths; }
  std::int64_t width() const override { return config_.widths.back(); }
  /// The stem, each block with the convolution in front of it.
  std::int64_t group_count() const override;
  std::int64_t group_of(std::string_view name) const override;

 private:
  struct Stage {
    std::shared_ptr<Norm> norm;    // null in the first
    std::shared_ptr<Conv2d> conv;  // null in the first
    std::vector<std::shared_ptr<ConvNextBlock>> blocks;
  };
  void make_stage(std::size_t number, torch::nn::Module& stages, Initializer& initializer);
  Tensor run(const Stage& stage, Tensor x) const;
  Tensor run(const std::shared_ptr<ConvNextBlock>& block, const Tensor& x) const;

  ConvNextConfig config_;
  std::shared_ptr<Conv2d> stem_conv_;
  std::shared_ptr<Norm> stem_norm_, norm_;
  std::vector<Stage> stages_;
};

/// Which of all blocks a parameter of "stages.<stage>." belongs to, counted from 0 through stages of so many blocks, a
/// stage's first where it is in front of the blocks; none for another name.
VLALIGN_EXPORT std::optional<std::int64_t> staged_block(std::string_view name, const std::vector<std::int64_t>& layers);

}  // namespace vlalign::nn
