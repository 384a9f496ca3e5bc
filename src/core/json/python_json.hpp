// JSON as Python's json module writes it. Internal.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace vlalign {

/// What strict JSON can't say as strings with U+FFFF, so that the rest can be read: NaN, Infinity, -Infinity and
/// numbers beyond a double's range behind one; half of a surrogate pair, "\ud800", as one and its four digits, and so
/// each byte in a string that is no UTF-8, as Python's surrogateescape would write it ("\udcff" for FF). All else stays
/// as it is, faults too.
std::string as_strict_json(std::string_view text);

/// Such a string, as a value of a type that stands in no JSON, so that nobody takes it for a text or a number: binary.
/// Other values stay as they are.
void take_out_of_text(nlohmann::json& value);

/// A value for people, as the file has it: NaN and its like as Python wrote them, in lists and objects too.
std::string shown(const nlohmann::json& value);

/// The bytes of a file's name, which Python writes as halves of surrogate pairs where they are no UTF-8; nothing where
/// the value is none.
std::optional<std::string> file_name_of(const nlohmann::json& value);

}  // namespace vlalign
