#include "eval/figures_json.hpp"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

namespace vlalign {
namespace {

using nlohmann::json;

void add_figures(const json& object, const std::string& before, Figures& figures) {
  for (const auto& [key, value] : object.items()) {
    const auto name = before + key;
    if (value.is_object()) add_figures(value, name + ".", figures);
    if (value.is_number()) figures[name] = value.get<double>();
    if (value.is_null()) figures[name] = std::numeric_limits<double>::quiet_NaN();
  }
}

json number_of(double value) {
  constexpr double exact = 9007199254740992.0;  // 2^53, up to which counts are written as such
  if (!std::isfinite(value)) return nullptr;
  if (value == std::floor(value) && std::abs(value) < exact) return static_cast<std::int64_t>(value);
  return value;
}

}  // namespace

Figures figures_of(const json& object) {
  Figures figures;
  add_figures(object, "", figures);
  return figures;
}

json json_of(const Figures& figures) {
  auto object = json::object();
  for (const auto& [name, value] : figures) {
    auto* place = &object;
    std::size_t begin = 0;
    for (auto dot = name.find('.'); dot != name.npos; dot = name.find('.', begin)) {
      auto& below = (*place)[name.substr(begin, dot - begin)];
      if (!below.is_object()) below = json::object();
      place = &below, begin = dot + 1;
    }
    (*place)[name.substr(begin)] = number_of(value);
  }
  return object;
}

}  // namespace vlalign
