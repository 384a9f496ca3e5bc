#include "vlalign/model/live_encoder.hpp"

#include <ATen/core/grad_mode.h>

#include <string>
#include <vector>

#include "core/ascii.hpp"
#include "core/check.hpp"
#include "core/finite.hpp"
#include "image/frame_preprocessors.hpp"
#include "kernels/thread_count.hpp"
#include "model/int8_mode.hpp"
#include "model/kept_embeddings.hpp"
#include "nn/live_weights.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign {
namespace {

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

  DualEncoder model;
  LiveEncoderOptions options;
  nn::LiveWeights weights;
  std::int64_t dim = model.config().embed_dim;
  FramePreprocessors preprocessors{model.config().preprocess};
  KeptEmbeddings texts;
};

LiveEncoder::LiveEncoder(DualEncoder model, const LiveEncoderOptions& options) {
  check_threads(options.threads, "LiveEncoder");
  check(options.kept_texts >= 1, "[LiveEncoder] kept_texts: expected at least 1, got {}", options.kept_texts);
  checked_mode(model, options.precision);
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
  if (s.texts.copy(text, version, out)) return;
  check(!trim(text).empty(), "[LiveEncoder] text: expected words, got a blank");
  const ThreadCount threads(s.options.threads);
  const at::NoGradGuard no_graph;
  s.weights.evaluate();
  const auto tokens =
      tokenize(*s.model.tokenizer(), std::vector{std::string(text)}, s.model.config().text.context_length);
  give_out(s.model.encode_text(tokens, s.options.precision), out);
  s.texts.keep(text, version, out);
}

void LiveEncoder::refresh() { state_->weights.refresh(); }

}  // namespace vlalign
