#pragma once

#include "vlalign/vla/head/action_head.hpp"

namespace vlalign::vla {

/// Phrases that name actions ("move the arm left by ten centimetres") and what each of them does.
struct ActionBank {
  Tensor phrases;  ///< [K, E], the phrases' embeddings
  Tensor actions;  ///< [K, H, A]
};

/// Picks the phrase of a bank that is most like the features, projected into the phrases' space: logits are the cosines
/// times a learned scale (CLIP-RT, Kang et al. 2024), where phrases are taken from their mean (a single one is not): a
/// text tower that was aligned with pictures puts all phrases of movements in nearly the same place. The loss is the
/// cross-entropy over the bank, in nats, where a sample's phrase is the one whose actions are nearest to its own over
/// the steps that count; samples without any such step don't count.
class RetrievalHead : public ActionHead {
 public:
  RetrievalHead(std::int64_t width, const ActionShape& shape, const ActionBank& bank, nn::Initializer& initializer);

  /// [B, K]
  Tensor logits(const Tensor& features) const;
  /// actions: [B, H, A]; mask: bool [B, H] or undefined; returns int64 [B], the nearest phrase's number.
  Tensor nearest_phrase(const Tensor& actions, const Tensor& mask) const;

  std::shared_ptr<nn::Linear> projection;  ///< weight [E, D]
  Tensor log_logit_scale;                  ///< [], starts at CLIP's log(1 / 0.07); the scale is at most 100
  Tensor phrases;                          ///< [K, E], from their mean at unit length, a buffer
  Tensor actions;                          ///< [K, H, A], a buffer

 protected:
  Tensor loss_of(const Tensor& features, const Target& target, const at::Generator& generator) const override;
  Tensor prediction(const Tensor& features, const at::Generator& generator) const override;
};

}  // namespace vlalign::vla
