#include "vlalign/eval/validation_result.hpp"

#include <nlohmann/json.hpp>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/json/json_section.hpp"
#include "core/json/parse_json.hpp"
#include "eval/figures_json.hpp"
#include "eval/new_lines.hpp"
#include "eval/validation_line.hpp"

namespace vlalign {

ValidationResult parse_validation_line(std::string_view text, const std::filesystem::path& file, int number) {
  const auto where = fmt::format("{}:{}", file.string(), number);
  const auto json = parse_json(text, where);
  JsonSection section(json, where);
  ValidationResult line{.step = section.require<std::int64_t>("step"),
                        .name = section.require<std::string>("name"),
                        .seconds = section.get("seconds", 0.0),
                        .figures = figures_of(json)};
  for (const auto* key : {"step", "seconds"}) line.figures.erase(key);
  return line;
}

std::vector<ValidationResult> read_validations(const std::filesystem::path& file) {
  check(is_there(file), "{}: there is no such file", file.string());
  std::vector<ValidationResult> lines;
  NewLines(file).read(
      [&](std::string_view line, int number) { lines.push_back(parse_validation_line(line, file, number)); });
  return lines;
}

}  // namespace vlalign
