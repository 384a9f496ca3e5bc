// open_clip's text_arch "modern": its keys and its tensors' names.
#pragma once

#include <nlohmann/json.hpp>

#include "core/json/json_section.hpp"
#include "model/peers/peer_names.hpp"
#include "vlalign/config/model_config.hpp"

namespace vlalign {

constexpr auto modern_text_arch = "modern";

/// The keys of a text_cfg that such a tower goes by, but for its projection's and its tokenizer's name in transformers.
TextConfig read_modern_text(JsonSection& text);
/// The same keys, all but pool_type.
nlohmann::json modern_text_json(const TextConfig& text);
/// Under "text." in both.
NamingScheme modern_text_scheme(const TextConfig& text);

}  // namespace vlalign
