#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/nn/attention_pool.hpp"
#include "vlalign/nn/tower.hpp"
#include "vlalign/nn/transformer.hpp"
#include "vlalign/nn/vit_front.hpp"

namespace vlalign::nn {

class ConvThenNorm;

/// Pictures of several shapes in one batch, cut into patches.
struct Patches {
  at::Tensor pixels;  ///< normalised, floating [B, N, 3 P^2]: patches row by row, in each P rows of P times R, G, B
  at::Tensor grids;  ///< int64 [B, 2] on a CPU: rows and columns of each picture's patches, behind which nothing counts
};

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
  /// The same of pictures of several shapes, for towers with config.most_patches alone. Features::map stays empty, the
  /// mask says which patches are a picture's own.
  at::Tensor forward(const Patches& patches, at::ScalarType compute);
  Features features(const Patches& patches, at::ScalarType compute, std::span<const std::int64_t> layers);
  std::vector<std::int64_t> layer_widths() const override;
  std::int64_t width() const override { return pooled_width_; }
  std::int64_t group_count() const override;
  std::int64_t group_of(std::string_view name) const override;

  std::vector<std::shared_ptr<Conv2d>> stem_convs;  ///< registered as stem.conv0, ...
  std::vector<std::shared_ptr<BatchNorm2d>> stem_norms;
  std::shared_ptr<Conv2d> conv1;            ///< null where patch_embedding or a front is there
  std::shared_ptr<Linear> patch_embedding;  ///< in its place where config.most_patches is: of a row of Patches::pixels
  at::Tensor class_embedding;               ///< [W], undefined without a class token
  at::Tensor registers;                     ///< [R, W], undefined without
  at::Tensor positional_embedding;          ///< [(1 +) (S/P)^2, W]; undefined without
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
  /// With positions, class token and registers. patches: [B, N, W]; table: positions(), or undefined
  at::Tensor placed(const at::Tensor& patches, const at::Tensor& table) const;
  /// With positions, class token and registers, and which patches count: bool [B, N].
  std::pair<at::Tensor, at::Tensor> placed(const Patches& patches, at::ScalarType compute) const;
  /// [B, N, W]: each picture's, resized to its grid.
  at::Tensor positions(const at::Tensor& grids, std::int64_t count) const;
  at::Tensor pool(const at::Tensor& tokens, const at::Tensor& seen) const;
  /// Leaves in the patches of this time's draw.
  void drop_patches(Embedded& all, double share) const;
  /// [(1 +) N, W], for the pictures it takes.
  at::Tensor positions(std::int64_t side) const;
  at::Tensor pool(const at::Tensor& tokens) const;
  /// Places of the table that are the class token's.
  std::int64_t class_places() const { return config_.class_token && config_.class_position ? 1 : 0; }
  /// Tokens in front of the patches.
  std::int64_t prefix() const { return (config_.class_token ? 1 : 0) + config_.registers; }
  at::Tensor patches_of(const at::Tensor& tokens) const;
  at::Tensor without_registers(const at::Tensor& tokens) const;

  VitConfig config_;
  std::vector<std::shared_ptr<ConvThenNorm>> stem_;  // of stem_convs and stem_norms
  std::int64_t pooled_width_;
  KeptGridRotation rotation_;
};

}  // namespace vlalign::nn
