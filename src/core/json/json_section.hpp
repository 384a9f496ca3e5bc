// Reading a config's JSON with errors that name file and key.
#pragma once

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/check.hpp"
#include "core/json/python_json.hpp"

namespace vlalign {

/// One object of a file; remembers which keys were read, so that what was asked for and not understood is an error.
class JsonSection {
 public:
  JsonSection(const nlohmann::json& value, std::string where) : value_(value), where_(std::move(where)) {
    check(value_.is_object(), "{}: expected an object, got {}", where_, value_.type_name());
  }

  template <typename T>
  T require(const char* key) {
    const auto* found = find(key);
    check(found != nullptr, "{}.{} is missing", where_, key);
    try {
      if (is_kept_whole<T>(*found)) return found->get<T>();
    } catch (const nlohmann::json::exception&) {  // said below
    }
    constexpr std::size_t longest = 200;
    auto value = shown(*found);
    if (value.size() > longest) value.replace(longest, value.npos, "...");
    fail("{}.{}: not a value of the expected kind: {}", where_, key, value);
  }

  template <typename T>
  T get(const char* key, const T& fallback) {
    return find(key) ? require<T>(key) : fallback;
  }

  /// From 1 to 2^24, as sizes and counts are.
  std::int64_t require_positive(const char* key) {
    const auto number = require<std::int64_t>(key);
    check(number > 0 && number <= (1 << 24), "{}.{}: expected a positive number of at most 2^24, got {}", where_, key,
          number);
    return number;
  }

  /// From 0 to 2^24.
  std::int64_t count(const char* key, std::int64_t fallback) {
    const auto number = get(key, fallback);
    check(number >= 0 && number <= (1 << 24), "{}.{}: expected 0 to 2^24, got {}", where_, key, number);
    return number;
  }

  std::int64_t positive(const char* key, std::int64_t fallback) { return find(key) ? require_positive(key) : fallback; }

  double number_between(const char* key, double fallback, double low, double high) {
    const auto number = get<double>(key, fallback);
    check(number >= low && number <= high, "{}.{}: expected {} to {}, got {}", where_, key, low, high, number);
    return number;
  }

  std::vector<std::int64_t> positives(const char* key, const std::vector<std::int64_t>& fallback) {
    const auto numbers = get(key, fallback);
    for (const auto number : numbers)
      check(number > 0 && number <= (1 << 24), "{}.{}: expected positive numbers of at most 2^24, got {}", where_, key,
            number);
    return numbers;
  }

  JsonSection section(const char* key) {
    known_.insert(key);
    check(value_.contains(key), "{}.{} is missing", where_, key);
    return {value_.at(key), fmt::format("{}.{}", where_, key)};
  }

  bool has(const char* key) { return find(key) != nullptr; }

  /// Whether the key is there with null for its value.
  bool is_null(const char* key) const {
    const auto found = value_.find(key);
    return found != value_.end() && found->is_null();
  }

  /// Null where the key is missing or null.
  const nlohmann::json* find(const char* key) {
    known_.insert(key);
    const auto found = value_.find(key);
    return found == value_.end() || found->is_null() ? nullptr : &*found;
  }

  /// Keys that change no number here.
  void ignore(std::initializer_list<const char*> keys) {
    for (const auto* key : keys) known_.insert(key);
  }

  /// Throws for keys nobody asked for, unless they are off (null, false, empty, zero).
  void finish() const {
    for (const auto& [key, value] : value_.items()) {
      const bool off = value.is_null() || value == false || value == "" || value == 0;
      check(off || known_.contains(key), "{}.{} = {} asks for something that is not built here", where_, key,
            shown(value));
    }
  }

  const std::string& where() const { return where_; }

 private:
  /// False where the JSON library would quietly make an integer of a fraction or of a number out of its range, or leave
  /// the end of a list out.
  template <typename T>
  static bool is_kept_whole(const nlohmann::json& value) {
    if constexpr (std::is_same_v<T, std::vector<std::int64_t>>) {
      return std::all_of(value.begin(), value.end(), is_kept_whole<std::int64_t>);
    } else if constexpr (std::is_same_v<T, std::array<double, 3>>) {
      return value.size() == 3;
    } else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      if (value.is_number_unsigned()) return std::in_range<T>(value.get<std::uint64_t>());
      return value.is_number_integer() && std::in_range<T>(value.get<std::int64_t>());
    } else {
      return true;
    }
  }

  const nlohmann::json& value_;
  std::string where_;
  std::set<std::string> known_;
};

/// The side of a square picture: a number or two equal ones.
inline int image_side(const nlohmann::json& value, const std::string& where) {
  const auto& size = value.is_array() && !value.empty() ? value.front() : value;
  check(size.is_number_integer() && size > 0 && size <= 8192, "{}: expected the side in pixels, 1 to 8192, got {}",
        where, shown(value));
  check(!value.is_array() || value == nlohmann::json::array({size, size}),
        "{}: only square images are built here, got {}", where, shown(value));
  return size.get<int>();
}

}  // namespace vlalign
