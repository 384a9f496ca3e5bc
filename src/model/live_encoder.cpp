#include "vlalign/model/live_encoder.hpp"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "core/check.hpp"
#include "core/thread_count.hpp"
#include "data/frame_preprocessor.hpp"
#include "nn/pack.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign {
namespace {

/// Preprocessors that are not in use, one for each call at once.
class Preprocessors {
 public:
  explicit Preprocessors(const Preprocess& how) : how_(how) {}

  /// One that is prepared for such frames, where there is one.
  std::unique_ptr<FramePreprocessor> take(const ImageView& frame) {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) return std::make_unique<FramePreprocessor>(how_);
    const auto fits = [&](const auto& idle) { return idle->fits(frame); };
    const auto found = std::find_if(idle_.begin(), idle_.end(), fits);
    if (found != idle_.end()) std::swap(*found, idle_.back());
    auto taken = std::move(idle_.back());
    idle_.pop_back();
    return taken;
  }

  void give_back(std::unique_ptr<FramePreprocessor> used) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(used));
  }

 private:
  Preprocess how_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<FramePreprocessor>> idle_;
};

std::vector<float> to_floats(const at::Tensor& row) {
  const auto on_cpu = row.cpu().contiguous();
  const auto* data = on_cpu.const_data_ptr<float>();
  return {data, data + on_cpu.numel()};
}

}  // namespace

struct LiveEncoder::State {
  State(DualEncoder encoder, const LiveEncoderOptions& how) : model(std::move(encoder)), options(how) {}

  DualEncoder model;
  LiveEncoderOptions options;
  std::int64_t dim = model.config().embed_dim;
  Preprocessors preprocessors{model.config().preprocess};
  std::mutex mutex;  // of the texts
  std::map<std::string, std::vector<float>, std::less<>> texts;
};

LiveEncoder::LiveEncoder(DualEncoder model, const LiveEncoderOptions& options) {
  check(options.threads >= 0, "[LiveEncoder] threads: expected 0 or more, got {}", options.threads);
  model.train(false);
  if (model.device().is_cpu()) nn::pack_weights(*model.module());
  state_ = std::make_unique<State>(std::move(model), options);
}

LiveEncoder::~LiveEncoder() = default;
LiveEncoder::LiveEncoder(LiveEncoder&&) noexcept = default;
LiveEncoder& LiveEncoder::operator=(LiveEncoder&&) noexcept = default;

std::int64_t LiveEncoder::dim() const { return state_->dim; }

void LiveEncoder::embed(const ImageView& frame, std::span<float> out) const {
  check(std::ssize(out) == state_->dim, "[LiveEncoder] out: expected {} numbers, got {}", state_->dim, out.size());
  const ThreadCount threads(state_->options.threads);
  const at::NoGradGuard no_graph;
  auto preprocessor = state_->preprocessors.take(frame);
  const auto row = state_->model.encode_image((*preprocessor)(frame), state_->options.precision).cpu();
  state_->preprocessors.give_back(std::move(preprocessor));
  std::copy_n(row.const_data_ptr<float>(), out.size(), out.begin());
}

std::span<const float> LiveEncoder::embed(std::string_view text) const {
  auto& s = *state_;
  {
    const std::lock_guard lock(s.mutex);
    if (const auto kept = s.texts.find(text); kept != s.texts.end()) return kept->second;
  }
  const ThreadCount threads(s.options.threads);
  const at::NoGradGuard no_graph;
  check(s.model.tokenizer() != nullptr, "[LiveEncoder] the model has no tokenizer");
  const auto tokens =
      tokenize(*s.model.tokenizer(), std::vector{std::string(text)}, s.model.config().text.context_length);
  auto row = to_floats(s.model.encode_text(tokens, s.options.precision));
  const std::lock_guard lock(s.mutex);
  return s.texts.try_emplace(std::string(text), std::move(row)).first->second;
}

}  // namespace vlalign
