#include "vlalign/model/live_encoder.hpp"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "core/check.hpp"
#include "vlalign/data/transform.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/nn/transformer.hpp"

namespace vlalign {
namespace {

/// LibTorch's thread count for as long as this lives.
class Threads {
 public:
  explicit Threads(int count) : before_(count > 0 ? at::get_num_threads() : 0) {
    if (count > 0) at::set_num_threads(count);
  }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() {
    if (before_ > 0) at::set_num_threads(before_);
  }

 private:
  int before_;
};

void pack_weights(const nn::DualEncoderImpl& module) {
  for (const auto& child : module.modules()) {
    if (const auto linear = std::dynamic_pointer_cast<nn::Linear>(child)) linear->pack();
    if (const auto attention = std::dynamic_pointer_cast<nn::Attention>(child)) attention->pack();
  }
}

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
  std::mutex mutex;  // of the texts
  std::map<std::string, std::vector<float>, std::less<>> texts;
};

LiveEncoder::LiveEncoder(DualEncoder model, const LiveEncoderOptions& options) {
  check(options.threads >= 0, "[LiveEncoder] threads: expected 0 or more, got {}", options.threads);
  model.train(false);
  if (model.device().is_cpu()) pack_weights(*model.module());
  state_ = std::make_unique<State>(std::move(model), options);
}

LiveEncoder::~LiveEncoder() = default;
LiveEncoder::LiveEncoder(LiveEncoder&&) noexcept = default;
LiveEncoder& LiveEncoder::operator=(LiveEncoder&&) noexcept = default;

std::int64_t LiveEncoder::dim() const { return state_->dim; }

void LiveEncoder::embed(const ImageView& frame, std::span<float> out) const {
  check(std::ssize(out) == state_->dim, "[LiveEncoder] out: expected {} numbers, got {}", state_->dim, out.size());
  const Threads threads(state_->options.threads);
  const at::NoGradGuard no_graph;
  const auto& model = state_->model;
  auto picture = preprocess(frame, model.config().preprocess);
  const auto rows = at::from_blob(picture.rgb.data(), {1, picture.height, picture.width, 3}, at::kByte);
  const auto row = model.encode_image(rows.permute({0, 3, 1, 2}), state_->options.precision).cpu();
  std::copy_n(row.const_data_ptr<float>(), out.size(), out.begin());
}

std::span<const float> LiveEncoder::embed(std::string_view text) const {
  auto& s = *state_;
  {
    const std::lock_guard lock(s.mutex);
    if (const auto kept = s.texts.find(text); kept != s.texts.end()) return kept->second;
  }
  const Threads threads(s.options.threads);
  const at::NoGradGuard no_graph;
  check(s.model.tokenizer() != nullptr, "[LiveEncoder] the model has no tokenizer");
  const auto tokens =
      tokenize(*s.model.tokenizer(), std::vector{std::string(text)}, s.model.config().text.context_length);
  auto row = to_floats(s.model.encode_text(tokens, s.options.precision));
  const std::lock_guard lock(s.mutex);
  return s.texts.try_emplace(std::string(text), std::move(row)).first->second;
}

}  // namespace vlalign
