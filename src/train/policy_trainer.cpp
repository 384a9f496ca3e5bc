#include "vlalign/train/policy_trainer.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/check.hpp"
#include "core/finite.hpp"
#include "core/json/parse_json.hpp"
#include "data/sources/checked_source.hpp"
#include "model/int8_mode.hpp"
#include "nn/shared_batch_norm.hpp"
#include "train/alignment_task.hpp"
#include "train/option_checks.hpp"
#include "train/run_identity.hpp"
#include "train/training_run.hpp"
#include "vlalign/core/random.hpp"
#include "vlalign/data/loading/episode_loader.hpp"

namespace vlalign::vla {
namespace {

using nlohmann::json;

TrainerOptions beside_options(TrainerOptions options, const std::optional<AlignmentBeside>& alignment) {
  if (alignment) options.batch_size = alignment->batch_size;
  return options;
}

void check_beside(const AlignmentBeside& beside) {
  check(beside.pairs != nullptr, "[PolicyTrainer] alignment.pairs: expected a data set, got a null pointer");
  check(std::isfinite(beside.weight) && beside.weight >= 0,
        "[PolicyTrainer] alignment.weight: expected 0 or more, got {}", beside.weight);
  check(beside.batch_size > 0, "[PolicyTrainer] alignment.batch_size: expected a positive number, got {}",
        beside.batch_size);
}

class PolicyTask : public Task {
 public:
  PolicyTask(Policy policy, const TrainerOptions& options, const std::optional<AlignmentBeside>& alignment)
      : policy_(std::move(policy)), encoder_(policy_.encoder()), module_(policy_.module()), options_(options) {
    check(options.micro_batch == 0, "[PolicyTrainer] micro_batch: a policy's batch isn't taken in pieces");
    check(options.stages.empty(),
          "[PolicyTrainer] stages: a policy trains at full size; a Trainer takes its encoder through stages before");
    check(alignment || (!options.targets && !options.teacher),
          "[PolicyTrainer] targets and teacher are for an alignment loss, and there is none");
    if (!alignment) return;
    check_beside(*alignment);
    alignment_.emplace(encoder_, alignment->loss, beside_options(options, alignment));
    pairs_ = alignment->pairs;
    weight_ = alignment->weight;
    alignment_batch_size_ = alignment->batch_size;
  }

  void open(const std::shared_ptr<const EpisodeSource>& episodes) {
    check_dims(*episodes);
    if (alignment_) alignment_->open(pairs_);
    const auto& config = encoder_.config();
    loader_.emplace(episodes, encoder_.tokenizer(), config.text.context_length, config.preprocess,
                    EpisodeLoaderOptions{.batch_size = options_.batch_size,
                                         .share = share(),
                                         .horizon = policy_.config().actions.horizon,
                                         .threads = options_.loader_threads,
                                         .prefetch = options_.prefetch,
                                         .shuffle = options_.shuffle,
                                         .seed = options_.seed,
                                         .augmentation = options_.augmentation,
                                         .cache_mb = options_.cache_mb,
                                         .max_bad = options_.max_bad});
    episodes_ = episodes;
  }

  torch::nn::Module& module() const override { return *module_; }
  const DualEncoder& encoder() const override { return encoder_; }
  std::string encoder_prefix() const override { return "encoder."; }
  void write(const std::filesystem::path& folder) const override { policy_.write(folder); }
  void load_weights(const std::filesystem::path& folder) override { policy_.load_weights(folder); }
  void enter(const Stage&, std::int64_t) override {}
  std::vector<BatchMaker*> batches() const override {
    std::vector<BatchMaker*> all{&loader_->maker()};
    if (alignment_) all.push_back(alignment_->batches().front());
    return all;
  }

  json settings() const override {
    const auto beside = alignment_ ? alignment_->settings() : json();
    return {{"episodes", episodes_->size()},
            {"policy", json::parse(to_json(policy_.config()))},
            {"alignment", beside},
            {"alignment_weight", weight_}};
  }

  json identity() const override {
    const auto instructions = [this](std::int64_t i) { return episodes_->episode(i).instructions; };
    json all{{"demonstrations", fingerprint_of(*episodes_)},
             {"tokenizer", fingerprint_of(*encoder_.tokenizer(), identified_records(episodes_->size()), instructions)}};
    if (alignment_) {
      all["alignment"] = alignment_->identity();
      all["alignment_batch_size"] = alignment_batch_size_;
    }
    return all;
  }

  StepFigures forward_backward(std::int64_t step, double progress, const LossScaler& scaler,
                               GradientExchange& exchange) override {
    const auto batch = loader_->next();
    seed_towers(options_, step, share().begin(options_.batch_size));
    auto loss = action_loss_of(batch, noise(step));
    StepFigures figures;
    const auto action_loss = loss.detach();
    if (alignment_) {
      const auto [beside, measured] = alignment_->forward(step, progress);
      figures = measured;
      loss = loss + weight_ * beside;
    }
    figures.action_loss = action_loss;
    exchange.arm();
    scaler.scaled(loss).backward();
    figures.loss = loss.detach();
    figures.known.epoch = batch.epoch;
    figures.known.samples_seen = batch.mask.size(0);
    figures.known.wait_s += batch.wait_s;
    figures.logit_scale = encoder_.logit_scale().detach();
    return figures;
  }

 private:
  BatchShare share() const { return {.index = options_.ranks.rank(), .count = options_.ranks.size()}; }

  /// Of all ranks' samples, on each of them.
  at::Tensor action_loss_of(const EpisodeBatch& batch, const at::Generator& noise) const {
    const auto& ranks = options_.ranks;
    if (ranks.alone()) return policy_.loss(batch, options_.precision, noise);
    const auto rows = batch.mask.size(0);
    std::optional<nn::UncountedRows> uncounted;
    if (rows == 0) uncounted.emplace(*module_);
    return policy_.loss_of_all(
        rows > 0 ? batch : blank(batch), options_.precision, noise, [&](const Policy::HeadBatch& own) {
          const auto all = [&](const at::Tensor& part) { return ranks.gather(part.narrow(0, 0, rows)); };
          return Policy::HeadBatch{all(own.features), all(own.actions), all(own.mask)};
        });
  }

  /// A black picture with a word, as a rank sees it that could read none of its samples.
  EpisodeBatch blank(EpisodeBatch batch) const {
    const auto& config = encoder_.config();
    const auto size = config.preprocess.image_size;
    batch.pixels = at::zeros({1, 3, size, size}, at::kByte);
    batch.tokens = at::tensor(encoder_.tokenizer()->encode("a", config.text.context_length), at::kLong).unsqueeze(0);
    for (auto* part : {&batch.state, &batch.actions, &batch.mask}) {
      auto shape = part->sizes().vec();
      shape[0] = 1;
      *part = at::zeros(shape, part->options());
    }
    return batch;
  }

  void check_dims(const EpisodeSource& episodes) const {
    check(episodes.size() > 0, "[PolicyTrainer::fit] episodes: expected at least one, got none");
    const auto& first = episodes.episode(0);
    const auto& config = policy_.config();
    check(first.actions.size(1) == config.actions.dims,
          "[PolicyTrainer] the demonstrations' actions have {} numbers, the policy's {}", first.actions.size(1),
          config.actions.dims);
    check(config.state == 0 || first.states.size(1) == config.state,
          "[PolicyTrainer] the demonstrations' states have {} numbers, the policy's {}", first.states.size(1),
          config.state);
  }

  /// For heads that draw noise, from (seed, step) alone.
  at::Generator noise(std::int64_t step) const {
    constexpr std::uint64_t purpose = 0x6e6f697365;
    Rng rng({options_.seed, purpose, static_cast<std::uint64_t>(step)});
    return at::detail::createCPUGenerator(rng.next());
  }

  Policy policy_;
  DualEncoder encoder_;
  std::shared_ptr<torch::nn::Module> module_;
  TrainerOptions options_;
  std::optional<AlignmentTask> alignment_;
  std::shared_ptr<const PairSource> pairs_;
  double weight_ = 0;
  std::int64_t alignment_batch_size_ = 0;
  std::optional<EpisodeLoader> loader_;
  std::shared_ptr<const EpisodeSource> episodes_;
};

constexpr std::int64_t any_width = -1;

/// Throws Error naming the episode unless its states or actions are finite [T, width].
void check_numbers(const Episode& episode, const at::Tensor& rows, const char* what, std::int64_t width) {
  const bool fits =
      rows.defined() && rows.dim() == 2 && rows.is_floating_point() && (width == any_width || rows.size(1) == width);
  if (!fits)
    fail("[measure_ranges] episode {}: expected {} [T, {}] as in those before, got {}", episode.name, what,
         width == any_width ? "any" : std::to_string(width), rows.defined() ? fmt::format("{}", rows.sizes()) : "none");
  if (!all_finite(rows))
    fail("[measure_ranges] episode {}: expected finite {}, got NaN or infinity at step {}", episode.name, what,
         first_bad_row(rows));
}

std::vector<float> floats_of(const at::Tensor& row) {
  const auto values = row.to(at::kFloat).contiguous();
  return {values.const_data_ptr<float>(), values.const_data_ptr<float>() + values.numel()};
}

}  // namespace

struct PolicyTrainer::State {
  Policy policy;
  TrainerOptions options;
  std::optional<AlignmentBeside> alignment;
  OnStep on_step = [](const StepResult&) {};
  OnValidation on_validation = [](const ValidationResult&) {};
  StopFlag stop{};
};

PolicyTrainer::PolicyTrainer(Policy policy, TrainerOptions options, std::optional<AlignmentBeside> alignment)
    : state_(new State{std::move(policy), std::move(options), std::move(alignment)}) {
  check_options(state_->options);
  check_task(PolicyTask(state_->policy, state_->options, state_->alignment), state_->options);
}

PolicyTrainer::~PolicyTrainer() = default;

void PolicyTrainer::on_step(std::function<void(const StepResult&)> callback) {
  check(callback != nullptr, "[PolicyTrainer::on_step] callback: expected a function, got an empty one");
  state_->on_step = std::move(callback);
}

void PolicyTrainer::on_validation(std::function<void(const ValidationResult&)> callback) {
  check(callback != nullptr, "[PolicyTrainer::on_validation] callback: expected a function, got an empty one");
  state_->on_validation = std::move(callback);
}

TrainSummary PolicyTrainer::fit(std::shared_ptr<const EpisodeSource> episodes) {
  check(episodes != nullptr, "[PolicyTrainer::fit] episodes: expected demonstrations, got a null pointer");
  PolicyTask task(state_->policy, state_->options, state_->alignment);
  task.open(episodes);
  drop_columns(state_->policy.encoder(), "for it is trained");
  return TrainingRun(task, state_->options, state_->on_step, state_->on_validation, state_->stop).fit();
}

void PolicyTrainer::stop() noexcept { state_->stop = true; }

void measure_ranges(const std::shared_ptr<const EpisodeSource>& source, PolicyConfig& config) {
  const auto& episodes = checked_source(source, "[measure_ranges] episodes");
  std::vector<at::Tensor> states, actions;
  std::int64_t steps = 0;
  for (std::int64_t i = 0; i < episodes.size(); ++i) {
    const auto& episode = episodes.episode(i);
    check_numbers(episode, episode.states, "states", states.empty() ? any_width : states.front().size(1));
    check_numbers(episode, episode.actions, "actions", actions.empty() ? any_width : actions.front().size(1));
    states.push_back(episode.states);
    actions.push_back(episode.actions);
    steps += episode.actions.size(0);
  }
  check(steps > 0, "[measure_ranges] episodes: expected at least one step, got none");
  const auto all_states = at::cat(states).to(at::kDouble), all_actions = at::cat(actions);
  config.state = all_states.size(1);
  config.actions.dims = all_actions.size(1);
  config.state_mean = floats_of(all_states.mean(0));
  config.state_std = floats_of(all_states.std(0, /*unbiased=*/false).clamp_min(1e-6));
  const auto low = all_actions.amin(0), high = all_actions.amax(0);
  const auto margin = (high - low).eq(0).to(at::kFloat) * 0.5;
  config.action_low = floats_of(low - margin);
  config.action_high = floats_of(high + margin);
}

}  // namespace vlalign::vla
