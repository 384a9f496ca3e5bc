// The numbers in a JSON object of figures, such as eval.json. Internal.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace vlalign {

/// By their keys, those of an object inside behind its own and a dot: "image_to_text.recall@1". NaN for null. Lists and
/// texts are left out.
std::map<std::string, double> figures_in(const nlohmann::json& object);

}  // namespace vlalign
