#include "train/alignment_task.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "config/image_size.hpp"
#include "core/check.hpp"
#include "core/log.hpp"
#include "data/loading/episode_frames.hpp"
#include "data/loading/pair_texts.hpp"
#include "data/sources/pairs_fingerprint.hpp"
#include "loss/checked_value.hpp"
#include "nn/shared_batch_norm.hpp"
#include "train/job_batch.hpp"
#include "train/loss_of_job.hpp"
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

StepFigures measured(const PairBatch& batch, const LossOfJob& job, const at::Tensor& logit_scale) {
  StepFigures figures;
  figures.known.epoch = batch.epoch;
  figures.known.samples_seen = static_cast<std::int64_t>(batch.records.size());
  figures.known.wait_s = batch.wait_s;
  figures.loss = job.value.detach();
  figures.logit_scale = logit_scale.detach();
  figures.accuracy = job.accuracy;
  return figures;
}

/// None of a bad record, which is counted where it is trained on.
std::vector<std::string> captions_or_none(const PairSource& pairs, std::int64_t record) {
  try {
    return pairs.captions(record);
  } catch (const Error&) {
    return {};
  }
}

void keep_no_rows(at::Tensor& rows) {
  if (rows.defined()) rows = rows.narrow(0, 0, 0);
}

}  // namespace

AlignmentTask::AlignmentTask(DualEncoder model, AnyLoss loss, TrainerOptions options)
    : model_(std::move(model)), loss_(std::move(loss)), options_(std::move(options)), feed_(model_, *loss_, options_) {
  take_sizes({});
}

void AlignmentTask::open(const std::shared_ptr<const PairSource>& pairs) {
  check(loss_->uses().frames == 0,
        "[Trainer] the loss {} uses frames of a video, and pairs have none: fit() takes demonstrations too, see "
        "open_episodes()",
        loss_->name());
  pairs_ = pairs;
  load();
}

void AlignmentTask::open(const std::shared_ptr<const EpisodeSource>& episodes) {
  episodes_ = episodes;
  load();
}

/// Batches as the run begins with.
void AlignmentTask::load() {
  take_sizes(options_.stages.empty() ? Stage() : options_.stages.front());
  batches_ = make_batches(0);
  if (options_.micro_batch > 0) statistics_.emplace(*model_.module());
}

void AlignmentTask::take_sizes(const Stage& stage) {
  const auto& config = model_.config();
  const auto size = static_cast<int>(stage.image_size.value_or(config.preprocess.image_size));
  how_ = with_image_size(config.preprocess, size, "[Trainer] image_size");
  context_length_ = stage.context_length.value_or(config.text.context_length);
}

void AlignmentTask::enter(const Stage& stage, std::int64_t step) {
  const auto size_before = how_.image_size;
  const auto length_before = context_length_;
  take_sizes(stage);
  if (how_.image_size == size_before && context_length_ == length_before) return;
  auto next = make_batches(step);
  next->count_on_from(*batches_);
  batches_ = std::move(next);
}

std::unique_ptr<const PictureTexts> AlignmentTask::records() const {
  if (pairs_) return std::make_unique<PairTexts>(pairs_, how_, options_.augmentation);
  const ClipOptions clip{.frames = loss_->uses().frames, .to_goal = loss_->uses().goal_frames};
  return std::make_unique<EpisodeFrames>(episodes_, EpisodeSteps(episodes_.get(), clip), clip, how_.pixels_as);
}

std::unique_ptr<BatchMaker> AlignmentTask::make_batches(std::int64_t first) const {
  return std::make_unique<BatchMaker>(pairs_ ? "Loader" : "EpisodeLoader", pairs_ ? "pairs" : "steps", records(),
                                      model_.tokenizer(), context_length_, how_,
                                      LoaderOptions{.batch_size = options_.batch_size,
                                                    .share = share(),
                                                    .micro_batch = options_.micro_batch,
                                                    .threads = options_.loader_threads,
                                                    .prefetch = options_.prefetch,
                                                    .shuffle = options_.shuffle,
                                                    .shuffle_block = options_.shuffle_block,
                                                    .replacement = options_.replacement,
                                                    .seed = options_.seed,
                                                    .augmentation = options_.augmentation,
                                                    .second_view = loss_->uses().second_image,
                                                    .cache_mb = options_.cache_mb,
                                                    .pin_memory = options_.device.is_cuda(),
                                                    .max_bad = options_.max_bad},
                                      first);
}

nlohmann::json AlignmentTask::settings() const {
  nlohmann::json all{{"loss", loss_->name()}};
  all[episodes_ ? "episodes" : "pairs"] = episodes_ ? episodes_->size() : pairs_->size();
  return all;
}

nlohmann::json AlignmentTask::identity() const {
  nlohmann::json all{{"loss_options", loss_->options()}};
  const auto& tokenizer = *model_.tokenizer();
  if (episodes_) {
    all["demonstrations"] = fingerprint_of(*episodes_);
    all["tokenizer"] = fingerprint_of(tokenizer, identified_records(episodes_->size()),
                                      [this](std::int64_t i) { return episodes_->episode(i).instructions; });
    return all;
  }
  all["names_and_captions"] = fingerprint_of(*pairs_);
  all["tokenizer"] = fingerprint_of(tokenizer, identified_records(*pairs_),
                                    [this](std::int64_t i) { return captions_or_none(*pairs_, i); });
  return all;
}

void AlignmentTask::warn_of_one_pair(std::int64_t pairs) {
  if (pairs == 1 && !std::exchange(warned_of_one_pair_, true))
    log_warning("a batch of one pair has no negatives: a loss that compares pairs, such as InfoNCE, learns nothing");
}

/// Of no pairs, where other ranks may have some, embeddings [0, ...].
ContrastiveBatch AlignmentTask::encode(const PairBatch& pairs, bool with_teacher) const {
  const bool none = pairs.records.empty() && !options_.ranks.alone();
  return none ? encode_none() : feed_.encode(pairs, with_teacher);
}

/// Those of a black picture with a word, without its row.
ContrastiveBatch AlignmentTask::encode_none() const {
  const auto pictures = std::max<std::int64_t>(1, loss_->uses().frames);
  const auto pixels = at::zeros({pictures, 3, how_.image_size, how_.image_size}, at::kByte);
  const auto tokens = at::tensor(model_.tokenizer()->encode("a", context_length_), at::kLong).unsqueeze(0);
  const nn::UncountedRows uncounted(*model_.module());
  auto batch = feed_.encode({.pixels = pixels, .second_pixels = pixels, .tokens = tokens, .records = {0}}, true);
  for (auto* part :
       {&batch.image, &batch.text, &batch.second_image, &batch.frames, &batch.teacher_image, &batch.teacher_text,
        &batch.image_tokens.features, &batch.image_tokens.mask, &batch.text_tokens.features, &batch.text_tokens.mask})
    keep_no_rows(*part);
  return batch;
}

/// Of the whole batch.
void AlignmentTask::add_targets(ContrastiveBatch& whole, const PairBatch& batch) const {
  if (options_.targets) feed_.add_targets(whole, gather_captions(options_.ranks, batch, model_.tokenizer()->pad_id()));
}

/// The part of the whole batch's loss that this rank answers for, of its own rows.
///   job: gets it, with its figures
AnyLoss AlignmentTask::own_part(LossOfJob& job) const {
  return [this, &job](const ContrastiveBatch& rows) {
    job = loss_of_job(options_.ranks, *loss_, rows, choose_exchange(*loss_, rows, options_.batch_size));
    return job.value;
  };
}

std::pair<at::Tensor, StepFigures> AlignmentTask::forward(std::int64_t step, double progress) {
  const auto batch = batches_->next();
  seed_towers(options_, step, share().begin(options_.batch_size));
  auto encoded = encode(batch, /*with_teacher=*/true);
  feed_.add_scale(encoded, progress);
  add_targets(encoded, batch);
  LossOfJob job;
  const auto value = checked_value(*own_part(job), encoded, "[Trainer] ");
  warn_of_one_pair(job.pairs);
  return {value, measured(batch, job, encoded.logit_scale)};
}

StepFigures AlignmentTask::forward_backward(std::int64_t step, double progress, const LossScaler& scaler,
                                            GradientExchange& exchange) {
  if (options_.micro_batch > 0) return backward_in_micro_batches(step, progress, scaler, exchange);
  const auto [value, figures] = forward(step, progress);
  exchange.arm();
  scaler.scaled(value).backward();
  return figures;
}

/// Random state and batch-norm statistics are as in one pass.
StepFigures AlignmentTask::backward_in_micro_batches(std::int64_t step, double progress, const LossScaler& scaler,
                                                     GradientExchange& exchange) {
  const auto begin = share().begin(options_.batch_size), rows = share().rows(options_.batch_size);
  const auto pieces = (rows - 1) / options_.micro_batch + 1;
  statistics_->keep();
  Captions captions(model_.tokenizer()->pad_id());
  ContrastiveBatch whole;
  LossOfJob job;
  feed_.add_scale(whole, progress);
  const auto encode_piece = [&](std::int64_t piece) {
    const bool first_pass = !at::GradMode::is_enabled(), last = piece == pieces - 1;
    const auto pairs = batches_->next();
    captions.add_wait(pairs.wait_s);
    if (first_pass) captions.add(pairs);
    if (!first_pass && piece == 0) statistics_->restore();
    if (!first_pass && last) exchange.arm();
    seed_towers(options_, step, begin + piece * options_.micro_batch);
    auto encoded = encode(pairs, /*with_teacher=*/first_pass);
    if (first_pass && last) add_targets(whole, captions.batch());
    return encoded;
  };
  const AnyLoss part = own_part(job);
  const AnyLoss scaled = [&](const ContrastiveBatch& all) {
    const auto value = scaler.scaled(part->forward(all));
    if (job.value.defined())
      job.value = job.value.detach();  // the graph, which holds the batch's embeddings, goes with the value
    return value;
  };
  backward_in_pieces(*scaled, pieces, encode_piece, whole);
  warn_of_one_pair(job.pairs);
  return measured(captions.batch(), job, whole.logit_scale);
}

}  // namespace vlalign
