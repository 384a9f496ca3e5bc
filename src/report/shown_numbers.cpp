#include "report/shown_numbers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace vlalign {
namespace {

/// A key's end behind the way it goes: {"Recall@1", ", picture → caption"} of "image_to_text.recall@1".
struct KeyOfWay {
  std::string_view end, way;
};

KeyOfWay split_way(std::string_view key) {
  using Way = std::pair<std::string_view, std::string_view>;
  for (const auto& [prefix, words] :
       {Way{"image_to_text.", ", picture → caption"}, Way{"text_to_image.", ", caption → picture"}})
    if (key.starts_with(prefix)) return {key.substr(prefix.size()), words};
  return {key, ""};
}

bool has_prefix(std::string_view key, std::initializer_list<std::string_view> prefixes) {
  for (const auto prefix : prefixes)
    if (key.starts_with(prefix)) return true;
  return false;
}

}  // namespace

std::string percent(double share) {
  const double value = 100.0 * share;
  return value > 0.0 && value < 0.1 ? fmt::format("{:.1g}%", value) : fmt::format("{:.1f}%", value);
}

std::string with_thousands(std::int64_t number) {
  auto text = std::to_string(number);
  for (auto at = std::ssize(text) - 3; at > (number < 0 ? 1 : 0); at -= 3)
    text.insert(static_cast<std::size_t>(at), ",");
  return text;
}

std::string plural(std::int64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string duration(double seconds) {
  if (seconds < 100) return fmt::format("{:.0f} s", seconds);
  if (seconds < 6000) return fmt::format("{:.0f} min", seconds / 60);
  if (seconds < 48 * 3600) return fmt::format("{:.1f} h", seconds / 3600);
  return fmt::format("{:.1f} days", seconds / 86400);
}

bool is_share(std::string_view key) {
  const auto end = split_way(key).end;
  return has_prefix(end, {"recall@", "map@", "top1", "top5", "mean_per_class"});
}

std::string shown_figure(std::string_view key, double value) {
  if (!std::isfinite(value)) return "not finite";
  return is_share(key) ? percent(value) : fmt::format("{:.4g}", value);
}

std::string datum(double value, std::string_view text) {
  return fmt::format(R"(<data value="{}">{}</data>)", value, text);
}

std::string readable_key(const std::string& key) {
  const auto [end, way] = split_way(key);
  using Words = std::pair<std::string_view, std::string_view>;
  constexpr std::array known{Words{"loss", "Loss"},
                             Words{"recall@1", "Recall@1"},
                             Words{"recall@5", "Recall@5"},
                             Words{"recall@10", "Recall@10"},
                             Words{"map@10", "mAP@10"},
                             Words{"median_rank", "Median rank"},
                             Words{"top1", "Top-1 accuracy"},
                             Words{"top5", "Top-5 accuracy"},
                             Words{"mean_per_class", "Mean per class"},
                             Words{"calibration_error", "Calibration error"},
                             Words{"negative_log_likelihood", "Negative log-likelihood"},
                             Words{"alignment", "Alignment"},
                             Words{"uniformity", "Uniformity"},
                             Words{"modality_gap", "Modality gap"},
                             Words{"linear_cka", "Linear CKA"},
                             Words{"temperature", "Temperature"}};
  for (const auto& [name, words] : known)
    if (end == name) return fmt::format("{}{}", words, way);
  return key;
}

std::size_t place_of_key(const std::string& key) {
  constexpr std::array known{"loss", "image_to_text.recall@1", "text_to_image.recall@1", "top1"};
  return static_cast<std::size_t>(std::find(known.begin(), known.end(), key) - known.begin());
}

bool is_detail(const std::string& key) {
  const auto end = split_way(key).end;
  return has_prefix(end, {"recall@5", "recall@10", "map@10", "median_rank", "top5", "mean_per_class", "alignment",
                          "uniformity", "modality_gap", "linear_cka", "effective_rank.", "hubness.", "temperature",
                          "calibration_error", "negative_log_likelihood"});
}

bool is_constant(const std::string& key) {
  return key == "pairs" || key == "captions" || key == "skipped" || key == "images" ||
         has_prefix(key, {"chance.", "interval95."});
}

}  // namespace vlalign
