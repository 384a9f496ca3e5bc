#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/nn/projection.hpp"
#include "vlalign/nn/tower.hpp"

namespace vlalign::nn {

/// Two towers, a linear projection each, one joint space, and the learnable scale of its cosines.
///
///     auto model = std::make_shared<nn::DualEncoderImpl>(my_image_tower, my_text_tower, 512, options, initializer);
class VLALIGN_EXPORT DualEncoderImpl : public torch::nn::Module {
 public:
  struct Options {
    ProjectionConfig image_projection{}, text_projection{};
    ScaleConfig scale{};
  };
  /// Projections are drawn from N(0, 1 / width).
  DualEncoderImpl(std::shared_ptr<Tower> image, std::shared_ptr<Tower> text, std::int64_t embed_dim,
                  const Options& options, Initializer& initializer);

  /// Unit rows, float32 [B, D]; see Tower::forward for the arguments.
  at::Tensor encode_image(const at::Tensor& pixels, at::ScalarType compute = at::kFloat);
  at::Tensor encode_text(const at::Tensor& tokens, at::ScalarType compute = at::kFloat);
  /// The embeddings with what the tower gives on the way; layers as Tower::features takes them, hook as
  /// Tower::hooked_features.
  Features image_features(const at::Tensor& pixels, std::span<const std::int64_t> layers,
                          at::ScalarType compute = at::kFloat, const LayerHook& hook = {});
  Features text_features(const at::Tensor& tokens, std::span<const std::int64_t> layers,
                         at::ScalarType compute = at::kFloat);

  /// Features through the projection of their tower, where it has one, of any length: float32 [..., D].
  static at::Tensor projected(const at::Tensor& features, const std::shared_ptr<Projection>& projection);
  /// Pooled or token features in the joint space; the latter for losses and fusions between words and places.
  ///   features: [..., W]; projection: of their tower. Returns unit rows, float32 [..., D].
  static at::Tensor in_joint_space(const at::Tensor& features, const std::shared_ptr<Projection>& projection);

  /// Where a parameter or module stands: its tower's groups from the input to the output, of which the projection,
  /// where there is one, is the last.
  struct Place {
    enum class Side { image, text } side;
    std::int64_t group, groups;
  };
  /// name: as in named_parameters(). None for what belongs to no tower: scale, temperature and bias.
  std::optional<Place> place_of(std::string_view name) const;

  /// The multiplier of the cosines, [].
  at::Tensor logit_scale() const;
  /// Keeps the logit scale in [1, 100] unless it is frozen; to be called after each optimizer step that moved it.
  void clamp_logit_scale();

  std::shared_ptr<Tower> visual, text;
  std::shared_ptr<Projection> image_projection, text_projection;  ///< weight [D, W]; null where a tower needs none
  at::Tensor log_logit_scale;  ///< [], registered as the peers name it: "logit_scale"; undefined with a temperature
  at::Tensor temperature;      ///< [], ALIGN's; undefined with a logit scale
  at::Tensor logit_bias;       ///< [], added to the logits (SigLIP); undefined without
};

}  // namespace vlalign::nn
