#include "alignment_task.hpp"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/log.hpp"
#include "loss/batch_accuracy.hpp"
#include "loss/checked_value.hpp"
#include "run_identity.hpp"
#include "vlalign/loss/gradient_cache.hpp"

namespace vlalign {
namespace {

StepFigures measured(const PairBatch& batch, const ContrastiveBatch& encoded, const at::Tensor& value) {
  StepFigures figures;
  figures.known.epoch = batch.epoch;
  figures.known.samples_seen = static_cast<std::int64_t>(batch.records.size());
  figures.known.wait_s = batch.wait_s;
  figures.loss = value.detach();
  figures.logit_scale = encoded.logit_scale.detach();
  figures.accuracy = accuracy_on_device(encoded.image, encoded.text);
  return figures;
}

}  // namespace

AlignmentTask::AlignmentTask(DualEncoder model, AnyLoss loss, TrainerOptions options)
    : model_(std::move(model)), loss_(std::move(loss)), options_(std::move(options)), feed_(model_, *loss_, options_) {}

void AlignmentTask::open(const std::shared_ptr<const PairSource>& pairs) {
  loader_.emplace(pairs, model_.tokenizer(), model_.config().text.context_length, model_.config().preprocess,
                  LoaderOptions{.batch_size = options_.batch_size,
                                .threads = options_.loader_threads,
                                // A step in pieces takes longer than the making of its batch, which is large.
                                .prefetch = options_.micro_batch > 0 ? 1 : LoaderOptions().prefetch,
                                .shuffle = options_.shuffle,
                                .seed = options_.seed,
                                .augmentation = options_.augmentation,
                                .second_view = loss_->uses().second_image,
                                .pin_memory = options_.device.is_cuda()});
  pairs_ = pairs;
  if (options_.micro_batch > 0) statistics_.emplace(*model_.module());
}

nlohmann::json AlignmentTask::settings() const { return {{"pairs", pairs_->size()}, {"loss", loss_->name()}}; }

nlohmann::json AlignmentTask::identity() const {
  const auto captions = [this](std::int64_t record) { return pairs_->captions(record); };
  return {{"names_and_captions", fingerprint_of(*pairs_)},
          {"tokenizer", fingerprint_of(*model_.tokenizer(), pairs_->size(), captions)},
          {"loss_options", loss_->options()}};
}

PairBatch AlignmentTask::next_batch() {
  auto batch = loader_->next();
  if (batch.records.size() == 1 && !std::exchange(warned_of_one_pair_, true))
    log_warning("a batch of one pair has no negatives: a loss that compares pairs, such as InfoNCE, learns nothing");
  return batch;
}

std::pair<at::Tensor, StepFigures> AlignmentTask::forward(std::int64_t step, double progress) {
  const auto batch = next_batch();
  seed_towers(options_, step, 0);
  auto encoded = feed_.encode(batch, 0, batch.pixels.size(0), /*with_teacher=*/true);
  feed_.complete(encoded, batch, progress);
  const auto value = checked_value(*loss_, encoded, "[Trainer] ");
  return {value, measured(batch, encoded, value)};
}

StepFigures AlignmentTask::forward_backward(std::int64_t step, double progress) {
  if (options_.micro_batch > 0) return backward_in_micro_batches(step, progress);
  const auto [value, figures] = forward(step, progress);
  value.backward();
  return figures;
}

/// Random state and batch-norm statistics are as in one pass.
StepFigures AlignmentTask::backward_in_micro_batches(std::int64_t step, double progress) {
  const auto batch = next_batch();
  const auto pairs = batch.pixels.size(0);
  const auto pieces = (pairs + options_.micro_batch - 1) / options_.micro_batch;
  statistics_->keep();
  ContrastiveBatch whole;
  feed_.complete(whole, batch, progress);
  const auto value = backward_in_pieces(
      *loss_, pieces,
      [&](std::int64_t piece) {
        const bool first_pass = !at::GradMode::is_enabled();
        const auto begin = piece * options_.micro_batch;
        if (!first_pass && piece == 0) statistics_->restore();
        seed_towers(options_, step, begin);
        return feed_.encode(batch, begin, std::min(options_.micro_batch, pairs - begin), /*with_teacher=*/first_pass);
      },
      whole);
  return measured(batch, whole, value);
}

}  // namespace vlalign
