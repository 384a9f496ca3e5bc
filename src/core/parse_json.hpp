// JSON from a file that may be anybody's.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace vlalign {

/// Throws Error, `where` in front of it, for what isn't JSON, a key that stands twice in one object, and values nested
/// so deeply that working on them would overflow the stack.
nlohmann::json parse_json(std::string_view text, const std::string& where);

/// The same of a whole file, which must hold an object. Throws Error naming the file.
nlohmann::json read_json_object(const std::filesystem::path& file);

}  // namespace vlalign
