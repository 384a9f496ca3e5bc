#include "train/run_stages.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string_view>
#include <utility>

#include "core/check.hpp"
#include "core/log.hpp"
#include "vlalign/nn/vit.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

constexpr std::int64_t shortest_text = 2;  // a word and an end token

std::string field_of(std::size_t stage, const char* field) {
  return fmt::format("[Trainer] stages[{}].{}", stage, field);
}

/// Of what the sides of the pictures that a tower takes are multiples, and what that is called.
struct SideStep {
  std::int64_t pixels;
  const char* name;
};

SideStep side_step(const ModelConfig& config) {
  if (const auto* vit = std::get_if<VitConfig>(&config.vision)) return {vit->patch_size, "the patch size"};
  if (std::holds_alternative<ModifiedResNetConfig>(config.vision)) return {32, "the tower's stride"};
  return {1, "a pixel"};
}

void check_image_size(const std::string& field, std::int64_t size, const TrainerOptions& options,
                      const DualEncoder& model) {
  const std::int64_t whole = model.config().preprocess.image_size;
  check(size <= whole, "{}: expected at most the model's {} pixels a side, got {}", field, whole, size);
  if (size == whole) return;
  const auto step = side_step(model.config());
  check(size % step.pixels == 0, "{}: expected a multiple of {}, {} pixels, or the model's {}, got {}", field,
        step.name, step.pixels, whole, size);
  check(!options.teacher,
        "{}: a teacher would be shown pictures of {} pixels, and looks at {}; leave the size or the teacher out", field,
        size, whole);
}

/// Of all stages, by rounding down and then by the largest remainders.
std::vector<std::int64_t> steps_by_share(const std::vector<Stage>& stages, std::int64_t steps) {
  const double sum = std::accumulate(stages.begin(), stages.end(), 0.0,
                                     [](double all, const Stage& stage) { return all + stage.share; });
  std::vector<std::int64_t> counts;
  std::vector<double> remainders;
  for (const auto& stage : stages) {
    const double exact = stage.share / sum * static_cast<double>(steps);
    counts.push_back(static_cast<std::int64_t>(exact));
    remainders.push_back(exact - std::floor(exact));
  }
  std::vector<std::size_t> by_remainder(stages.size());
  std::iota(by_remainder.begin(), by_remainder.end(), 0);
  std::stable_sort(by_remainder.begin(), by_remainder.end(),
                   [&](std::size_t a, std::size_t b) { return remainders[a] > remainders[b]; });
  const auto left = steps - std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  for (std::int64_t i = 0; i < left; ++i) ++counts[by_remainder[static_cast<std::size_t>(i)]];
  return counts;
}

}  // namespace

void check_stages(const std::vector<Stage>& stages) {
  if (stages.empty()) return;
  constexpr double tolerance = 1e-9;
  double sum = 0;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const auto& [share, image_size, context_length, patch_dropout] = stages[i];
    check(share > 0 && share <= 1 + tolerance, "{}: expected above 0 and up to 1, got {}", field_of(i, "share"), share);
    check(!image_size || *image_size > 0, "{}: expected a positive number of pixels, got {}", field_of(i, "image_size"),
          image_size.value_or(0));
    check(!context_length || *context_length >= shortest_text, "{}: expected at least {} tokens, got {}",
          field_of(i, "context_length"), shortest_text, context_length.value_or(0));
    check(!patch_dropout || (*patch_dropout >= 0 && *patch_dropout < 1), "{}: expected 0 to below 1, got {}",
          field_of(i, "patch_dropout"), patch_dropout.value_or(0));
    sum += share;
  }
  check(std::abs(sum - 1) <= tolerance, "[Trainer] stages: expected shares that add up to 1, got a sum of {}", sum);
}

void check_stages_fit(const TrainerOptions& options, const DualEncoder& model) {
  const auto whole_text = model.config().text.context_length;
  const bool has_patches = std::dynamic_pointer_cast<nn::Vit>(model.module()->visual) != nullptr;
  for (std::size_t i = 0; i < options.stages.size(); ++i) {
    const auto& stage = options.stages[i];
    if (stage.image_size) check_image_size(field_of(i, "image_size"), *stage.image_size, options, model);
    check(stage.context_length.value_or(0) <= whole_text, "{}: expected at most the model's {} tokens, got {}",
          field_of(i, "context_length"), whole_text, stage.context_length.value_or(0));
    check(!stage.patch_dropout || has_patches, "{}: the image tower is no Vision Transformer and has no patches",
          field_of(i, "patch_dropout"));
  }
}

RunStages::RunStages(std::vector<Stage> stages, std::int64_t steps)
    : none_(stages.empty()), stages_(std::move(stages)) {
  if (none_) stages_.emplace_back();
  const auto counts = steps_by_share(stages_, steps);
  std::int64_t end = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    check(counts[i] > 0, "{}: {} of the run's {} steps is not one step", field_of(i, "share"), stages_[i].share, steps);
    ends_.push_back(end += counts[i]);
  }
}

std::size_t RunStages::index_of(std::int64_t step) const {
  const auto behind = std::upper_bound(ends_.begin(), ends_.end(), step) - ends_.begin();
  return std::min(static_cast<std::size_t>(behind), stages_.size() - 1);
}

std::string RunStages::description(std::int64_t step) const {
  const auto index = index_of(step);
  const auto& stage = stages_[index];
  auto text = fmt::format("stage {} of {}, to step {}", index + 1, stages_.size(), ends_[index]);
  if (stage.image_size) text += fmt::format(", {0}x{0} pixels", *stage.image_size);
  if (stage.context_length) text += fmt::format(", {} tokens", *stage.context_length);
  if (stage.patch_dropout) text += fmt::format(", {} of the patches left out", *stage.patch_dropout);
  return text;
}

json RunStages::settings() const {
  if (none_) return {};
  auto all = json::array();
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    const auto& stage = stages_[i];
    json one{{"share", stage.share}, {"until_step", ends_[i]}};
    if (stage.image_size) one["image_size"] = *stage.image_size;
    if (stage.context_length) one["context_length"] = *stage.context_length;
    if (stage.patch_dropout) one["patch_dropout"] = *stage.patch_dropout;
    all.push_back(std::move(one));
  }
  return all;
}

void RunStages::warn_of_the_end(const DualEncoder& model) const {
  const auto& last = stages_.back();
  const auto& config = model.config();
  const bool whole = last.image_size.value_or(config.preprocess.image_size) == config.preprocess.image_size &&
                     last.context_length.value_or(config.text.context_length) == config.text.context_length;
  if (!whole)
    log_warning(
        "the last stage isn't at the model's {0}x{0} pixels and {1} tokens, which it will be used at: a short stage at "
        "full size makes up for it",
        config.preprocess.image_size, config.text.context_length);
}

StageInPlace::StageInPlace(nn::DualEncoderImpl& towers, const Stage& stage)
    : towers_(towers), image_(towers.visual->input), text_(towers.text->input) {
  auto& image = towers.visual->input;
  if (stage.image_size) image.image_size = stage.image_size;
  if (stage.patch_dropout) image.patch_dropout = stage.patch_dropout;
  if (stage.context_length) towers.text->input.context_length = stage.context_length;
}

StageInPlace::~StageInPlace() {
  towers_.visual->input = image_;
  towers_.text->input = text_;
}

}  // namespace vlalign
