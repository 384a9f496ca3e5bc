#pragma once

#include <memory>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/nn/checkpointing.hpp"
#include "vlalign/nn/layers.hpp"
#include "vlalign/nn/tower.hpp"

namespace vlalign::nn {

class ConditionalPositions;
class FastVitBlock;
class ReparamConv;

/// FastViT (Vasu et al. 2023) as MobileCLIP's (Vasu et al. 2024): a stem of three convolutions, stages of blocks that
/// mix places by depthwise convolutions and in the last ones by attention, a last convolution that doubles the
/// channels, average pooling. Each stage but the first begins with a 7x7 convolution that halves the map. While it
/// trains, its convolutions are sums of branches with batch norms; without gradients in evaluation each such sum is
/// one convolution, made anew when a parameter or a running statistic changes. Its layers are the stages.
class VLALIGN_EXPORT FastVit : public Tower, public Checkpointing {
 public:
  FastVit(const FastVitConfig& config, Initializer& initializer);
  at::Tensor forward(const at::Tensor& pixels, at::ScalarType compute) override;
  Features features(const at::Tensor& pixels, at::ScalarType compute, std::span<const std::int64_t> layers) override;
  Features hooked_features(const at::Tensor& pixels, at::ScalarType compute, std::span<const std::int64_t> layers,
                           const LayerHook& hook) override;
  std::vector<std::int64_t> layer_widths() const override { return config_.widths; }
  std::int64_t width() const override { return 2 * config_.widths.back(); }
  /// The stem, each block with what stands in front of it, the last convolution.
  std::int64_t group_count() const override;
  std::int64_t group_of(std::string_view name) const override;

 private:
  struct Stage {
    std::vector<std::shared_ptr<ReparamConv>> downsample;  // empty in the first
    std::shared_ptr<ConditionalPositions> positions;       // null but in the stages that attend
    std::vector<std::shared_ptr<FastVitBlock>> blocks;
  };
  void make_stem(Initializer& initializer);
  void make_stage(std::size_t number, torch::nn::Module& stages, Initializer& initializer);
  std::vector<std::shared_ptr<ReparamConv>> make_downsample(std::size_t number, torch::nn::Module& place,
                                                            Initializer& initializer) const;
  Tensor run(const Stage& stage, Tensor x);
  Tensor run(const std::shared_ptr<FastVitBlock>& block, const Tensor& x);
  std::int64_t block_count() const;

  FastVitConfig config_;
  std::vector<std::shared_ptr<ReparamConv>> stem_;
  std::vector<Stage> stages_;
  std::shared_ptr<ReparamConv> final_conv_;
};

}  // namespace vlalign::nn
