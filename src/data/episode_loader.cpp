#include "vlalign/data/episode_loader.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "core/check.hpp"
#include "data/batch_maker.hpp"

namespace vlalign {
namespace {

std::vector<std::int64_t> first_steps(const EpisodeSource* source) {
  check(source != nullptr && source->size() > 0, "[EpisodeLoader] source: expected episodes, got none");
  std::vector<std::int64_t> first{0};
  for (std::int64_t i = 0; i < source->size(); ++i) first.push_back(first.back() + source->episode(i).actions.size(0));
  return first;
}

struct Step {
  std::int64_t episode, step;
};

/// Of a step counted through all episodes.
Step find_step(const std::vector<std::int64_t>& first, std::int64_t number) {
  const auto episode = std::upper_bound(first.begin(), first.end(), number) - first.begin() - 1;
  return {episode, number - first[static_cast<std::size_t>(episode)]};
}

class EpisodeFrames : public PictureTexts {
 public:
  EpisodeFrames(std::shared_ptr<const EpisodeSource> source, std::vector<std::int64_t> first)
      : source_(std::move(source)), first_(std::move(first)) {}

  std::int64_t size() const override { return first_.back(); }
  std::string name(std::int64_t record) const override {
    const auto [episode, step] = find_step(first_, record);
    return fmt::format("episode {}, step {}", source_->episode(episode).name, step);
  }
  std::vector<std::string> texts(std::int64_t record) const override {
    return source_->episode(find_step(first_, record).episode).instructions;
  }
  Image picture(std::int64_t record) const override {
    const auto [episode, step] = find_step(first_, record);
    return source_->frame(episode, step);
  }

 private:
  std::shared_ptr<const EpisodeSource> source_;
  std::vector<std::int64_t> first_;
};

LoaderOptions loader_options(const EpisodeLoaderOptions& options) {
  return {.batch_size = options.batch_size,
          .threads = options.threads,
          .prefetch = options.prefetch,
          .shuffle = options.shuffle,
          .seed = options.seed,
          .augmentation = options.augmentation,
          .cache_mb = options.cache_mb};
}

}  // namespace

EpisodeLoader::EpisodeLoader(std::shared_ptr<const EpisodeSource> source, std::shared_ptr<const Tokenizer> tokenizer,
                             std::int64_t context_length, const Preprocess& preprocess,
                             const EpisodeLoaderOptions& options)
    : source_(std::move(source)), first_(first_steps(source_.get())), horizon_(options.horizon) {
  check(horizon_ >= 1, "[EpisodeLoader] horizon: expected at least 1, got {}", horizon_);
  batches_ = std::make_unique<BatchMaker>("EpisodeLoader", "steps", std::make_unique<EpisodeFrames>(source_, first_),
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
                     .tokens = frames.tokens,
                     .state = at::empty({rows, like.states.size(1)}, at::kFloat),
                     .actions = at::zeros({rows, horizon_, like.actions.size(1)}, at::kFloat),
                     .mask = at::zeros({rows, horizon_}, at::kBool),
                     .number = frames.number,
                     .epoch = frames.epoch,
                     .wait_s = frames.wait_s};
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto [index, step] = find_step(first_, frames.records[static_cast<std::size_t>(row)]);
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
