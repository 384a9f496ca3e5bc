#include "split.hpp"

#include <algorithm>
#include <regex>
#include <sstream>
#include <utility>

namespace emoji {
namespace {

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(' ');
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(' ') - first + 1);
}

std::string without_skin_tones(const std::string& name) {
  static const std::regex tone("(?:medium-light|medium-dark|light|medium|dark) skin tone");
  return std::regex_replace(name, tone, "");
}

std::string with_genders_merged(const std::string& name) {
  static const std::regex adult("\\b(?:man|woman|men|women|people)\\b");
  static const std::regex child("\\b(?:boy|girl)\\b");
  static const std::regex couple("\\bperson and person\\b");
  const auto merged = std::regex_replace(std::regex_replace(name, adult, "person"), child, "child");
  return std::regex_replace(merged, couple, "person");
}

bool is_a_group(const std::string& concept_name) {
  return concept_name == "kiss" || concept_name == "couple with heart" || concept_name == "family";
}

bool is_variant_or_flag(std::string_view name) {
  return name.find("skin tone") != std::string_view::npos || name.starts_with("flag");
}

}  // namespace

std::string family(std::string_view name) {
  const auto merged = with_genders_merged(without_skin_tones(std::string(name)));
  const auto colon = merged.find(':');
  auto result = trimmed(merged.substr(0, colon));
  if (colon == std::string::npos || is_a_group(result)) return result;
  std::istringstream details(merged.substr(colon + 1));
  const char* separator = ": ";
  for (std::string detail; std::getline(details, detail, ',');) {
    detail = trimmed(detail);
    if (detail.empty() || detail == "person") continue;
    result += std::exchange(separator, ", ") + detail;
  }
  return result;
}

std::vector<Part> split(const std::vector<std::string>& names, std::uint64_t seed) {
  std::vector<Part> parts(names.size(), Part::train);
  std::vector<std::pair<std::uint64_t, std::size_t>> others;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (fnv1a(family(names[i])) % 10 == 0) {
      parts[i] = is_variant_or_flag(names[i]) ? Part::left_out : Part::concepts;
    } else {
      others.emplace_back(fnv1a(names[i] + "#1"), i);
    }
  }
  std::sort(others.begin(), others.end());
  const auto tenth = others.size() / 10;
  const auto first = (seed % 10 + 9) % 10 * tenth;
  for (auto at = first; at < first + tenth; ++at) parts[others[at].second] = Part::combinations;
  return parts;
}

std::uint64_t fnv1a(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3ULL;
  return hash;
}

}  // namespace emoji
