// Errors that tell where they are.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "core/check.hpp"

namespace vlalign {

/// What the function gives; "<where>: " comes before the message of an Error or of a JSON library's exception.
template <typename Function>
auto naming(const std::string& where, Function function) {
  try {
    return function();
  } catch (const Error& error) {
    fail("{}: {}", where, error.what());
  } catch (const nlohmann::json::exception& error) {
    fail("{}: {}", where, error.what());
  }
}

}  // namespace vlalign
