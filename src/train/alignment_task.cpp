#include "alignment_task.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "run_identity.hpp"
#include "vlalign/loss/gradient_cache.hpp"
#include "vlalign/loss/info_nce.hpp"

namespace vlalign {
namespace {

/// The towers' statistics as they are now.
class BatchNormStatistics {
 public:
  explicit BatchNormStatistics(const nn::DualEncoderImpl& module) {
    for (const auto& buffer : module.buffers()) saved_.emplace_back(buffer, buffer.clone());
  }

  void restore() const {
    const at::NoGradGuard no_graph;
    for (const auto& [buffer, before] : saved_) buffer.copy_(before);
  }

 private:
  std::vector<std::pair<at::Tensor, at::Tensor>> saved_;
};

}  // namespace

AlignmentTask::AlignmentTask(DualEncoder model, AnyLoss loss, TrainerOptions options)
    : model_(std::move(model)), loss_(std::move(loss)), options_(std::move(options)), feed_(model_, *loss_, options_) {}

void AlignmentTask::open(const std::shared_ptr<const PairSource>& pairs) {
  loader_.emplace(pairs, model_.tokenizer(), model_.config().text.context_length, model_.config().preprocess,
                  LoaderOptions{.batch_size = options_.batch_size,
                                .threads = options_.loader_threads,
                                .shuffle = options_.shuffle,
                                .seed = options_.seed,
                                .augmentation = options_.augmentation,
                                .second_view = loss_->uses().second_image,
                                .pin_memory = options_.device.is_cuda()});
  pairs_ = pairs;
}

nlohmann::json AlignmentTask::settings() const { return {{"pairs", pairs_->size()}, {"loss", loss_->name()}}; }

nlohmann::json AlignmentTask::identity() const {
  const auto first_caption = [this](std::int64_t record) { return pairs_->captions(record).at(0); };
  return {{"names_and_captions", fingerprint_of(*pairs_)},
          {"tokenizer", fingerprint_of(*model_.tokenizer(), pairs_->size(), first_caption)},
          {"loss_options", loss_->options()}};
}

StepResult AlignmentTask::measured(const PairBatch& batch, const ContrastiveBatch& encoded,
                                   const at::Tensor& value) const {
  StepResult result;
  result.epoch = batch.epoch;
  result.samples_seen = static_cast<std::int64_t>(batch.records.size());
  result.wait_s = batch.wait_s;
  result.loss = value.item<double>();
  result.logit_scale = model_.logit_scale().item<double>();
  result.accuracy = batch_accuracy(encoded.image, encoded.text);
  return result;
}

std::pair<at::Tensor, StepResult> AlignmentTask::forward(std::int64_t step, double progress) {
  const auto batch = loader_->next();
  seed_towers(options_, step, 0);
  auto encoded = feed_.encode(batch, 0, batch.pixels.size(0), /*with_teacher=*/true);
  feed_.complete(encoded, batch, progress);
  const auto value = loss_->forward(encoded);
  return {value, measured(batch, encoded, value)};
}

StepResult AlignmentTask::forward_backward(std::int64_t step, double progress) {
  if (options_.micro_batch > 0) return backward_in_micro_batches(step, progress);
  const auto [value, result] = forward(step, progress);
  value.backward();
  return result;
}

/// Random state and batch-norm statistics are as in one pass.
StepResult AlignmentTask::backward_in_micro_batches(std::int64_t step, double progress) {
  const auto batch = loader_->next();
  const auto pairs = batch.pixels.size(0);
  const auto pieces = (pairs + options_.micro_batch - 1) / options_.micro_batch;
  const BatchNormStatistics statistics(*model_.module());
  ContrastiveBatch whole;
  feed_.complete(whole, batch, progress);
  const auto value = backward_in_pieces(
      *loss_, pieces,
      [&](std::int64_t piece) {
        const bool first_pass = !at::GradMode::is_enabled();
        const auto begin = piece * options_.micro_batch;
        if (!first_pass && piece == 0) statistics.restore();
        seed_towers(options_, step, begin);
        return feed_.encode(batch, begin, std::min(options_.micro_batch, pairs - begin), /*with_teacher=*/first_pass);
      },
      whole);
  return measured(batch, whole, value);
}

}  // namespace vlalign
