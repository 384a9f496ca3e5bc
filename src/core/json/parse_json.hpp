// JSON from a file that may be anybody's.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace vlalign {

/// Throws Error, `where` in front of it, for what isn't JSON, a key that stands twice in one object, and values nested
/// so deeply that working on them would overflow the stack. What Python's json module writes beyond JSON comes as in
/// take_out_of_text(): neither number nor text, so a fault only for who reads it.
nlohmann::json parse_json(std::string_view text, const std::string& where);

/// A record of a data set, of which little is read: of a key that stands twice the last counts, as in Python. Throws
/// Error for what isn't JSON.
nlohmann::json parse_record(std::string_view text);

/// What parse_json() gives of a whole file, which must hold an object. Throws Error naming the file.
nlohmann::json read_json_object(const std::filesystem::path& file);

}  // namespace vlalign
