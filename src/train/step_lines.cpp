#include "train/step_lines.hpp"

#include <string_view>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/json/json_section.hpp"
#include "core/json/parse_json.hpp"

namespace vlalign {

std::string lines_up_to(const std::filesystem::path& file, std::int64_t step) {
  const auto text = read_file(file);
  std::size_t kept = 0;
  std::int64_t last = 0;
  for (int number = 1; last < step; ++number) {
    const auto end = text.find('\n', kept);
    if (end == text.npos) break;
    const auto where = fmt::format("{}:{}", file.string(), number);
    const auto line = parse_json(std::string_view(text).substr(kept, end - kept), where);
    const auto next = JsonSection(line, where).require<std::int64_t>("step");
    check(next > last, "{}.step: expected more than {}, the line before, got {}", where, last, next);
    if (next > step) break;
    last = next, kept = end + 1;
  }
  return text.substr(0, kept);
}

}  // namespace vlalign
