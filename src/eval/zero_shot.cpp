#include "vlalign/eval/zero_shot.hpp"

#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <unordered_map>

#include "core/check.hpp"
#include "core/log.hpp"
#include "data/sources/checked_source.hpp"
#include "eval/class_labels.hpp"
#include "eval/rows.hpp"
#include "kernels/product.hpp"
#include "vlalign/core/normalize.hpp"
#include "vlalign/data/sources/pairs.hpp"
#include "vlalign/eval/calibration.hpp"
#include "vlalign/model/dual_encoder.hpp"

namespace vlalign {
namespace {

constexpr std::string_view placeholder = "{}";

std::string filled(std::string text, const std::string& class_name) {
  auto place = text.find(placeholder);
  check(place != std::string::npos, "template \"{}\": expected {{}} where the class name goes", text);
  for (; place != std::string::npos; place = text.find(placeholder, place + class_name.size())) {
    text.replace(place, placeholder.size(), class_name);
  }
  return text;
}

void warn_of_equal_names(std::span<const std::string> classes) {
  std::unordered_map<std::string_view, int> count;
  std::vector<std::string_view> again;
  for (const auto& name : classes)
    if (++count[name] == 2) again.push_back(name);
  if (again.empty()) return;
  log_warning("{} of the class names stand more than once: \"{}\"; classes of one name have the same embedding",
              again.size(), fmt::join(again, "\", \""));
}

/// How classes of equal names, which always tie, count.
struct Namesakes {
  std::vector<std::int64_t> forgiven;  ///< of each class: ties with it that don't count against it
  std::vector<double> log_count;       ///< of each class: the logarithm of how many are one with it
};

Namesakes none_of(std::int64_t classes) {
  return {std::vector<std::int64_t>(static_cast<std::size_t>(classes)),
          std::vector<double>(static_cast<std::size_t>(classes))};
}

/// A name stands for all classes of that name. A number stands for one of them, and the first takes the tie, as the
/// peers' argmax has it.
Namesakes namesakes_of(std::span<const std::string> classes, bool labels_are_names) {
  std::unordered_map<std::string_view, std::int64_t> count, before;
  for (const auto& name : classes) ++count[name];
  Namesakes all;
  for (const auto& name : classes) {
    const auto others = count[name] - 1;
    all.forgiven.push_back(labels_are_names ? others : others - before[name]++);
    all.log_count.push_back(labels_are_names ? std::log(static_cast<double>(count[name])) : 0.0);
  }
  return all;
}

/// What each picture's scores come to, on the CPU.
struct Verdicts {
  std::vector<std::int64_t> rank;  ///< 1 + the other classes that are no worse than the right one
  std::vector<double> confidence;  ///< the highest probability
  std::vector<double> surprise;    ///< -log p of the right class
};

template <typename T>
void append(std::vector<T>& to, const at::Tensor& values) {
  const auto on_cpu = values.cpu().contiguous();
  const auto* begin = on_cpu.const_data_ptr<T>();
  to.insert(to.end(), begin, begin + on_cpu.numel());
}

Verdicts verdicts(const at::Tensor& image, const at::Tensor& classes, std::span<const std::int64_t> labels,
                  double logit_scale, const Namesakes& namesakes) {
  const auto right = at::tensor(labels, at::kLong).unsqueeze(1).to(image.device());
  const auto wide_classes = classes.to(at::kFloat);
  const auto log_count = at::tensor(namesakes.log_count, at::kDouble).to(image.device());
  Verdicts out;
  const auto block = block_rows_for(2 * std::max(image.size(1), classes.size(0)));
  for_each_block(image.size(0), block, [&](std::int64_t start, std::int64_t end) {
    const auto scores = product(image.slice(0, start, end).to(at::kFloat), wide_classes);
    const auto own = right.slice(0, start, end);
    append(out.rank, scores.ge(scores.gather(1, own).sub(tie_margin)).sum(1));  // the right class itself is the 1
    const auto log_p = at::log_softmax(scores.to(at::kDouble).mul_(logit_scale), 1).add_(log_count);
    append(out.confidence, log_p.amax(1).exp_());
    append(out.surprise, log_p.gather(1, own).neg_());
  });
  for (std::size_t i = 0; i < labels.size(); ++i)
    out.rank[i] -= namesakes.forgiven[static_cast<std::size_t>(labels[i])];
  return out;
}

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// The hit rate of each class that has pictures, averaged over them.
double mean_per_class(std::span<const double> hits, std::span<const std::int64_t> labels) {
  std::map<std::int64_t, std::vector<double>> of_class;
  for (std::size_t i = 0; i < hits.size(); ++i) of_class[labels[i]].push_back(hits[i]);
  double sum = 0.0;
  for (const auto& [label, own] : of_class) sum += mean(own);
  return sum / static_cast<double>(of_class.size());
}

void check_scorable(const at::Tensor& image, const at::Tensor& classes, std::span<const std::int64_t> labels,
                    double logit_scale) {
  const auto n = checked_rows(image, "score_classes", "image").size(0);
  const auto c = checked_rows(classes, "score_classes", "classes").size(0);
  check(classes.size(1) == image.size(1), "[score_classes] classes: expected {} columns as image, got {}",
        image.size(1), classes.size(1));
  check_device(classes, image, "score_classes", "classes", "image");
  check(std::ssize(labels) == n, "[score_classes] labels: expected {}, got {}", n, labels.size());
  for (const auto label : labels) {
    check(label >= 0 && label < c, "[score_classes] labels: expected 0 to {}, got {}", c - 1, label);
  }
  check(std::isfinite(logit_scale) && logit_scale > 0.0, "[score_classes] logit_scale: expected more than 0, got {}",
        logit_scale);
}

ZeroShotScores scores_of(const at::Tensor& image, const at::Tensor& classes, std::span<const std::int64_t> labels,
                         double logit_scale, const Namesakes& namesakes) {
  const auto found = verdicts(image, classes, labels, logit_scale, namesakes);
  std::vector<double> top1, top5;
  std::vector<Prediction> predictions;
  for (std::size_t i = 0; i < found.rank.size(); ++i) {
    top1.push_back(found.rank[i] == 1 ? 1.0 : 0.0);
    top5.push_back(found.rank[i] <= 5 ? 1.0 : 0.0);
    predictions.push_back({std::min(1.0, found.confidence[i]), found.rank[i] == 1});
  }
  return {.images = image.size(0),
          .skipped = 0,
          .top1 = mean(top1),
          .top5 = mean(top5),
          .mean_per_class = mean_per_class(top1, labels),
          .calibration_error = calibration_error(predictions),
          .negative_log_likelihood = mean(found.surprise),
          .top1_interval95 = bootstrap_interval(top1),
          .ranks = found.rank,
          .labels = {labels.begin(), labels.end()}};
}

}  // namespace

std::vector<std::string> default_templates() { return {"a photo of a {}."}; }

std::vector<std::string> class_prompts(const std::string& class_name, std::span<const std::string> templates) {
  std::vector<std::string> prompts;
  for (const auto& text : templates) prompts.push_back(filled(text, class_name));
  return prompts;
}

at::Tensor average_prompts(const at::Tensor& prompts, std::int64_t templates) {
  const auto& rows = checked_rows(prompts, "average_prompts", "prompts");
  check(templates > 0 && rows.size(0) % templates == 0,
        "[average_prompts] prompts: expected {} for each class, got {} rows", templates, rows.size(0));
  return l2_normalize(l2_normalize(rows).view({-1, templates, rows.size(1)}).mean(1));
}

at::Tensor embed_classes(const DualEncoder& model, std::span<const std::string> classes,
                         std::span<const std::string> templates, const EmbedOptions& options) {
  check(!classes.empty(), "[embed_classes] there is no class");
  check(!templates.empty(), "[embed_classes] there is no template");
  warn_of_equal_names(classes);
  std::vector<std::string> prompts;
  for (const auto& name : classes) {
    for (auto& prompt : class_prompts(name, templates)) prompts.push_back(std::move(prompt));
  }
  return average_prompts(embed_texts(model, prompts, options), std::ssize(templates));
}

ZeroShotScores score_classes(const at::Tensor& image, const at::Tensor& classes, std::span<const std::int64_t> labels,
                             double logit_scale) {
  check_scorable(image, classes, labels, logit_scale);
  return scores_of(image, classes, labels, logit_scale, none_of(classes.size(0)));
}

ZeroShotScores evaluate_zero_shot(const DualEncoder& model, const std::shared_ptr<const PairSource>& source,
                                  std::span<const std::string> classes, std::span<const std::string> templates,
                                  const EmbedOptions& options) {
  const auto all_labels = class_labels(checked_source(source, "[evaluate_zero_shot] source"), classes);
  const auto prototypes = embed_classes(model, classes, templates, options);
  auto images = embed_images(model, source, options);
  std::vector<std::int64_t> labels;
  for (const auto record : images.records) labels.push_back(all_labels.classes[static_cast<std::size_t>(record)]);
  const auto scale = model.logit_scale().item<double>();
  check_scorable(images.image, prototypes, labels, scale);
  auto scores = scores_of(images.image, prototypes, labels, scale, namesakes_of(classes, all_labels.are_names));
  scores.skipped = std::ssize(images.bad);
  scores.bad = std::move(images.bad);
  scores.records = std::move(images.records);
  return scores;
}

std::string to_json(const ZeroShotScores& scores) {
  const auto& [low, high] = scores.top1_interval95;
  const nlohmann::ordered_json json = {{"images", scores.images},
                                       {"skipped", scores.skipped},
                                       {"top1", scores.top1},
                                       {"top5", scores.top5},
                                       {"mean_per_class", scores.mean_per_class},
                                       {"calibration_error", scores.calibration_error},
                                       {"negative_log_likelihood", scores.negative_log_likelihood},
                                       {"interval95", {{"top1", nlohmann::ordered_json::array({low, high})}}}};
  return json.dump();
}

}  // namespace vlalign
