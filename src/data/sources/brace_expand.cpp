#include "data/sources/brace_expand.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <optional>

#include "core/check.hpp"

namespace vlalign {
namespace {

constexpr std::size_t max_names = 1'000'000;
constexpr int max_braces = 64;

/// The position of the brace that closes the one at `open`.
std::size_t closing_brace(std::string_view pattern, std::size_t open) {
  int depth = 0;
  for (std::size_t i = open; i < pattern.size(); ++i) {
    if (pattern[i] == '{') ++depth;
    if (pattern[i] == '}' && --depth == 0) return i;
  }
  fail("{}: the brace at character {} is never closed", pattern, open + 1);
}

std::vector<std::string_view> split_outside_braces(std::string_view list) {
  std::vector<std::string_view> parts;
  int depth = 0;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i] == '{') ++depth;
    if (list[i] == '}') --depth;
    if (list[i] == ',' && depth == 0) {
      parts.push_back(list.substr(begin, i - begin));
      begin = i + 1;
    }
  }
  parts.push_back(list.substr(begin));
  return parts;
}

std::optional<std::int32_t> parse_number(std::string_view digits) {
  if (digits.empty() || digits.front() < '0' || digits.front() > '9') return std::nullopt;
  std::int32_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

/// The numbers of "first..last", or nothing when the text isn't a range.
std::vector<std::string> expand_range(std::string_view text) {
  const auto dots = text.find("..");
  if (dots == text.npos) return {};
  const auto low = text.substr(0, dots);
  const auto high = text.substr(dots + 2);
  const auto first = parse_number(low);
  const auto last = parse_number(high);
  if (!first || !last) return {};
  check(static_cast<std::size_t>(std::abs(*last - *first)) < max_names, "{{{}}}: more than {} names", text, max_names);
  constexpr std::size_t longest_name = 255;
  check(std::max(low.size(), high.size()) <= longest_name, "{{{}}}: longer than a name may be", text);
  const bool padded = (low.size() > 1 && low[0] == '0') || (high.size() > 1 && high[0] == '0');
  const auto width = padded ? std::max(low.size(), high.size()) : 0;
  std::vector<std::string> numbers;
  for (auto i = *first;; i += *first <= *last ? 1 : -1) {
    numbers.push_back(fmt::format("{:0{}}", i, width));
    if (i == *last) return numbers;
  }
}

/// What stands between a pair of braces, expanded.
std::vector<std::string> alternatives(std::string_view inside) {
  const auto parts = split_outside_braces(inside);
  if (parts.size() > 1) {
    std::vector<std::string> all;
    for (const auto part : parts) {
      for (auto& name : brace_expand(part)) all.push_back(std::move(name));
    }
    return all;
  }
  if (auto numbers = expand_range(inside); !numbers.empty()) return numbers;
  auto literal = brace_expand(inside);
  for (auto& name : literal) name = fmt::format("{{{}}}", name);
  return literal;
}

}  // namespace

std::vector<std::string> brace_expand(std::string_view pattern) {
  const auto open = pattern.find('{');
  if (open == pattern.npos) return {std::string(pattern)};
  check(std::count(pattern.begin(), pattern.end(), '{') <= max_braces, "{}: more than {} braces", pattern, max_braces);
  const auto close = closing_brace(pattern, open);
  const auto prefix = pattern.substr(0, open);
  const auto middles = alternatives(pattern.substr(open + 1, close - open - 1));
  const auto suffixes = brace_expand(pattern.substr(close + 1));
  check(middles.size() * suffixes.size() <= max_names, "{}: more than {} names", pattern, max_names);
  std::vector<std::string> names;
  names.reserve(middles.size() * suffixes.size());
  for (const auto& middle : middles) {
    for (const auto& suffix : suffixes) names.push_back(fmt::format("{}{}{}", prefix, middle, suffix));
  }
  return names;
}

}  // namespace vlalign
