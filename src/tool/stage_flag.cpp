#include "tool/stage_flag.hpp"

#include <charconv>
#include <string>

#include "core/check.hpp"

namespace vlalign::tool {
namespace {

template <typename Number>
Number number_in(std::string_view word, std::string_view stage) {
  Number number{};
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  check(!word.empty() && error == std::errc() && end == word.data() + word.size(),
        "--stage {}: expected a number, got \"{}\"", stage, word);
  return number;
}

}  // namespace

Stage parse_stage(std::string_view text) {
  Stage stage;
  const auto colon = text.find(':');
  stage.share = number_in<double>(text.substr(0, colon), text);
  auto rest = colon == text.npos ? std::string_view() : text.substr(colon + 1);
  while (!rest.empty()) {
    const auto part = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    const auto key = part.substr(0, part.find('='));
    const auto value = key.size() == part.size() ? std::string_view() : part.substr(key.size() + 1);
    if (key == "image_size") {
      stage.image_size = number_in<std::int64_t>(value, text);
    } else if (key == "context_length") {
      stage.context_length = number_in<std::int64_t>(value, text);
    } else if (key == "patch_dropout") {
      stage.patch_dropout = number_in<double>(value, text);
    } else {
      fail("--stage {}: expected image_size, context_length or patch_dropout, got \"{}\"", text, key);
    }
  }
  return stage;
}

}  // namespace vlalign::tool
