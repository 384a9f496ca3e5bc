#include "core/json/parse_json.hpp"

#include <nlohmann/json.hpp>
#include <unordered_set>
#include <vector>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/json/json_reason.hpp"
#include "core/json/python_json.hpp"

namespace vlalign {

using nlohmann::json;

namespace {

using Event = json::parse_event_t;

enum class Dialect { strict, made_strict };

/// What `parse` makes of the text, which it gets again, made strict JSON, where it throws.
template <typename Parse>
json parse_as_python(std::string_view text, const Parse& parse) {
  try {
    return parse(text, Dialect::strict);
  } catch (const json::exception&) {
    const auto strict = as_strict_json(text);
    if (strict == text) throw;
    return parse(std::string_view(strict), Dialect::made_strict);
  }
}

/// With the faults that parse_json() names.
json parse_carefully(std::string_view text, Dialect dialect, const std::string& where) {
  constexpr int deepest = 64;
  std::vector<std::unordered_set<std::string>> open;  // the keys so far of each object that has begun and not ended
  const json::parser_callback_t look_at = [&](int depth, Event event, json& value) {
    check(depth < deepest, "{}: values are nested more than {} deep", where, deepest);
    if (event == Event::object_start) open.emplace_back();
    if (event == Event::object_end) open.pop_back();
    if (dialect == Dialect::made_strict) take_out_of_text(value);
    if (event == Event::key) {
      check(value.is_string(), "{}: a key is no text: {}", where, shown(value));
      const auto& key = value.get_ref<const std::string&>();
      check(open.back().insert(key).second, "{}: \"{}\" is named twice", where, key);
    }
    return true;
  };
  return json::parse(text, look_at);
}

}  // namespace

json parse_json(std::string_view text, const std::string& where) {
  try {
    return parse_as_python(text, [&](auto one, Dialect dialect) { return parse_carefully(one, dialect, where); });
  } catch (const json::exception& error) {
    fail("{}: not JSON: {}", where, reason_of(error));
  }
}

json parse_record(std::string_view text) {
  try {
    return parse_as_python(text, [](std::string_view one, Dialect dialect) {
      if (dialect == Dialect::strict) return json::parse(one);
      return json::parse(one, [](int, Event event, json& value) {
        if (event == Event::value) take_out_of_text(value);
        return true;
      });
    });
  } catch (const json::exception& error) {
    fail("not JSON: {}", reason_of(error));
  }
}

json read_json_object(const std::filesystem::path& file) {
  auto root = parse_json(read_file(file), file.string());
  check(root.is_object(), "{}: expected an object, got {}", file.string(), root.type_name());
  return root;
}

}  // namespace vlalign
