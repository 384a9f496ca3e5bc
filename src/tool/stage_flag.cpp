#include "tool/stage_flag.hpp"

#include <charconv>
#include <cmath>
#include <system_error>

#include "core/ascii.hpp"
#include "core/check.hpp"

namespace vlalign::tool {
namespace {

constexpr auto form = "SHARE:image_size=PIXELS,context_length=TOKENS,patch_dropout=SHARE";

template <typename Number>
Number read_stage_number(std::string_view text, std::string_view what, std::string_view kind) {
  Number number{};
  const auto* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  check(!text.empty() && read.ec == std::errc() && read.ptr == end && std::isfinite(static_cast<double>(number)),
        "stage: expected {} for {}, got \"{}\"; a stage is {}", kind, what, text, form);
  return number;
}

template <typename Number>
void take_once(std::optional<Number>& number, std::string_view text, std::string_view key, std::string_view kind) {
  check(!number, "stage: {} stands twice", key);
  number = read_stage_number<Number>(text, key, kind);
}

void read_stage_key(std::string_view text, Stage& stage) {
  const auto equals = text.find('=');
  const auto key = trim(text.substr(0, equals));
  const auto number = equals == text.npos ? std::string_view() : trim(text.substr(equals + 1));
  if (key == "image_size")
    take_once(stage.image_size, number, key, "a whole number of pixels");
  else if (key == "context_length")
    take_once(stage.context_length, number, key, "a whole number of tokens");
  else if (key == "patch_dropout")
    take_once(stage.patch_dropout, number, key, "a number");
  else
    fail("stage: expected image_size, context_length or patch_dropout, got \"{}\"; a stage is {}", key, form);
}

}  // namespace

Stage parse_stage(std::string_view text) {
  Stage stage;
  const auto colon = text.find(':');
  stage.share = read_stage_number<double>(trim(text.substr(0, colon)), "its share of the steps", "a number");
  while (colon != text.npos && text.find_first_of(":,") != text.npos) {
    text.remove_prefix(text.find_first_of(":,") + 1);
    read_stage_key(text.substr(0, text.find(',')), stage);
  }
  return stage;
}

}  // namespace vlalign::tool
