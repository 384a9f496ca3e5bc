#include "vlalign/eval/zero_shot.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "core/check.hpp"
#include "eval/rows.hpp"
#include "vlalign/core/normalize.hpp"
#include "vlalign/data/pairs.hpp"
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

using ClassIndex = std::unordered_map<std::string, std::int64_t>;

ClassIndex index_of(std::span<const std::string> classes) {
  ClassIndex index;
  for (const auto& name : classes) {
    check(index.try_emplace(name, std::ssize(index)).second, "class \"{}\" is named twice", name);
  }
  return index;
}

/// The class of every record.
std::vector<std::int64_t> labels_of(const PairSource& source, const ClassIndex& index) {
  std::vector<std::int64_t> labels;
  for (std::int64_t record = 0; record < source.size(); ++record) {
    const auto captions = source.captions(record);
    const auto name = captions.empty() ? std::string() : captions.front();
    const auto found = index.find(name);
    check(found != index.end(), "{}: its caption \"{}\" is not one of the {} classes", source.name(record), name,
          index.size());
    labels.push_back(found->second);
  }
  return labels;
}

/// Pictures whose class is among the k best, by class: [C].
struct Hits {
  std::vector<std::int64_t> pictures, top1;
  std::int64_t top5 = 0;
};

Hits count_hits(const at::Tensor& ranks, std::span<const std::int64_t> labels, std::int64_t classes) {
  Hits hits{std::vector<std::int64_t>(static_cast<std::size_t>(classes), 0),
            std::vector<std::int64_t>(static_cast<std::size_t>(classes), 0)};
  const auto* rank = ranks.const_data_ptr<std::int64_t>();
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto label = static_cast<std::size_t>(labels[i]);
    ++hits.pictures[label];
    hits.top1[label] += rank[i] == 1;
    hits.top5 += rank[i] <= 5;
  }
  return hits;
}

/// 1 + the other classes that are no worse than the right one: int64 [N], on the CPU.
at::Tensor class_ranks(const at::Tensor& image, const at::Tensor& classes, std::span<const std::int64_t> labels) {
  const auto right = at::tensor(labels, at::kLong).unsqueeze(1).to(image.device());
  const auto ranks = at::empty({image.size(0)}, right.options());
  for_each_block(image.size(0), block_rows_for(classes.size(0)), [&](std::int64_t start, std::int64_t end) {
    const auto scores = at::matmul(image.slice(0, start, end), classes.t());
    const auto bar = scores.gather(1, right.slice(0, start, end)).sub(tie_margin);
    ranks.slice(0, start, end).copy_(scores.ge(bar).sum(1));  // the right class itself is the 1
  });
  return ranks.cpu();
}

}  // namespace

std::vector<std::string> default_templates() { return {"a photo of a {}."}; }

std::vector<std::string> class_prompts(const std::string& class_name, std::span<const std::string> templates) {
  std::vector<std::string> prompts;
  for (const auto& text : templates) prompts.push_back(filled(text, class_name));
  return prompts;
}

at::Tensor average_prompts(const at::Tensor& prompts, std::int64_t templates) {
  const auto rows = checked_rows(prompts, "average_prompts", "prompts");
  check(templates > 0 && rows.size(0) % templates == 0,
        "[average_prompts] prompts: expected {} for each class, got {} rows", templates, rows.size(0));
  return l2_normalize(l2_normalize(rows).view({-1, templates, rows.size(1)}).mean(1));
}

at::Tensor embed_classes(const DualEncoder& model, std::span<const std::string> classes,
                         std::span<const std::string> templates, const EmbedOptions& options) {
  check(!classes.empty(), "[embed_classes] there is no class");
  check(!templates.empty(), "[embed_classes] there is no template");
  index_of(classes);
  std::vector<std::string> prompts;
  for (const auto& name : classes) {
    for (auto& prompt : class_prompts(name, templates)) prompts.push_back(std::move(prompt));
  }
  return average_prompts(embed_texts(model, prompts, options), std::ssize(templates));
}

ZeroShotScores score_classes(const at::Tensor& image, const at::Tensor& classes, std::span<const std::int64_t> labels) {
  const auto images = checked_rows(image, "score_classes", "image").to(at::kFloat);
  const auto prototypes = checked_rows(classes, "score_classes", "classes").to(at::kFloat);
  const auto n = images.size(0);
  const auto c = prototypes.size(0);
  check(prototypes.size(1) == images.size(1), "[score_classes] classes: expected {} columns as image, got {}",
        images.size(1), prototypes.size(1));
  check(std::ssize(labels) == n, "[score_classes] labels: expected {}, got {}", n, labels.size());
  for (const auto label : labels) {
    check(label >= 0 && label < c, "[score_classes] labels: expected 0 to {}, got {}", c - 1, label);
  }

  const auto ranks = class_ranks(images, prototypes, labels);
  const auto hits = count_hits(ranks, labels, c);
  ZeroShotScores scores{.images = n, .top5 = static_cast<double>(hits.top5) / static_cast<double>(n)};
  std::int64_t classes_seen = 0;
  for (std::size_t i = 0; i < hits.pictures.size(); ++i) {
    scores.top1 += static_cast<double>(hits.top1[i]) / static_cast<double>(n);
    if (hits.pictures[i] == 0) continue;
    scores.mean_per_class += static_cast<double>(hits.top1[i]) / static_cast<double>(hits.pictures[i]);
    ++classes_seen;
  }
  scores.mean_per_class /= static_cast<double>(classes_seen);
  return scores;
}

ZeroShotScores evaluate_zero_shot(const DualEncoder& model, const PairSource& source,
                                  std::span<const std::string> classes, std::span<const std::string> templates,
                                  const EmbedOptions& options) {
  const auto all_labels = labels_of(source, index_of(classes));
  const auto prototypes = embed_classes(model, classes, templates, options);
  const auto images = embed_images(model, source, options);
  std::vector<std::int64_t> labels;
  for (const auto record : images.records) labels.push_back(all_labels[static_cast<std::size_t>(record)]);
  auto scores = score_classes(images.image, prototypes, labels);
  scores.skipped = std::ssize(images.bad);
  return scores;
}

std::string to_json(const ZeroShotScores& scores) {
  const nlohmann::ordered_json json = {{"images", scores.images},
                                       {"skipped", scores.skipped},
                                       {"top1", scores.top1},
                                       {"top5", scores.top5},
                                       {"mean_per_class", scores.mean_per_class}};
  return json.dump();
}

}  // namespace vlalign
