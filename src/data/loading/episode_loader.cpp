#include "vlalign/data/loading/episode_loader.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "core/check.hpp"
#include "data/loading/batch_maker.hpp"

namespace vlalign {
namespace {

/// Throws Error unless it is as EpisodeSource says; `like` is the first.
void check_episode(const Episode& episode, const Episode& like, std::int64_t index) {
  const auto& [name, instructions, states, actions] = episode;
  const auto is_matrix = [](const at::Tensor& numbers) {
    return numbers.defined() && numbers.dim() == 2 && numbers.scalar_type() == at::kFloat && numbers.device().is_cpu();
  };
  if (!is_matrix(states) || !is_matrix(actions) || states.size(0) != actions.size(0))
    fail("[EpisodeLoader] episode {}: expected states [T, S] and actions [T, A] in float32, on the CPU", index);
  if (states.size(1) != like.states.size(1) || actions.size(1) != like.actions.size(1))
    fail("[EpisodeLoader] episode {}: expected states of {} and actions of {} numbers, as the first has, got {} and {}",
         index, like.states.size(1), like.actions.size(1), states.size(1), actions.size(1));
  if (instructions.empty()) fail("[EpisodeLoader] episode {}: expected an instruction, got none", index);
}

/// Of each episode, counted through all; then their count.
std::vector<std::int64_t> first_steps(const EpisodeSource* source) {
  check(source != nullptr && source->size() > 0, "[EpisodeLoader] source: expected episodes, got none");
  std::vector<std::int64_t> first{0};
  for (std::int64_t i = 0; i < source->size(); ++i) {
    const auto& episode = source->episode(i);
    check_episode(episode, source->episode(0), i);
    first.push_back(first.back() + episode.actions.size(0));
  }
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
          .cache_mb = options.cache_mb,
          .max_bad = options.max_bad};
}

}  // namespace

EpisodeLoader::EpisodeLoader(std::shared_ptr<const EpisodeSource> source, std::shared_ptr<const Tokenizer> tokenizer,
                             std::int64_t context_length, const Preprocess& preprocess,
                             const EpisodeLoaderOptions& options)
    : source_(std::move(source)), first_(first_steps(source_.get())), horizon_(options.horizon) {
  constexpr std::int64_t most_steps = 1 << 20;
  check(horizon_ >= 1, "[EpisodeLoader] horizon: expected at least 1, got {}", horizon_);
  check(horizon_ <= most_steps, "[EpisodeLoader] horizon: expected at most {}, got {}", most_steps, horizon_);
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
