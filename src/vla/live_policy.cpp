#include "vlalign/vla/live_policy.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <vector>

#include "core/ascii.hpp"
#include "core/check.hpp"
#include "core/finite.hpp"
#include "core/on_device.hpp"
#include "core/recent_texts.hpp"
#include "image/frame_preprocessor.hpp"
#include "kernels/thread_count.hpp"
#include "model/int8_mode.hpp"
#include "nn/live_weights.hpp"
#include "vla/policy_module.hpp"
#include "vlalign/core/random.hpp"
#include "vlalign/vla/temporal_ensemble.hpp"

namespace vlalign::vla {
namespace {

using Clock = std::chrono::steady_clock;

double seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

void check_options(const LivePolicyOptions& options, const ActionShape& shape) {
  check_threads(options.threads, "LivePolicy");
  check(options.execute >= 1 && options.execute <= shape.horizon, "[LivePolicy] execute: expected 1 to {}, got {}",
        shape.horizon, options.execute);
  check(!options.ensemble || options.execute == 1,
        "[LivePolicy] execute: {} steps of a chunk don't go with an ensemble, which looks at every frame",
        options.execute);
  check(!options.ensemble || (*options.ensemble >= 0 && std::isfinite(*options.ensemble)),
        "[LivePolicy] ensemble: expected at least 0 and finite, got {}", options.ensemble.value_or(0));
  check(options.kept_instructions >= 1, "[LivePolicy] kept_instructions: expected at least 1, got {}",
        options.kept_instructions);
}

}  // namespace

struct LivePolicy::State {
  State(Policy of, const LivePolicyOptions& how)
      : policy(std::move(of)),
        module(std::static_pointer_cast<PolicyModule>(policy.module())),
        encoder(policy.encoder()),
        options(how),
        weights(module, "LivePolicy"),
        preprocessor(encoder.config().preprocess) {
    if (options.ensemble) ensemble.emplace(shape.horizon, shape.dims, *options.ensemble);
    chunk.resize(static_cast<std::size_t>(shape.horizon * shape.dims));
    given.reserve(static_cast<std::size_t>(shape.dims));
    if (policy.config().state > 0) state = at::empty({1, policy.config().state});
  }

  Features read(std::string_view text) const;
  void follow_weights();
  void forget_plan();
  bool predict(const ImageView& frame, std::span<const float> felt);
  void next(std::span<float> action);
  void hold(std::span<float> action);

  Policy policy;
  std::shared_ptr<PolicyModule> module;
  DualEncoder encoder;
  LivePolicyOptions options;
  nn::LiveWeights weights;
  ActionShape shape = policy.config().actions;
  FramePreprocessor preprocessor;
  RecentTexts<Features> instructions{options.kept_instructions};
  std::uint64_t version = weights.version();  // of the weights that the instructions were read with
  std::string told;                           // the instruction, empty before the first
  Features instruction;                       // what its tower made of it
  std::optional<TemporalEnsemble> ensemble;
  at::Tensor state;               // [1, S], or undefined
  std::vector<float> chunk;       // [H, A], predicted last
  std::int64_t left = 0;          // steps of it that are still to be acted out
  std::uint64_t predictions = 0;  // since reset()
  at::Generator generator = at::detail::createCPUGenerator();
  std::vector<float> given;  // [A], the action of the step before; empty where there was none
  std::int64_t held = 0;
  Latency latency;
};

LivePolicy::LivePolicy(Policy policy, const LivePolicyOptions& options) {
  check_options(options, policy.config().actions);
  checked_mode(policy.encoder(), options.precision);
  state_ = std::make_unique<State>(std::move(policy), options);
}

LivePolicy::~LivePolicy() = default;
LivePolicy::LivePolicy(LivePolicy&&) noexcept = default;
LivePolicy& LivePolicy::operator=(LivePolicy&&) noexcept = default;

void LivePolicy::set_instruction(std::string_view text) {
  auto& s = *state_;
  check(!trim(text).empty(), "[LivePolicy] instruction: expected words, got a blank");
  s.follow_weights();
  if (s.told == text) return;
  const auto* kept = s.instructions.find(text);
  auto features = kept ? *kept : s.read(text);
  if (!kept) s.instructions.keep(text, features);
  s.told.assign(text);
  s.instruction = std::move(features);
  s.forget_plan();
}

/// Throws Error for weights that make something else than numbers of it.
Features LivePolicy::State::read(std::string_view text) const {
  const ThreadCount threads(options.threads);
  const at::NoGradGuard no_graph;
  weights.evaluate();
  const auto tokens =
      tokenize(*encoder.tokenizer(), std::vector{std::string(text)}, encoder.config().text.context_length);
  auto features = policy.read(tokens, options.precision);
  if (!all_finite(features.embedding) || !all_finite(features.tokens))
    fail("[LivePolicy] instruction \"{}\": its embedding isn't finite", text);
  return features;
}

/// Reads the instruction again where weights have changed since.
void LivePolicy::State::follow_weights() {
  const auto now = weights.version();
  if (now == version) return;
  if (!told.empty()) instruction = read(told);
  instructions.clear();
  version = now;
}

void LivePolicy::State::forget_plan() {
  left = 0;
  if (ensemble) ensemble->reset();
}

void LivePolicy::act(const ImageView& frame, std::span<const float> state, std::span<float> action) {
  auto& s = *state_;
  check(std::ssize(state) == s.policy.config().state, "[LivePolicy] state: expected {} numbers, got {}",
        s.policy.config().state, state.size());
  check(std::ssize(action) == s.shape.dims, "[LivePolicy] action: expected {} numbers, got {}", s.shape.dims,
        action.size());
  check(!s.told.empty(), "[LivePolicy] no instruction: call set_instruction() first");
  const bool can_hold = s.options.on_bad == LivePolicyOptions::OnBad::hold && !s.given.empty();
  if (!all_finite(state)) {
    check(can_hold, "[LivePolicy] state: expected finite numbers, got {}", state);
    return s.hold(action);
  }
  if (s.left == 0 && !s.predict(frame, state)) {
    check(can_hold, "[LivePolicy] the predicted actions aren't finite");
    return s.hold(action);
  }
  s.next(action);
}

/// False, and nothing has changed, where the actions aren't finite.
bool LivePolicy::State::predict(const ImageView& frame, std::span<const float> felt) {
  const auto start = Clock::now();
  const ThreadCount threads(options.threads);
  const at::NoGradGuard no_graph;
  weights.evaluate();
  follow_weights();
  const auto& pixels = preprocessor(frame);
  const auto preprocessed = Clock::now();
  if (state.defined()) std::copy(felt.begin(), felt.end(), state.mutable_data_ptr<float>());
  generator.set_current_seed(Rng({options.seed, predictions}).next());
  const auto mode = checked_mode(policy.encoder(), options.precision);
  const auto actions = module->act(on_device(pixels, policy.device()), instruction, state,
                                   nn::compute_dtype(options.precision), generator);
  copy_numbers(actions, chunk, "[LivePolicy] actions");
  const auto end = Clock::now();
  if (!all_finite(chunk)) return false;
  if (ensemble) ensemble->add(chunk);
  ++predictions;
  left = options.execute;
  latency.preprocess.record(seconds(preprocessed - start));
  latency.policy.record(seconds(end - preprocessed));
  latency.whole.record(seconds(end - start));
  return true;
}

/// The action that the plan has for this step.
void LivePolicy::State::next(std::span<float> action) {
  const auto done = options.execute - left--;
  if (ensemble) {
    ensemble->next(action);
  } else {
    std::copy_n(chunk.begin() + done * shape.dims, shape.dims, action.begin());
  }
  given.assign(action.begin(), action.end());
}

void LivePolicy::State::hold(std::span<float> action) {
  std::copy(given.begin(), given.end(), action.begin());
  ++held;
}

void LivePolicy::reset() {
  state_->forget_plan();
  state_->predictions = 0;
  state_->given.clear();
}

void LivePolicy::refresh() {
  state_->weights.refresh();
  state_->forget_plan();
}

std::int64_t LivePolicy::held() const { return state_->held; }

const LivePolicy::Latency& LivePolicy::latency() const { return state_->latency; }

void LivePolicy::reset_latency() { state_->latency = {}; }

}  // namespace vlalign::vla
