// Captions in a record's JSON. Internal.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace vlalign {

/// Those that a record, an object of parse_record(), holds under a key: a string or a list of strings, in which null
/// and blank ones are left out. Throws Error when none is left, and for what is no text.
std::vector<std::string> captions_of(const nlohmann::json& record, const std::string& key);

/// The same, but none where the key isn't there or nothing is left under it.
std::vector<std::string> find_captions(const nlohmann::json& record, const std::string& key);

}  // namespace vlalign
