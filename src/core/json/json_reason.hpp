// Why JSON could not be read or written, for people. Internal.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace vlalign {

/// The JSON library's reason without its code, such as "[json.exception.type_error.302] ".
inline std::string reason_of(const nlohmann::json::exception& error) {
  const std::string text = error.what();
  const auto code_end = text.find("] ");
  return code_end == text.npos ? text : text.substr(code_end + 2);
}

}  // namespace vlalign
