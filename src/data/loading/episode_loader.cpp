#include "vlalign/data/loading/episode_loader.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "core/check.hpp"
#include "data/loading/batch_maker.hpp"
#include "data/loading/episode_frames.hpp"

namespace vlalign {
namespace {

LoaderOptions loader_options(const EpisodeLoaderOptions& options) {
  return {.batch_size = options.batch_size,
          .share = options.share,
          .threads = options.threads,
          .prefetch = options.prefetch,
          .shuffle = options.shuffle,
          .seed = options.seed,
          .augmentation = options.augmentation,
          .cache_mb = options.cache_mb,
          .max_bad = options.max_bad};
}

}  // namespace

EpisodeLoader::EpisodeLoader(std::shared_ptr<const EpisodeSource> source, std::shared_ptr<const Tokenizer> tokenizer,
                             std::int64_t context_length, const Preprocess& preprocess,
                             const EpisodeLoaderOptions& options)
    : source_(std::move(source)),
      steps_(std::make_unique<EpisodeSteps>(source_.get(), options.clip)),
      horizon_(options.horizon),
      frames_(options.clip.frames) {
  constexpr std::int64_t most_steps = 1 << 20;
  check(horizon_ >= 1, "[EpisodeLoader] horizon: expected at least 1, got {}", horizon_);
  check(horizon_ <= most_steps, "[EpisodeLoader] horizon: expected at most {}, got {}", most_steps, horizon_);
  batches_ = std::make_unique<BatchMaker>(
      "EpisodeLoader", "steps", std::make_unique<EpisodeFrames>(source_, *steps_, options.clip, preprocess.pixels_as),
      std::move(tokenizer), context_length, preprocess, loader_options(options));
}

EpisodeLoader::~EpisodeLoader() = default;

std::int64_t EpisodeLoader::batches_per_epoch() const { return batches_->batches_per_epoch(); }

void EpisodeLoader::seek(std::int64_t number) { batches_->seek(number); }

EpisodeBatch EpisodeLoader::next() {
  const auto frames = batches_->next();
  const auto rows = static_cast<std::int64_t>(frames.records.size());
  const auto& like = source_->episode(0);
  EpisodeBatch batch{.pixels = frames.pixels,
                     .frames = {},
                     .tokens = frames.tokens,
                     .state = at::empty({rows, like.states.size(1)}, at::kFloat),
                     .actions = at::zeros({rows, horizon_, like.actions.size(1)}, at::kFloat),
                     .mask = at::zeros({rows, horizon_}, at::kBool),
                     .number = frames.number,
                     .epoch = frames.epoch,
                     .wait_s = frames.wait_s};
  if (frames_ > 0) {
    batch.frames = frames.pixels.unflatten(0, {rows, frames_});
    batch.pixels = batch.frames.select(1, frames_ - 1);
  }
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto [index, step] = (*steps_)[frames.records[static_cast<std::size_t>(row)]];
    const auto& episode = source_->episode(index);
    const auto known = std::min(horizon_, episode.actions.size(0) - step);
    batch.state.select(0, row).copy_(episode.states.select(0, step));
    batch.actions.select(0, row).narrow(0, 0, known).copy_(episode.actions.narrow(0, step, known));
    batch.mask.select(0, row).narrow(0, 0, known).fill_(true);
  }
  return batch;
}

std::vector<std::string> EpisodeLoader::bad_records() const { return batches_->bad_records(); }

}  // namespace vlalign
