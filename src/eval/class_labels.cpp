#include "eval/class_labels.hpp"

#include <charconv>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "core/ascii.hpp"
#include "core/check.hpp"

namespace vlalign {
namespace {

/// The first class of each name.
std::unordered_map<std::string_view, std::int64_t> first_of_name(std::span<const std::string> classes) {
  std::unordered_map<std::string_view, std::int64_t> first;
  for (std::size_t c = 0; c < classes.size(); ++c) first.try_emplace(trim(classes[c]), static_cast<std::int64_t>(c));
  return first;
}

/// The number of a class, if the text is one.
std::optional<std::int64_t> class_number(std::string_view text, std::int64_t classes) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_whole = error == std::errc() && end == text.data() + text.size();
  return is_whole && number >= 0 && number < classes ? std::optional(number) : std::nullopt;
}

}  // namespace

ClassLabels class_labels(const PairSource& source, std::span<const std::string> names) {
  const auto by_name = first_of_name(names);
  ClassLabels as_names{{}, true}, as_numbers{{}, false};
  std::string no_name, neither;
  for (std::int64_t record = 0; record < source.size(); ++record) {
    const auto captions = source.captions(record);
    const std::string text(captions.empty() ? "" : trim(captions.front()));
    const auto found = by_name.find(text);
    const auto number = class_number(text, std::ssize(names));
    if (found != by_name.end()) as_names.classes.push_back(found->second);
    if (number) as_numbers.classes.push_back(*number);
    const auto fault = [&] { return fmt::format("{}: its caption \"{}\"", source.name(record), text); };
    if (found == by_name.end() && no_name.empty()) no_name = fault();
    if (found == by_name.end() && !number && neither.empty()) neither = fault();
  }
  if (std::ssize(as_names.classes) == source.size()) return as_names;
  if (std::ssize(as_numbers.classes) == source.size()) return as_numbers;
  check(neither.empty(), "{} is not one of the {} classes, nor a class's number from 0 to {}", neither, names.size(),
        names.size() - 1);
  fail("{} is a class's number, where other captions are names", no_name);
}

}  // namespace vlalign
