// Makes what a loss is computed from out of what the loader gives. Internal.
#pragma once

#include "vlalign/train/trainer.hpp"

namespace vlalign {

class BatchFeed {
 public:
  /// Throws Error when the model, the options or the data can't give what the loss uses.
  BatchFeed(DualEncoder model, const ContrastiveLoss& loss, const TrainerOptions& options);

  /// The embeddings of the pairs, the teacher's only if asked for. Of no pairs, no embeddings. Where the loss uses
  /// frames, pixels and second_pixels are theirs, [B * F, 3, S, S].
  ContrastiveBatch encode(const PairBatch& pairs, bool with_teacher) const;

  /// What belongs to the whole batch: scale, bias, progress.
  void add_scale(ContrastiveBatch& whole, double progress) const;

  /// The targets, where there is a rule for them.
  void add_targets(ContrastiveBatch& whole, const PairBatch& batch) const;

 private:
  void check_tokens() const;
  void check_teacher() const;
  Features image_features(const at::Tensor& pixels, ContrastiveBatch& out) const;
  void encode_pairs(ContrastiveBatch& out, const PairBatch& pairs) const;

  DualEncoder model_;
  BatchParts uses_;
  Precision precision_;
  std::optional<DualEncoder> teacher_;
  std::optional<TargetRule> targets_;
};

}  // namespace vlalign
