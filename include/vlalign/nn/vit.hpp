#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/nn/attention_pool.hpp"
#include "vlalign/nn/tower.hpp"
#include "vlalign/nn/transformer.hpp"
#include "vlalign/nn/vit_front.hpp"

namespace vlalign::nn {

/// Vision Transformer: patches, class token, registers, positions, ln_pre, blocks, ln_post, pooling; which of them
/// there are is the config's (CLIP: Radford et al. 2021; SigLIP: Zhai et al. 2023). image_size must be at least the
/// patch size; pixels that fill no patch are left out, as the peers do.
class VLALIGN_EXPORT Vit : public Tower {
 public:
  /// embed_dim: the width of Pool::query's queries; unused by the others.
  Vit(const VitConfig& config, std::int64_t image_size, std::int64_t embed_dim, Initializer& initializer);
  at::Tensor forward(const at::Tensor& pixels, at::ScalarType compute) override;
  Features features(const at::Tensor& pixels, at::ScalarType compute, std::span<const std::int64_t> layers) override;
  Features hooked_features(const at::Tensor& pixels, at::ScalarType compute, std::span<const std::int64_t> layers,
                           const LayerHook& hook) override;
  std::vector<std::int64_t> layer_widths() const override;
  std::int64_t width() const override { return pooled_width_; }
  std::int64_t group_count() const override;
  std::int64_t group_of(std::string_view name) const override;

  std::vector<std::shared_ptr<Conv2d>> stem_convs;  ///< registered as stem.conv0, ...
  std::vector<std::shared_ptr<BatchNorm2d>> stem_norms;
  std::shared_ptr<Conv2d> conv1;    ///< null behind a front
  at::Tensor class_embedding;       ///< [W], undefined without a class token
  at::Tensor registers;             ///< [R, W], undefined without
  at::Tensor positional_embedding;  ///< [(1 +) (S/P)^2, W]; undefined without
  std::shared_ptr<Norm> ln_pre, ln_post;
  std::shared_ptr<Transformer> transformer;
  std::shared_ptr<AttentionHead> attention_head;  ///< Pool::attention
  std::shared_ptr<QueryPooler> query_pooler;      ///< Pool::query, registered as attn_pool
  std::shared_ptr<VitFront> front;                ///< in place of stem and conv1; null for patches

 private:
  /// What the blocks see.
  struct Embedded {
    at::Tensor tokens;    ///< [B, prefix + N, W]
    Rotation rotation{};  ///< of all tokens
  };
  void make_patches(Initializer& initializer);
  void make_tokens(std::int64_t grid, Initializer& initializer);
  void make_pooling(TransformerOptions options, std::int64_t embed_dim, Initializer& initializer);
  /// Returns the stem's channels. image_size: pixels a side.
  std::int64_t make_stem(Initializer& initializer);
  Embedded embed(const at::Tensor& pixels, at::ScalarType compute, const LayerHook& hook = {},
                 std::vector<at::Tensor>* outputs = nullptr) const;
  /// With positions, class token and registers. patches: [B, N, W]
  at::Tensor placed(const at::Tensor& patches, std::int64_t side) const;
  /// Leaves in the patches of this time's draw.
  void drop_patches(Embedded& all, double share) const;
  /// [(1 +) N, W], for the pictures it takes.
  at::Tensor positions(std::int64_t side) const;
  at::Tensor pool(const at::Tensor& tokens) const;
  /// Tokens in front of the patches.
  std::int64_t prefix() const { return (config_.class_token ? 1 : 0) + config_.registers; }
  at::Tensor patches_of(const at::Tensor& tokens) const;

  VitConfig config_;
  std::int64_t pooled_width_;
  KeptGridRotation rotation_;
};

}  // namespace vlalign::nn
