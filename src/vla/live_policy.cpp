#include "vlalign/vla/live_policy.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <torch/nn/module.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "core/check.hpp"
#include "core/thread_count.hpp"
#include "data/frame_preprocessor.hpp"
#include "nn/pack.hpp"
#include "vlalign/core/random.hpp"
#include "vlalign/vla/temporal_ensemble.hpp"

namespace vlalign::vla {
namespace {

using Clock = std::chrono::steady_clock;

double seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

void check_options(const LivePolicyOptions& options, const ActionShape& shape) {
  check(options.threads >= 0, "[LivePolicy] threads: expected 0 or more, got {}", options.threads);
  check(options.execute >= 1 && options.execute <= shape.horizon, "[LivePolicy] execute: expected 1 to {}, got {}",
        shape.horizon, options.execute);
  check(!options.ensemble || options.execute == 1,
        "[LivePolicy] execute: {} steps of a chunk don't go with an ensemble, which looks at every frame",
        options.execute);
}

}  // namespace

struct LivePolicy::State {
  State(Policy of, const LivePolicyOptions& how)
      : policy(std::move(of)), options(how), preprocessor(policy.encoder().config().preprocess) {
    if (options.ensemble) ensemble.emplace(shape.horizon, shape.dims, *options.ensemble);
    chunk.resize(static_cast<std::size_t>(shape.horizon * shape.dims));
    if (policy.config().state > 0) state = at::empty({1, policy.config().state});
  }

  void predict(const ImageView& frame, std::span<const float> given);

  Policy policy;
  LivePolicyOptions options;
  ActionShape shape = policy.config().actions;
  FramePreprocessor preprocessor;
  std::map<std::string, Features, std::less<>> instructions;
  decltype(instructions)::const_iterator instruction = instructions.end();
  std::optional<TemporalEnsemble> ensemble;
  at::Tensor state;               // [1, S], or undefined
  std::vector<float> chunk;       // [H, A], predicted last
  std::int64_t left = 0;          // steps of it that are still to be acted out
  std::uint64_t predictions = 0;  // since reset()
  at::Generator generator = at::detail::createCPUGenerator();
  Latency latency;
};

LivePolicy::LivePolicy(Policy policy, const LivePolicyOptions& options) {
  check_options(options, policy.config().actions);
  if (policy.module()->is_training()) policy.train(false);
  if (policy.device().is_cpu()) nn::pack_weights(*policy.module());
  state_ = std::make_unique<State>(std::move(policy), options);
}

LivePolicy::~LivePolicy() = default;
LivePolicy::LivePolicy(LivePolicy&&) noexcept = default;
LivePolicy& LivePolicy::operator=(LivePolicy&&) noexcept = default;

void LivePolicy::set_instruction(std::string_view text) {
  auto& s = *state_;
  auto found = s.instructions.find(text);
  if (found == s.instructions.end()) {
    const ThreadCount threads(s.options.threads);
    const at::NoGradGuard no_graph;
    const auto encoder = s.policy.encoder();
    const auto tokens =
        tokenize(*encoder.tokenizer(), std::vector{std::string(text)}, encoder.config().text.context_length);
    found = s.instructions.emplace(text, s.policy.read(tokens, s.options.precision)).first;
  }
  if (s.instruction == found) return;
  s.instruction = found;
  s.left = 0;
  if (s.ensemble) s.ensemble->reset();
}

void LivePolicy::act(const ImageView& frame, std::span<const float> state, std::span<float> action) {
  auto& s = *state_;
  check(std::ssize(state) == s.policy.config().state, "[LivePolicy] state: expected {} numbers, got {}",
        s.policy.config().state, state.size());
  check(std::ssize(action) == s.shape.dims, "[LivePolicy] action: expected {} numbers, got {}", s.shape.dims,
        action.size());
  check(s.instruction != s.instructions.end(), "[LivePolicy] no instruction: call set_instruction() first");
  if (s.left == 0) s.predict(frame, state);
  const auto done = s.options.execute - s.left--;
  if (s.ensemble) return s.ensemble->next(action);
  std::copy_n(s.chunk.begin() + done * s.shape.dims, s.shape.dims, action.begin());
}

void LivePolicy::State::predict(const ImageView& frame, std::span<const float> given) {
  const auto start = Clock::now();
  const ThreadCount threads(options.threads);
  const auto& pixels = preprocessor(frame);
  const auto preprocessed = Clock::now();
  if (state.defined()) std::copy(given.begin(), given.end(), state.mutable_data_ptr<float>());
  generator.set_current_seed(Rng({options.seed, predictions}).next());
  const auto actions = policy.act(pixels, instruction->second, state, options.precision, generator).cpu().contiguous();
  std::copy_n(actions.const_data_ptr<float>(), chunk.size(), chunk.begin());
  const auto end = Clock::now();
  if (ensemble) ensemble->add(chunk);
  ++predictions;
  left = options.execute;
  latency.preprocess.record(seconds(preprocessed - start));
  latency.policy.record(seconds(end - preprocessed));
  latency.whole.record(seconds(end - start));
}

void LivePolicy::reset() {
  state_->left = 0;
  state_->predictions = 0;
  if (state_->ensemble) state_->ensemble->reset();
}

const LivePolicy::Latency& LivePolicy::latency() const { return state_->latency; }

void LivePolicy::reset_latency() { state_->latency = {}; }

}  // namespace vlalign::vla
