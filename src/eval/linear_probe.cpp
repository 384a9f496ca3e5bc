#include "vlalign/eval/linear_probe.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/optim/lbfgs.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "core/ascii.hpp"
#include "core/check.hpp"
#include "core/log.hpp"
#include "data/sources/checked_source.hpp"
#include "vlalign/data/sources/pairs.hpp"

namespace vlalign {
namespace {

using Labels = std::vector<std::int64_t>;

at::Tensor in_double(const at::Tensor& features, const char* function) {
  check(features.defined(), "[{}] features: expected floating [N, D], got none", function);
  check(features.dim() == 2 && features.is_floating_point(), "[{}] features: expected floating [N, D], got {} {}",
        function, c10::toString(features.scalar_type()), features.sizes().vec());
  return features.detach().to(at::kCPU, at::kDouble);
}

std::string class_name(const PairSource& source, std::int64_t record) {
  const auto captions = source.captions(record);
  check(!captions.empty(), "{}: has no caption to name its class", source.name(record));
  return std::string(trim(captions.front()));
}

/// A data set's features and, by `class_of`, labels.
struct Labelled {
  at::Tensor features;
  Labels labels;
  std::int64_t skipped = 0;
};

template <typename ClassOf>
Labelled label(const DualEncoder& model, const std::shared_ptr<const PairSource>& source, EmbedOptions embed,
               const ClassOf& class_of) {
  Labels all;
  for (std::int64_t record = 0; record < source->size(); ++record) all.push_back(class_of(record));
  embed.projected = false;
  const auto images = embed_images(model, source, embed);
  Labelled out{.features = images.image, .labels = {}, .skipped = std::ssize(images.bad)};
  for (const auto record : images.records) out.labels.push_back(all[static_cast<std::size_t>(record)]);
  return out;
}

}  // namespace

at::Tensor LinearProbe::logits(const at::Tensor& features) const {
  const auto x = in_double(features, "LinearProbe");
  check(weight.defined() && bias.defined() && weight.dim() == 2 && bias.sizes() == at::IntArrayRef{weight.size(0)} &&
            weight.scalar_type() == at::kDouble && bias.scalar_type() == at::kDouble,
        "[LinearProbe] weight, bias: expected float64 [C, D] and [C], as fit_linear_probe() gives them");
  check(x.size(1) == weight.size(1), "[LinearProbe] features: expected {} columns, got {}", weight.size(1), x.size(1));
  return at::linear(x, weight, bias);
}

at::Tensor LinearProbe::predict(const at::Tensor& features) const { return logits(features).argmax(1); }

LinearProbe fit_linear_probe(const at::Tensor& features, std::span<const std::int64_t> labels, std::int64_t classes,
                             const LinearProbeOptions& options) {
  const auto x = in_double(features, "fit_linear_probe");
  check(x.numel() > 0 && at::isfinite(x).all().item<bool>(), "[fit_linear_probe] features: expected finite rows");
  check(std::ssize(labels) == x.size(0), "[fit_linear_probe] labels: expected {}, got {}", x.size(0), labels.size());
  check(classes >= 2, "[fit_linear_probe] classes: expected 2 or more, got {}", classes);
  constexpr std::int64_t most_weights = std::int64_t{1} << 28;  // 2 GB, and L-BFGS keeps 40 of them
  check(classes <= most_weights / x.size(1), "[fit_linear_probe] classes: expected at most {} for {} features, got {}",
        most_weights / x.size(1), x.size(1), classes);
  for (const auto each : labels)
    check(each >= 0 && each < classes, "[fit_linear_probe] labels: expected 0 to {}, got {}", classes - 1, each);
  check(options.c > 0 && std::isfinite(options.c), "[fit_linear_probe] c: expected a positive number, got {}",
        options.c);
  constexpr std::int64_t most_iterations = 1'000'000'000;
  check(options.max_iterations > 0 && options.max_iterations <= most_iterations,
        "[fit_linear_probe] max_iterations: expected 1 to {}, got {}", most_iterations, options.max_iterations);

  const at::AutoGradMode with_gradients(true);
  const auto y = at::tensor(labels, at::kLong);
  const auto n = static_cast<double>(x.size(0));
  const auto weight = at::zeros({classes, x.size(1)}, at::kDouble).requires_grad_();
  const auto bias = at::zeros({classes}, at::kDouble).requires_grad_();
  torch::optim::LBFGS solver({weight, bias}, torch::optim::LBFGSOptions(1.0)
                                                 .max_iter(options.max_iterations)
                                                 .max_eval(2 * options.max_iterations)
                                                 .tolerance_grad(1e-8)
                                                 .tolerance_change(0)
                                                 .history_size(20)
                                                 .line_search_fn("strong_wolfe"));
  const auto loss = [&] {
    solver.zero_grad();
    const auto value =
        at::cross_entropy_loss(at::linear(x, weight, bias), y) + weight.square().sum() / (2.0 * options.c * n);
    value.backward();
    return value;
  };
  solver.step(loss);
  loss();
  const double slope = std::max(weight.grad().abs().max().item<double>(), bias.grad().abs().max().item<double>());
  check(std::isfinite(slope), "[fit_linear_probe] the weights did not stay finite; choose c nearer to 1");
  if (slope > 1e-5)
    log_warning("linear probe: not converged after {} iterations (gradient {:.1e})", options.max_iterations, slope);
  return {weight.detach(), bias.detach()};
}

LinearProbeScores evaluate_linear_probe(const DualEncoder& model, const std::shared_ptr<const PairSource>& train,
                                        const std::shared_ptr<const PairSource>& test,
                                        const LinearProbeOptions& options, const EmbedOptions& embed) {
  checked_source(train, "[evaluate_linear_probe] train"), checked_source(test, "[evaluate_linear_probe] test");
  std::map<std::string, std::int64_t> classes;
  for (std::int64_t record = 0; record < train->size(); ++record) classes.emplace(class_name(*train, record), 0);
  std::int64_t number = 0;
  for (auto& [name, index] : classes) index = number++;
  check(number >= 2, "the training set has {} class: expected two or more different captions", number);
  const auto seen = label(model, train, embed, [&](std::int64_t i) { return classes.at(class_name(*train, i)); });
  const auto unseen = label(model, test, embed, [&](std::int64_t i) {
    const auto found = classes.find(class_name(*test, i));
    check(found != classes.end(), "{}: its caption \"{}\" is not one of the training set's {} classes", test->name(i),
          class_name(*test, i), number);
    return found->second;
  });
  const auto predicted = fit_linear_probe(seen.features, seen.labels, number, options).predict(unseen.features);

  LinearProbeScores scores{.train_images = seen.features.size(0),
                           .test_images = unseen.features.size(0),
                           .classes = number,
                           .skipped = seen.skipped + unseen.skipped};
  const auto labels = at::tensor(unseen.labels, at::kLong);
  const auto hits = predicted == labels;
  scores.top1 = hits.to(at::kDouble).mean().item<double>();
  const auto pictures = labels.bincount({}, number).to(at::kDouble);
  const auto right = labels.masked_select(hits).bincount({}, number).to(at::kDouble);
  const auto tested = pictures > 0;
  scores.mean_per_class = (right / pictures).masked_select(tested).mean().item<double>();
  return scores;
}

std::string to_json(const LinearProbeScores& scores) {
  const nlohmann::ordered_json json = {{"train_images", scores.train_images},
                                       {"test_images", scores.test_images},
                                       {"classes", scores.classes},
                                       {"skipped", scores.skipped},
                                       {"top1", scores.top1},
                                       {"mean_per_class", scores.mean_per_class}};
  return json.dump();
}

}  // namespace vlalign
