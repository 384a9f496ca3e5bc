#include "data/sources/json_captions.hpp"

#include <nlohmann/json.hpp>

#include "core/ascii.hpp"
#include "core/check.hpp"
#include "core/json/python_json.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

void add_caption(std::vector<std::string>& captions, const json& value, const std::string& key) {
  if (value.is_null()) return;
  if (!value.is_string()) fail("\"{}\" must be a string or a list of strings, {} is none", key, shown(value));
  const auto& caption = value.get_ref<const std::string&>();
  if (!trim(caption).empty()) captions.push_back(caption);
}

}  // namespace

std::vector<std::string> find_captions(const json& record, const std::string& key) {
  std::vector<std::string> captions;
  const auto value = record.find(key);
  if (value == record.end()) return captions;
  if (value->is_array()) {
    for (const auto& one : *value) add_caption(captions, one, key);
  } else {
    add_caption(captions, *value, key);
  }
  return captions;
}

std::vector<std::string> captions_of(const json& record, const std::string& key) {
  check(record.contains(key), "no \"{}\"", key);
  auto captions = find_captions(record, key);
  check(!captions.empty(), "\"{}\" is empty", key);
  return captions;
}

}  // namespace vlalign
