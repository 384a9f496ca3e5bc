// What the libraries beneath throw, as vlalign's own Error. Internal.
#pragma once

#include <new>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "core/check.hpp"
#include "core/json/json_reason.hpp"

namespace vlalign {

/// What the function gives. What it throws of files, of JSON and for lack of memory comes out as Error, with
/// `where` in front.
template <typename Function>
auto without_foreign_errors(std::string_view where, Function function) {
  try {
    return function();
  } catch (const std::system_error& error) {  // of files and streams
    fail("{}: {}", where, error.code().message());
  } catch (const nlohmann::json::exception& error) {
    fail("{}: {}", where, reason_of(error));
  } catch (const std::bad_alloc&) {
    fail("{}: not enough memory", where);
  } catch (const std::length_error&) {  // more than an address can hold
    fail("{}: not enough memory", where);
  }
}

}  // namespace vlalign
