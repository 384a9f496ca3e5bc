#include "vlalign/model/batch_encoder.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <string>
#include <thread>

#include "core/ascii.hpp"
#include "core/check.hpp"
#include "core/finite.hpp"
#include "image/frame_preprocessors.hpp"
#include "kernels/thread_count.hpp"
#include "model/batch_queue.hpp"
#include "model/int8_mode.hpp"
#include "model/kept_embeddings.hpp"
#include "nn/live_weights.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign {
namespace {

using Clock = BatchQueue::Clock;

constexpr std::int64_t largest_batch = 4096;

double seconds_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

void check_options(const BatchEncoderOptions& options) {
  check_threads(options.threads, "BatchEncoder");
  check(options.most >= 1 && options.most <= largest_batch, "[BatchEncoder] most: expected 1 to {}, got {}",
        largest_batch, options.most);
  using namespace std::chrono_literals;
  check(options.delay >= 0us && options.delay <= 1min, "[BatchEncoder] delay: expected 0 to 60 s, got {} us",
        options.delay.count());
  check(options.queue >= 1, "[BatchEncoder] queue: expected at least 1, got {}", options.queue);
  check(options.kept_texts >= 1, "[BatchEncoder] kept_texts: expected at least 1, got {}", options.kept_texts);
}

BatchQueue::Options queue_options(const BatchEncoderOptions& options) {
  return {.most = static_cast<std::size_t>(options.most),
          .delay = options.delay,
          .bound = static_cast<std::size_t>(options.queue),
          .wait_when_full = options.when_full == BatchEncoderOptions::WhenFull::wait};
}

/// What the batch failed of, for each of its callers.
void set_failure(const BatchQueue::Batch& batch, const std::string& reason) {
  for (auto* request : batch.requests) request->failure = "[BatchEncoder] the batch failed: " + reason;
}

}  // namespace

struct BatchEncoder::State {
  State(DualEncoder encoder, const BatchEncoderOptions& how)
      : model(std::move(encoder)),
        options(how),
        weights(model.module(), "BatchEncoder"),
        texts(how.kept_texts),
        queue(queue_options(how)) {
    reset();
    worker = std::thread([this] { work(); });
  }
  ~State() {
    queue.stop();
    worker.join();
    queue.wait_for_calls();
  }

  void work();
  void compute(const BatchQueue::Batch& batch);
  at::Tensor stacked_frames(const std::vector<BatchQueue::Request*>& requests);
  at::Tensor stacked_texts(const std::vector<BatchQueue::Request*>& requests) const;
  void record(const BatchQueue::Batch& batch, Clock::time_point end);
  void check_out(std::span<float> out) const;
  void give_out(const at::Tensor& row, Clock::time_point start, std::span<float> out);
  void reset();

  DualEncoder model;
  BatchEncoderOptions options;
  nn::LiveWeights weights;
  std::int64_t dim = model.config().embed_dim;
  FramePreprocessors preprocessors{model.config().preprocess};
  KeptEmbeddings texts;
  BatchQueue queue;
  at::Tensor frames;  // the worker's: [most, 3, S, S], written anew for each batch
  std::mutex mutex;   // of the statistics
  Statistics statistics;
  std::thread worker;
};

void BatchEncoder::State::work() {
  const ThreadCount threads(options.threads);
  const at::NoGradGuard no_graph;
  while (const auto batch = queue.next()) {
    try {
      compute(*batch);
    } catch (const c10::Error& error) {
      set_failure(*batch, error.what_without_backtrace());
    } catch (const std::exception& error) {
      set_failure(*batch, error.what());
    } catch (...) {
      set_failure(*batch, "something was thrown that is no std::exception");
    }
    record(*batch, Clock::now());
    queue.answer(*batch);
  }
}

void BatchEncoder::State::compute(const BatchQueue::Batch& batch) {
  weights.evaluate();
  const auto version = weights.version();
  const auto rows = batch.kind == BatchQueue::frames
                        ? model.encode_image(stacked_frames(batch.requests), options.precision)
                        : model.encode_text(stacked_texts(batch.requests), options.precision);
  const auto floats = rows.to(at::kCPU, at::kFloat);
  for (std::size_t i = 0; i < batch.requests.size(); ++i) {
    batch.requests[i]->row = floats.select(0, static_cast<std::int64_t>(i));
    batch.requests[i]->version = version;
  }
}

/// [N, 3, S, S]; of one shape: with frames of batches before in the places that are left.
at::Tensor BatchEncoder::State::stacked_frames(const std::vector<BatchQueue::Request*>& requests) {
  const auto side = model.config().preprocess.image_size;
  if (!frames.defined())
    frames = at::zeros({options.most, 3, side, side}, at::kFloat).contiguous(at::MemoryFormat::ChannelsLast);
  const auto count = std::ssize(requests);
  for (std::int64_t i = 0; i < count; ++i) frames.narrow(0, i, 1).copy_(requests[static_cast<std::size_t>(i)]->input);
  return options.one_shape ? frames : frames.narrow(0, 0, count);
}

/// int64 [N, L], L the longest text's; the first text is in the places that are left. A lone text comes twice: one
/// sequence alone is computed by other kernels than several, which round otherwise.
at::Tensor BatchEncoder::State::stacked_texts(const std::vector<BatchQueue::Request*>& requests) const {
  std::int64_t length = options.one_shape ? model.config().text.context_length : 0;
  for (const auto* request : requests) length = std::max(length, request->input.size(1));
  const auto count = options.one_shape ? options.most : std::max<std::int64_t>(2, std::ssize(requests));
  auto tokens = at::full({count, length}, model.tokenizer()->pad_id(), at::kLong);
  for (std::int64_t i = 0; i < count; ++i) {
    const auto& text = requests[static_cast<std::size_t>(i < std::ssize(requests) ? i : 0)]->input;
    tokens.narrow(0, i, 1).narrow(1, 0, text.size(1)).copy_(text);
  }
  return tokens;
}

void BatchEncoder::State::record(const BatchQueue::Batch& batch, Clock::time_point end) {
  const std::lock_guard lock(mutex);
  for (const auto* request : batch.requests) statistics.waiting.record(seconds_between(request->asked, batch.begun));
  statistics.batch.record(seconds_between(batch.begun, end));
  ++statistics.batches[batch.requests.size()];
}

void BatchEncoder::State::check_out(std::span<float> out) const {
  check(std::ssize(out) == dim, "[BatchEncoder] out: expected {} numbers, got {}", dim, out.size());
}

/// row: [D], left alone by an embedding that can't be given out
void BatchEncoder::State::give_out(const at::Tensor& row, Clock::time_point start, std::span<float> out) {
  check(all_finite(row), "[BatchEncoder] the embedding isn't finite: weights or their products are NaN or infinite");
  copy_numbers(row, out, "[BatchEncoder] embedding");
  const std::lock_guard lock(mutex);
  statistics.whole.record(seconds_between(start, Clock::now()));
}

void BatchEncoder::State::reset() {
  const std::lock_guard lock(mutex);
  statistics = {};
  statistics.batches.resize(static_cast<std::size_t>(options.most) + 1);
}

BatchEncoder::BatchEncoder(DualEncoder model, const BatchEncoderOptions& options) {
  check_options(options);
  checked_mode(model, options.precision);
  state_ = std::make_unique<State>(std::move(model), options);
}

BatchEncoder::~BatchEncoder() = default;
BatchEncoder::BatchEncoder(BatchEncoder&&) noexcept = default;
BatchEncoder& BatchEncoder::operator=(BatchEncoder&&) noexcept = default;

std::int64_t BatchEncoder::dim() const { return state_->dim; }

void BatchEncoder::embed(const ImageView& frame, std::span<float> out) const {
  auto& s = *state_;
  s.check_out(out);
  const auto start = Clock::now();
  BatchQueue::Call call(s.queue);
  auto preprocessor = s.preprocessors.take(frame);
  BatchQueue::Request request{.input = (*preprocessor)(frame)};
  call.ask(BatchQueue::frames, request);
  s.preprocessors.give_back(std::move(preprocessor));
  s.give_out(request.row, start, out);
}

void BatchEncoder::embed(std::string_view text, std::span<float> out) const {
  auto& s = *state_;
  s.check_out(out);
  if (s.texts.copy(text, s.weights.version(), out)) return;
  check(!trim(text).empty(), "[BatchEncoder] text: expected words, got a blank");
  const auto start = Clock::now();
  BatchQueue::Call call(s.queue);
  BatchQueue::Request request{
      .input = tokenize(*s.model.tokenizer(), std::vector{std::string(text)}, s.model.config().text.context_length)};
  call.ask(BatchQueue::texts, request);
  s.give_out(request.row, start, out);
  s.texts.keep(text, request.version, out);
}

void BatchEncoder::update(const std::function<void()>& change) {
  const BatchQueue::Pause pause(state_->queue);
  change();
  state_->weights.refresh();
}

BatchEncoder::Statistics BatchEncoder::statistics() const {
  const std::lock_guard lock(state_->mutex);
  return state_->statistics;
}

void BatchEncoder::reset_statistics() { state_->reset(); }

}  // namespace vlalign
