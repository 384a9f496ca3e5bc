// JSON as text, for files.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "core/check.hpp"
#include "core/json/json_reason.hpp"

namespace vlalign {

/// Throws Error, `where` in front, for text in it that is not UTF-8.
template <typename Json>
std::string dump_json(const Json& value, int indent, const std::string& where) {
  try {
    return value.dump(indent);
  } catch (const nlohmann::json::exception& error) {
    fail("{}: {}", where, reason_of(error));
  }
}

/// The same for people, such as the record of a run, in which a path may be of any bytes: what is no UTF-8 in it
/// becomes U+FFFD.
template <typename Json>
std::string dump_readable(const Json& value, int indent = -1) {
  return value.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace vlalign
