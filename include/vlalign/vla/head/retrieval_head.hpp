#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/vla/head/action_head.hpp"
#include "vlalign/vla/head/residual_mlp.hpp"

namespace vlalign::vla {

/// Phrases that name actions ("move the arm left by ten centimetres") and what each of them does.
struct ActionBank {
  Tensor phrases;  ///< [K, E], the phrases' embeddings
  Tensor actions;  ///< [K, H, A]
};

/// Picks the phrase of a bank that is most like what it makes of the features: logits are the cosines times a learned
/// scale (CLIP-RT, Kang et al. 2024). Phrases are whitened first, as sentences are in Su et al. 2021 ("Whitening
/// Sentence Representations"): a text tower that was aligned with pictures puts all phrases of movements in nearly the
/// same place, and no scale tells cosines of 0.999 apart. The loss is the cross-entropy over the bank, in nats, where a
/// sample's phrase is the one whose actions are nearest to its own over the steps that count; samples without any such
/// step don't count.
class VLALIGN_EXPORT RetrievalHead : public ActionHead {
 public:
  struct Options {
    std::int64_t hidden = 256;
    std::int64_t layers = 3;
  };

  /// Throws Error when phrases and actions aren't of one bank and of the shape.
  RetrievalHead(std::int64_t width, const ActionShape& shape, const ActionBank& bank, const Options& options,
                nn::Initializer& initializer);

  /// [B, K]
  Tensor logits(const Tensor& features) const;
  /// actions: [B, H, A]; mask: bool [B, H] or undefined; returns int64 [B], the nearest phrase's number.
  Tensor nearest_phrase(const Tensor& actions, const Tensor& mask) const;

  std::shared_ptr<ResidualMlp> mlp;  ///< to [B, E]
  Tensor log_logit_scale;            ///< [], starts at CLIP's log(1 / 0.07); the scale is at most 100
  Tensor phrases;                    ///< [K, E], whitened and at unit length, a buffer
  Tensor actions;                    ///< [K, H, A], a buffer

 protected:
  Tensor loss_of(const Tensor& features, const Target& target, const at::Generator& generator) const override;
  Tensor prediction(const Tensor& features, const at::Generator& generator) const override;
};

/// Rows [K, E] from their mean, in the directions of their variance, each divided by its deviation; deviations below a
/// thousandth of the largest hardly count. A single row stays as it is.
VLALIGN_EXPORT Tensor whitened(const Tensor& rows);

}  // namespace vlalign::vla
