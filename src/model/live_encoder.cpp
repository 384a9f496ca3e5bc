#include "vlalign/model/live_encoder.hpp"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <vector>

#include "core/ascii.hpp"
#include "core/check.hpp"
#include "core/finite.hpp"
#include "core/recent_texts.hpp"
#include "image/frame_preprocessor.hpp"
#include "kernels/thread_count.hpp"
#include "nn/live_weights.hpp"
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

/// row [1, D] to `out`, which is left as it is by a row that can't be given out.
void give_out(const at::Tensor& row, std::span<float> out) {
  const auto floats = row.to(at::kCPU, at::kFloat);
  check(all_finite(floats), "[LiveEncoder] the embedding isn't finite: weights or their products are NaN or infinite");
  copy_numbers(floats, out, "[LiveEncoder] embedding");
}

}  // namespace

struct LiveEncoder::State {
  State(DualEncoder encoder, const LiveEncoderOptions& how)
      : model(std::move(encoder)), options(how), weights(model.module(), "LiveEncoder"), texts(how.kept_texts) {}

  void check_out(std::span<float> out) const {
    check(std::ssize(out) == dim, "[LiveEncoder] out: expected {} numbers, got {}", dim, out.size());
  }
  bool copy_kept(std::string_view text, std::uint64_t version, std::span<float> out);
  void keep(std::string_view text, std::uint64_t version, std::span<const float> embedding);

  DualEncoder model;
  LiveEncoderOptions options;
  nn::LiveWeights weights;
  std::int64_t dim = model.config().embed_dim;
  Preprocessors preprocessors{model.config().preprocess};
  std::mutex mutex;  // of what follows
  RecentTexts<std::vector<float>> texts;
  std::uint64_t version = 0;  // of the weights that the texts were made with
};

bool LiveEncoder::State::copy_kept(std::string_view text, std::uint64_t now, std::span<float> out) {
  const std::lock_guard lock(mutex);
  if (now > version) {
    texts.clear();
    version = now;
  }
  const auto* kept = texts.find(text);
  if (kept != nullptr) std::copy(kept->begin(), kept->end(), out.begin());
  return kept != nullptr;
}

void LiveEncoder::State::keep(std::string_view text, std::uint64_t made_with, std::span<const float> embedding) {
  const std::lock_guard lock(mutex);
  if (made_with == version) texts.keep(text, {embedding.begin(), embedding.end()});
}

LiveEncoder::LiveEncoder(DualEncoder model, const LiveEncoderOptions& options) {
  check_threads(options.threads, "LiveEncoder");
  check(options.kept_texts >= 1, "[LiveEncoder] kept_texts: expected at least 1, got {}", options.kept_texts);
  state_ = std::make_unique<State>(std::move(model), options);
}

LiveEncoder::~LiveEncoder() = default;
LiveEncoder::LiveEncoder(LiveEncoder&&) noexcept = default;
LiveEncoder& LiveEncoder::operator=(LiveEncoder&&) noexcept = default;

std::int64_t LiveEncoder::dim() const { return state_->dim; }

void LiveEncoder::embed(const ImageView& frame, std::span<float> out) const {
  auto& s = *state_;
  s.check_out(out);
  const ThreadCount threads(s.options.threads);
  const at::NoGradGuard no_graph;
  s.weights.evaluate();
  auto preprocessor = s.preprocessors.take(frame);
  const auto row = s.model.encode_image((*preprocessor)(frame), s.options.precision);
  s.preprocessors.give_back(std::move(preprocessor));
  give_out(row, out);
}

void LiveEncoder::embed(std::string_view text, std::span<float> out) const {
  auto& s = *state_;
  s.check_out(out);
  const auto version = s.weights.version();
  if (s.copy_kept(text, version, out)) return;
  check(!trim(text).empty(), "[LiveEncoder] text: expected words, got a blank");
  const ThreadCount threads(s.options.threads);
  const at::NoGradGuard no_graph;
  s.weights.evaluate();
  const auto tokens =
      tokenize(*s.model.tokenizer(), std::vector{std::string(text)}, s.model.config().text.context_length);
  give_out(s.model.encode_text(tokens, s.options.precision), out);
  s.keep(text, version, out);
}

void LiveEncoder::refresh() { state_->weights.refresh(); }

}  // namespace vlalign
