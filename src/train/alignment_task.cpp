#include "train/alignment_task.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "core/log.hpp"
#include "loss/batch_accuracy.hpp"
#include "loss/checked_value.hpp"
#include "train/run_identity.hpp"
#include "vlalign/loss/gradient_cache.hpp"

namespace vlalign {
namespace {

/// A batch without its pixels, put together out of its pieces.
class Captions {
 public:
  explicit Captions(std::int64_t pad_id) : pad_id_(pad_id) {}

  void add(const PairBatch& piece) {
    batch_.number = piece.number;
    batch_.epoch = piece.epoch;
    batch_.records.insert(batch_.records.end(), piece.records.begin(), piece.records.end());
    if (piece.tokens.defined()) pieces_.push_back(piece.tokens);
  }
  void add_wait(double seconds) { batch_.wait_s += seconds; }

  /// With the tokens as long as the longest caption.
  const PairBatch& batch() {
    if (pieces_.empty()) return batch_;
    const auto longest = std::max_element(pieces_.begin(), pieces_.end(), [](const auto& a, const auto& b) {
                           return a.size(1) < b.size(1);
                         })->size(1);
    for (auto& tokens : pieces_) tokens = at::constant_pad_nd(tokens, {0, longest - tokens.size(1)}, pad_id_);
    batch_.tokens = at::cat(std::exchange(pieces_, {}));
    return batch_;
  }

 private:
  std::int64_t pad_id_;
  PairBatch batch_;
  std::vector<at::Tensor> pieces_;
};

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
                                .micro_batch = options_.micro_batch,
                                .threads = options_.loader_threads,
                                .prefetch = options_.prefetch,
                                .shuffle = options_.shuffle,
                                .seed = options_.seed,
                                .augmentation = options_.augmentation,
                                .second_view = loss_->uses().second_image,
                                .cache_mb = options_.cache_mb,
                                .pin_memory = options_.device.is_cuda(),
                                .max_bad = options_.max_bad});
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

void AlignmentTask::warn_of_one_pair(std::size_t pairs) {
  if (pairs == 1 && !std::exchange(warned_of_one_pair_, true))
    log_warning("a batch of one pair has no negatives: a loss that compares pairs, such as InfoNCE, learns nothing");
}

std::pair<at::Tensor, StepFigures> AlignmentTask::forward(std::int64_t step, double progress) {
  const auto batch = loader_->next();
  warn_of_one_pair(batch.records.size());
  seed_towers(options_, step, 0);
  auto encoded = feed_.encode(batch, /*with_teacher=*/true);
  feed_.add_scale(encoded, progress);
  feed_.add_targets(encoded, batch);
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
  const auto pieces = (options_.batch_size - 1) / options_.micro_batch + 1;
  statistics_->keep();
  Captions captions(model_.tokenizer()->pad_id());
  ContrastiveBatch whole;
  feed_.add_scale(whole, progress);
  const auto encode = [&](std::int64_t piece) {
    const bool first_pass = !at::GradMode::is_enabled();
    const auto pairs = loader_->next();
    captions.add_wait(pairs.wait_s);
    if (first_pass) captions.add(pairs);
    if (!first_pass && piece == 0) statistics_->restore();
    seed_towers(options_, step, piece * options_.micro_batch);
    auto encoded = feed_.encode(pairs, /*with_teacher=*/first_pass);
    if (first_pass && piece == pieces - 1) feed_.add_targets(whole, captions.batch());
    return encoded;
  };
  const auto value = backward_in_pieces(*loss_, pieces, encode, whole);
  warn_of_one_pair(captions.batch().records.size());
  return measured(captions.batch(), whole, value);
}

}  // namespace vlalign
