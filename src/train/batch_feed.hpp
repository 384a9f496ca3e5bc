// Makes what a loss is computed from out of what the loader gives. Internal.
#pragma once

#include "vlalign/train/trainer.hpp"

namespace vlalign {

class BatchFeed {
 public:
  /// Throws Error when the model, the options or the data can't give what the loss uses.
  BatchFeed(DualEncoder model, const ContrastiveLoss& loss, const TrainerOptions& options);

  /// The embeddings of pairs begin, ..., begin + count - 1, the teacher's only if asked for.
  ContrastiveBatch encode(const PairBatch& batch, std::int64_t begin, std::int64_t count, bool with_teacher) const;

  /// What belongs to the whole batch: scale, bias, targets, progress.
  void complete(ContrastiveBatch& whole, const PairBatch& batch, double progress) const;

 private:
  void check_tokens() const;
  void check_teacher() const;
  void encode_pairs(ContrastiveBatch& out, const at::Tensor& pixels, const at::Tensor& tokens) const;

  DualEncoder model_;
  BatchParts uses_;
  Precision precision_;
  std::optional<DualEncoder> teacher_;
  std::optional<TargetRule> targets_;
};

}  // namespace vlalign
