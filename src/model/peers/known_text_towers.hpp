// Sizes of the text towers that open_clip's configs name without saying them.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vlalign {

/// The keys of transformers' config.json that decide what such a tower computes; none for an unknown name.
std::optional<nlohmann::json> known_text_tower(std::string_view name);

/// All names, each once.
std::vector<std::string> known_text_tower_names();

}  // namespace vlalign
