// Two towers on pairs or demonstrations, with a contrastive loss. Internal.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "data/loading/batch_maker.hpp"
#include "train/batch_feed.hpp"
#include "train/kept_buffers.hpp"
#include "train/loss_of_job.hpp"
#include "train/task.hpp"

namespace vlalign {

class AlignmentTask : public Task {
 public:
  /// Throws Error when model, options and pairs can't give what the loss uses.
  AlignmentTask(DualEncoder model, AnyLoss loss, TrainerOptions options);

  void open(const std::shared_ptr<const PairSource>& pairs);
  void open(const std::shared_ptr<const EpisodeSource>& episodes);

  /// The next batch's loss with its graph, and what was measured with it.
  std::pair<at::Tensor, StepFigures> forward(std::int64_t step, double progress);

  torch::nn::Module& module() const override { return *model_.module(); }
  const DualEncoder& encoder() const override { return model_; }
  nlohmann::json settings() const override;
  nlohmann::json identity() const override;
  void write(const std::filesystem::path& folder) const override { model_.write(folder); }
  void load_weights(const std::filesystem::path& folder) override { model_.load_weights(folder); }
  void enter(const Stage& stage, std::int64_t step) override;
  std::vector<BatchMaker*> batches() const override { return {batches_.get()}; }
  StepFigures forward_backward(std::int64_t step, double progress, const LossScaler& scaler,
                               GradientExchange& exchange) override;

 private:
  void load();
  void take_sizes(const Stage& stage);
  std::unique_ptr<const PictureTexts> records() const;
  std::unique_ptr<BatchMaker> make_batches(std::int64_t first) const;
  void warn_of_one_pair(std::int64_t pairs);
  BatchShare share() const { return {.index = options_.ranks.rank(), .count = options_.ranks.size()}; }
  ContrastiveBatch encode(const PairBatch& pairs, bool with_teacher) const;
  ContrastiveBatch encode_none() const;
  void add_targets(ContrastiveBatch& whole, const PairBatch& batch) const;
  AnyLoss own_part(LossOfJob& job) const;
  StepFigures backward_in_micro_batches(std::int64_t step, double progress, const LossScaler& scaler,
                                        GradientExchange& exchange);

  DualEncoder model_;
  AnyLoss loss_;
  TrainerOptions options_;
  BatchFeed feed_;
  std::shared_ptr<const PairSource> pairs_;        ///< these
  std::shared_ptr<const EpisodeSource> episodes_;  ///< or these
  Preprocess how_;                                 ///< in the size of the stage that the batches are of
  std::int64_t context_length_;
  std::unique_ptr<BatchMaker> batches_;
  std::optional<KeptBuffers> statistics_;  ///< where a batch is taken in pieces, and so twice
  bool warned_of_one_pair_ = false;
};

}  // namespace vlalign
