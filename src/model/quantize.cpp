#include "vlalign/model/quantize.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cosine_similarity.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/check.hpp"
#include "core/finite.hpp"
#include "model/best_columns.hpp"
#include "model/input_statistics.hpp"
#include "nn/evaluation_mode.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign {
namespace {

/// What a model is calibrated with.
class Calibration {
 public:
  Calibration(const DualEncoder& model, const at::Tensor& pixels, const at::Tensor& tokens, std::int64_t batch_size)
      : model_(model), pixels_(pixels), tokens_(tokens), batch_size_(batch_size) {}

  at::Tensor images(Precision precision) const {
    return in_batches(pixels_, [&](const at::Tensor& part) { return model_.encode_image(part, precision); });
  }
  at::Tensor texts(Precision precision) const {
    return in_batches(tokens_, [&](const at::Tensor& part) { return model_.encode_text(part, precision); });
  }
  /// All tokens through all blocks, which embeddings alone don't need: policies and losses of words and patches do.
  void features() const {
    in_batches(pixels_, [&](const at::Tensor& part) { return model_.image_features(part).embedding; });
    in_batches(tokens_, [&](const at::Tensor& part) { return model_.text_features(part).embedding; });
  }

 private:
  at::Tensor in_batches(const at::Tensor& all, const std::function<at::Tensor(const at::Tensor&)>& encode) const {
    std::vector<at::Tensor> rows;
    for (const auto& part : all.split(batch_size_)) rows.push_back(encode(part));
    return at::cat(rows);
  }

  const DualEncoder& model_;
  at::Tensor pixels_, tokens_;
  std::int64_t batch_size_;
};

double mean_cosine(const at::Tensor& a, const at::Tensor& b) {
  return at::cosine_similarity(a.to(at::kDouble), b.to(at::kDouble)).mean().item<double>();
}

struct Candidate {
  QuantizedProduct product;
  Int8Columns columns;
};

std::vector<Candidate> candidates_of(const std::vector<nn::NamedProduct>& products,
                                     const std::vector<InputStatistics>& inputs) {
  std::vector<Candidate> candidates;
  for (std::size_t i = 0; i < products.size(); ++i) {
    if (!inputs[i].least.defined()) continue;
    auto [columns, error] = best_columns(products[i].weight.detach(), inputs[i]);
    candidates.push_back({{.name = products[i].name, .error = error, .int8 = false}, std::move(columns)});
  }
  return candidates;
}

/// The `count` with the least errors in int8, the others in floats.
void keep_best(std::vector<Candidate>& candidates, std::ptrdiff_t count) {
  std::vector<Candidate*> by_error;
  for (auto& candidate : candidates) by_error.push_back(&candidate);
  std::stable_sort(by_error.begin(), by_error.end(),
                   [](const auto* a, const auto* b) { return a->product.error < b->product.error; });
  for (std::ptrdiff_t i = 0; i < std::ssize(by_error); ++i)
    by_error[static_cast<std::size_t>(i)]->product.int8 = i < count;
}

NamedTensors columns_of(const std::vector<Candidate>& candidates) {
  NamedTensors columns;
  for (const auto& [product, own] : candidates) {
    if (!product.int8) continue;
    columns[product.name + ".scale"] = own.scale;
    columns[product.name + ".centre"] = own.centre;
  }
  return columns;
}

/// A model's columns, as they were before unless the new ones are to stay.
class ColumnTrial {
 public:
  explicit ColumnTrial(const DualEncoder& model) : model_(model), before_(model.int8_columns()) {}
  ~ColumnTrial() {
    if (!keeps_) model_.set_int8_columns(std::move(before_));
  }
  ColumnTrial(const ColumnTrial&) = delete;
  ColumnTrial& operator=(const ColumnTrial&) = delete;

  void set(NamedTensors columns) { model_.set_int8_columns(std::move(columns)); }
  void keep() { keeps_ = true; }

 private:
  DualEncoder model_;
  NamedTensors before_;
  bool keeps_ = false;
};

/// Every fourth row, which ranges aren't measured with, and the others; all for both where there are few.
std::pair<at::Tensor, at::Tensor> held_out(const at::Tensor& rows) {
  constexpr std::int64_t least = 8, share = 4;
  if (rows.size(0) < least) return {rows, rows};
  const auto is_held = at::arange(rows.size(0)).remainder(share) == share - 1;
  return {rows.index({is_held}), rows.index({~is_held})};
}

/// What int8 could compute, as inputs and weights have it.
std::vector<Candidate> measured(const DualEncoder& model, const Calibration& calibration) {
  const auto products = nn::int8_candidates(*model.module());
  InputObserver observer(products);
  const bool finite = all_finite(calibration.images(Precision::fp32)) && all_finite(calibration.texts(Precision::fp32));
  check(finite, "[quantize] model {}: pixels, tokens or weights give embeddings that aren't finite",
        model.config().name);
  calibration.features();
  auto candidates = candidates_of(products, observer.statistics());
  check(!candidates.empty(), "[quantize] model {}: no product of its sequences fits bytes", model.config().name);
  return candidates;
}

/// The largest number up to `most` that fits, taken that all smaller ones do; fits() was asked for it last. 0: none.
std::ptrdiff_t largest_count(std::ptrdiff_t most, const std::function<bool(std::ptrdiff_t)>& fits) {
  if (most > 0 && fits(most)) return most;
  std::ptrdiff_t good = 0, bad = most;
  while (bad - good > 1) {
    const auto middle = (good + bad) / 2;
    (fits(middle) ? good : bad) = middle;
  }
  return good > 0 && fits(good) ? good : 0;
}

void check_arguments(const DualEncoder& model, const at::Tensor& pixels, const at::Tensor& tokens,
                     const QuantizeOptions& options) {
  check(model.device().is_cpu(), "[quantize] model: expected one on a CPU, got it on {}", model.device().str());
  check(options.cosine >= 0 && options.cosine <= 1, "[quantize] cosine: expected 0 to 1, got {}", options.cosine);
  check(options.batch_size >= 1, "[quantize] batch_size: expected at least 1, got {}", options.batch_size);
  check(pixels.defined() && pixels.dim() > 0, "[quantize] pixels: expected [B, 3, S, S], got no tensor");
  check(tokens.defined() && tokens.dim() > 0, "[quantize] tokens: expected int64 [B, L], got no tensor");
}

}  // namespace

QuantizeResult quantize(DualEncoder model, const at::Tensor& pixels, const at::Tensor& tokens,
                        const QuantizeOptions& options) {
  check_arguments(model, pixels, tokens, options);
  const at::NoGradGuard no_graph;
  const nn::EvaluationMode mode(*model.module());
  const auto [held_pixels, seen_pixels] = held_out(pixels);
  const auto [held_tokens, seen_tokens] = held_out(tokens);
  auto candidates = measured(model, Calibration(model, seen_pixels, seen_tokens, options.batch_size));
  const Calibration held(model, held_pixels, held_tokens, options.batch_size);
  const auto images = held.images(Precision::fp32), texts = held.texts(Precision::fp32);
  QuantizeResult result{};
  ColumnTrial trial(model);
  const auto is_near_enough = [&](std::ptrdiff_t count) {
    keep_best(candidates, count);
    trial.set(columns_of(candidates));
    result.image_cosine = mean_cosine(images, held.images(Precision::int8));
    result.text_cosine = mean_cosine(texts, held.texts(Precision::int8));
    return std::min(result.image_cosine, result.text_cosine) >= options.cosine;
  };
  const auto finite = std::count_if(candidates.begin(), candidates.end(),
                                    [](const Candidate& each) { return std::isfinite(each.product.error); });
  const auto count = largest_count(finite, is_near_enough);
  check(count > 0, "[quantize] model {}: no product can be in int8 with a mean cosine of {} to float32",
        model.config().name, options.cosine);
  trial.keep();
  for (auto& candidate : candidates) result.products.push_back(std::move(candidate.product));
  return result;
}

}  // namespace vlalign
