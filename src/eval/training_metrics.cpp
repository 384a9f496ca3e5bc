#include "vlalign/eval/training_metrics.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "eval/metrics_line.hpp"

namespace vlalign {
namespace {

struct MetricsColumn {
  const char* key;
  double StepMetrics::*value;
  std::vector<double> TrainingMetrics::*values;
};

constexpr std::array metrics_columns{
    MetricsColumn{"step", &StepMetrics::step, &TrainingMetrics::step},
    MetricsColumn{"epoch", &StepMetrics::epoch, &TrainingMetrics::epoch},
    MetricsColumn{"loss", &StepMetrics::loss, &TrainingMetrics::loss},
    MetricsColumn{"accuracy", &StepMetrics::accuracy, &TrainingMetrics::accuracy},
    MetricsColumn{"lr", &StepMetrics::learning_rate, &TrainingMetrics::learning_rate},
    MetricsColumn{"logit_scale", &StepMetrics::logit_scale, &TrainingMetrics::logit_scale},
    MetricsColumn{"samples_seen", &StepMetrics::samples_seen, &TrainingMetrics::samples_seen},
    MetricsColumn{"pairs_per_s", &StepMetrics::pairs_per_s, &TrainingMetrics::pairs_per_s},
};

constexpr double no_number = std::numeric_limits<double>::quiet_NaN();

/// The next value of a line that RunFolder::log() wrote, behind "{" or ",": its key and number, NaN for null. False for
/// anything else, also where the line has ended.
bool take_value(std::string_view& rest, std::string_view& key, double& value) {
  if (rest.size() < 2 || rest[1] != '"') return false;
  rest.remove_prefix(2);
  const auto end = rest.find_first_of("\"\\");
  if (end == rest.npos || !rest.substr(end).starts_with("\":")) return false;
  key = rest.substr(0, end);
  rest.remove_prefix(end + 2);
  value = no_number;
  for (const std::string_view word : {"null", "true"}) {
    if (!rest.starts_with(word)) continue;
    rest.remove_prefix(word.size());
    return word == "null" || key == "skipped";
  }
  const auto sign = rest.starts_with('-') ? 1U : 0U;
  if (rest.size() <= sign || rest[sign] < '0' || rest[sign] > '9') return false;
  const auto [after, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  rest.remove_prefix(static_cast<std::size_t>(after - rest.data()));
  return error == std::errc();
}

/// Reads a line as RunFolder::log() writes them, in a tenth of the time that a parser of all of JSON takes: a run of
/// days has a million. False, and nothing is known, for one that is written otherwise.
bool read_plain_line(std::string_view rest, StepMetrics& metrics) {
  std::string_view key;
  double value = 0;
  std::array<bool, metrics_columns.size()> found{};
  if (!rest.starts_with('{')) return false;
  while (take_value(rest, key, value)) {
    for (std::size_t i = 0; i < metrics_columns.size(); ++i) {
      if (key != metrics_columns[i].key) continue;
      metrics.*metrics_columns[i].value = value;
      found[i] = true;
    }
    if (rest == "}") return std::find(found.begin(), found.end(), false) == found.end();
    if (!rest.starts_with(',')) return false;
  }
  return false;
}

}  // namespace

StepMetrics parse_metrics_line(std::string_view line, const std::filesystem::path& file, int number) {
  StepMetrics metrics;
  if (read_plain_line(line, metrics)) return metrics;
  const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  check(json.is_object(), "{}:{}: expected one JSON object a line", file.string(), number);
  for (const auto& column : metrics_columns) {
    const auto value = json.find(column.key);
    check(value != json.end() && (value->is_number() || value->is_null()), "{}:{}: expected a number under \"{}\"",
          file.string(), number, column.key);
    metrics.*column.value = value->is_null() ? no_number : value->get<double>();
  }
  return metrics;
}

TrainingMetrics read_metrics(const std::filesystem::path& file) {
  TrainingMetrics metrics;
  std::istringstream lines(read_file(file, any_size));
  std::string text;
  for (int number = 1; std::getline(lines, text); ++number) {
    const auto line = parse_metrics_line(text, file, number);
    for (const auto& column : metrics_columns) (metrics.*column.values).push_back(line.*column.value);
  }
  return metrics;
}

}  // namespace vlalign
