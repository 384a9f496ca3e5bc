#include "vlalign/eval/training_metrics.hpp"

#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "core/check.hpp"
#include "core/io/files.hpp"

namespace vlalign {

TrainingMetrics read_metrics(const std::filesystem::path& file) {
  TrainingMetrics metrics;
  const std::pair<const char*, std::vector<double>*> columns[] = {
      {"step", &metrics.step},
      {"epoch", &metrics.epoch},
      {"loss", &metrics.loss},
      {"accuracy", &metrics.accuracy},
      {"lr", &metrics.learning_rate},
      {"logit_scale", &metrics.logit_scale},
      {"samples_seen", &metrics.samples_seen},
      {"pairs_per_s", &metrics.pairs_per_s},
  };
  std::istringstream lines(read_file(file));
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    check(json.is_object(), "{}:{}: expected one JSON object a line", file.string(), number);
    for (const auto& [key, column] : columns) {
      const auto value = json.find(key);
      check(value != json.end() && (value->is_number() || value->is_null()), "{}:{}: expected a number under \"{}\"",
            file.string(), number, key);
      column->push_back(value->is_null() ? std::numeric_limits<double>::quiet_NaN() : value->get<double>());
    }
  }
  return metrics;
}

}  // namespace vlalign
