#include "parse_json.hpp"

#include <nlohmann/json.hpp>
#include <unordered_set>
#include <vector>

#include "check.hpp"
#include "files.hpp"
#include "json_reason.hpp"

namespace vlalign {

using nlohmann::json;

json parse_json(std::string_view text, const std::string& where) {
  constexpr int deepest = 64;
  using Event = json::parse_event_t;
  std::vector<std::unordered_set<std::string>> open;  // the keys so far of each object that has begun and not ended
  const json::parser_callback_t look_at = [&](int depth, Event event, json& value) {
    check(depth < deepest, "{}: values are nested more than {} deep", where, deepest);
    if (event == Event::object_start) open.emplace_back();
    if (event == Event::object_end) open.pop_back();
    if (event == Event::key) {
      const auto& key = value.get_ref<const std::string&>();
      check(open.back().insert(key).second, "{}: \"{}\" is named twice", where, key);
    }
    return true;
  };
  try {
    return json::parse(text, look_at);
  } catch (const json::exception& error) {
    fail("{}: not JSON: {}", where, reason_of(error));
  }
}

json read_json_object(const std::filesystem::path& file) {
  auto root = parse_json(read_file(file), file.string());
  check(root.is_object(), "{}: expected an object, got {}", file.string(), root.type_name());
  return root;
}

}  // namespace vlalign
