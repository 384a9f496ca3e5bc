#include "train/validation_lines.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/json/dump_json.hpp"
#include "eval/figures_json.hpp"
#include "eval/validation_line.hpp"

namespace vlalign {

std::string validation_line(const ValidationResult& result) {
  auto line = json_of(result.figures);
  line["step"] = result.step;
  line["name"] = result.name;
  line["seconds"] = result.seconds;
  return dump_readable(line);
}

ValidationLines read_validation_lines(const std::string& text, const std::vector<std::string>& names,
                                      std::int64_t last_step) {
  ValidationLines all;
  std::istringstream lines(text);
  int number = 0;
  std::string of_last_step;
  std::vector<ValidationResult> last;
  for (std::string line; std::getline(lines, line);) {
    auto result = parse_validation_line(line, "validation.jsonl", ++number);
    const bool is_last = result.step == last_step;
    (is_last ? of_last_step : all.text) += line + "\n";
    (is_last ? last : all.results).push_back(std::move(result));
  }
  const bool whole = std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    return std::any_of(last.begin(), last.end(), [&](const auto& result) { return result.name == name; });
  });
  if (!whole) return all;
  all.text += of_last_step;
  for (auto& result : last) all.results.push_back(std::move(result));
  return all;
}

}  // namespace vlalign
