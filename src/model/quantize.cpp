#include "vlalign/model/quantize.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cosine_similarity.h>

#include <algorithm>
#include <functional>

#include "core/check.hpp"
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
    candidates.push_back({{.name = products[i].name, .error = error, .int8 = true}, std::move(columns)});
  }
  return candidates;
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

/// Of those in int8, the one that is furthest off.
Candidate& worst(std::vector<Candidate>& candidates) {
  const auto less = [](const Candidate& a, const Candidate& b) {
    return std::pair(a.product.int8, a.product.error) < std::pair(b.product.int8, b.product.error);
  };
  return *std::max_element(candidates.begin(), candidates.end(), less);
}

bool none_left(const std::vector<Candidate>& candidates) {
  return std::none_of(candidates.begin(), candidates.end(), [](const Candidate& each) { return each.product.int8; });
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
  const auto products = nn::int8_candidates(*model.module());
  const Calibration calibration(model, pixels, tokens, options.batch_size);
  InputObserver observer(products);
  const auto images = calibration.images(Precision::fp32), texts = calibration.texts(Precision::fp32);
  calibration.features();
  auto candidates = candidates_of(products, observer.statistics());
  check(!candidates.empty(), "[quantize] model {}: no product of its sequences fits bytes", model.config().name);

  QuantizeResult result{};
  const auto before = model.int8_columns();
  for (;;) {
    model.set_int8_columns(columns_of(candidates));
    result.image_cosine = mean_cosine(images, calibration.images(Precision::int8));
    result.text_cosine = mean_cosine(texts, calibration.texts(Precision::int8));
    if (std::min(result.image_cosine, result.text_cosine) >= options.cosine) break;
    worst(candidates).product.int8 = false;
    if (none_left(candidates)) {
      model.set_int8_columns(before);
      fail("[quantize] model {}: no product can be in int8 with a mean cosine of {} to float32", model.config().name,
           options.cosine);
    }
  }
  for (auto& candidate : candidates) result.products.push_back(std::move(candidate.product));
  return result;
}

}  // namespace vlalign
