#include "eval/figures_in.hpp"

#include <limits>
#include <nlohmann/json.hpp>

namespace vlalign {
namespace {

void add_figures(const nlohmann::json& object, const std::string& prefix, std::map<std::string, double>& figures) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_object()) add_figures(value, prefix + key + ".", figures);
    if (value.is_number()) figures[prefix + key] = value.get<double>();
    if (value.is_null()) figures[prefix + key] = std::numeric_limits<double>::quiet_NaN();
  }
}

}  // namespace

std::map<std::string, double> figures_in(const nlohmann::json& object) {
  std::map<std::string, double> figures;
  add_figures(object, "", figures);
  return figures;
}

}  // namespace vlalign
