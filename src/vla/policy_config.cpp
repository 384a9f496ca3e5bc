#include "vla/policy_config.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/check.hpp"
#include "core/finite.hpp"
#include "core/io/files.hpp"
#include "core/json/json_section.hpp"
#include "core/json/parse_json.hpp"
#include "vla/check_shape.hpp"

namespace vlalign::vla {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json json_of_second(const PolicyConfig& c) {
  return {{"image_size", c.second_tower->config().preprocess.image_size}, {"layer", c.second_layer}};
}

json json_of(const PolicyConfig& c) {
  auto phrases = json::array();
  for (const auto& phrase : c.phrases) phrases.push_back({{"text", phrase.text}, {"actions", phrase.actions}});
  return {{"fusion", c.fusion},
          {"head", c.head},
          {"fusion_options", c.fusion_options},
          {"head_options", c.head_options},
          {"horizon", c.actions.horizon},
          {"action_dims", c.actions.dims},
          {"state_dims", c.state},
          {"width", c.width},
          {"maps", c.maps},
          {"film", c.film},
          {"weighted", c.weighted},
          {"phrases", phrases},
          {"state_mean", c.state_mean},
          {"state_std", c.state_std},
          {"action_low", c.action_low},
          {"action_high", c.action_high},
          {"second_tower", c.second_tower ? json_of_second(c) : json()}};
}

/// Policies of before there were second towers say nothing of one.
void read_second_tower(JsonSection& root, const fs::path& folder, PolicyConfig& c) {
  if (!root.has("second_tower")) return;
  auto second = root.section("second_tower");
  c.second_layer = second.require<std::int64_t>("layer");
  c.second_tower = ImageTower::load(folder / second_folder, static_cast<int>(second.require_positive("image_size")));
}

/// A list is one number for each of `count`, or empty.
void check_numbers(const std::vector<float>& numbers, std::int64_t count, const std::string& where, const char* what) {
  check(numbers.empty() || std::ssize(numbers) == count, "{} {}: expected {} numbers, got {}", where, what, count,
        numbers.size());
  check(all_finite(numbers), "{} {}: expected finite numbers, got {}", where, what, numbers);
}

/// low[i] < high[i], and the way from one to the other a float.
bool is_range(const PolicyConfig& c) {
  for (std::size_t i = 0; i < static_cast<std::size_t>(c.actions.dims); ++i) {
    const float low = c.action_low.empty() ? -1 : c.action_low[i], high = c.action_high.empty() ? 1 : c.action_high[i];
    if (!(high > low) || !std::isfinite(high - low)) return false;
  }
  return true;
}

void check_phrases(const PolicyConfig& c, const std::string& where) {
  for (const auto& phrase : c.phrases) {
    check(std::ssize(phrase.actions) == c.actions.horizon * c.actions.dims,
          "{} phrase \"{}\": expected {} x {} actions, got {}", where, phrase.text, c.actions.horizon, c.actions.dims,
          phrase.actions.size());
    check(all_finite(phrase.actions), "{} phrase \"{}\": expected finite actions, got {}", where, phrase.text,
          phrase.actions);
  }
}

}  // namespace

std::string to_json(const PolicyConfig& config) {
  try {
    return json_of(config).dump(2);
  } catch (const json::exception&) {
    fail("[Policy] config: expected UTF-8 in fusion, head and phrases");
  }
}

void check_config(const PolicyConfig& c, const std::string& where) {
  const auto size = [&](const char* what, std::int64_t given, std::int64_t least) {
    check(given >= least && given <= largest_size, "{} {}: expected {} to {}, got {}", where, what, least, largest_size,
          given);
  };
  size("actions.horizon", c.actions.horizon, 1);
  size("actions.dims", c.actions.dims, 1);
  size("state", c.state, 0);
  size("width", c.width, 1);
  check_numbers(c.state_mean, c.state, where, "state_mean");
  check_numbers(c.state_std, c.state, where, "state_std");
  check_numbers(c.action_low, c.actions.dims, where, "action_low");
  check_numbers(c.action_high, c.actions.dims, where, "action_high");
  const bool deviates = std::all_of(c.state_std.begin(), c.state_std.end(), [](float x) { return x > 0; });
  check(deviates && is_range(c), "{} expected action_high above action_low and state_std above 0 everywhere", where);
  check_phrases(c, where);
  to_json(c);
}

PolicyConfig read_policy_config(const fs::path& file) {
  const auto value = parse_json(read_file(file), file.string());
  JsonSection section(value, file.string());
  PolicyConfig c;
  c.fusion = section.require<std::string>("fusion");
  c.head = section.require<std::string>("head");
  c.fusion_options = section.get("fusion_options", PartOptions());
  c.head_options = section.get("head_options", PartOptions());
  c.actions = {.horizon = section.require_positive("horizon"), .dims = section.require_positive("action_dims")};
  c.state = section.require<std::int64_t>("state_dims");
  c.width = section.require_positive("width");
  c.maps = section.require<std::vector<std::int64_t>>("maps");
  c.film = section.require<std::vector<std::int64_t>>("film");
  c.weighted = section.require<bool>("weighted");
  c.state_mean = section.require<std::vector<float>>("state_mean");
  c.state_std = section.require<std::vector<float>>("state_std");
  c.action_low = section.require<std::vector<float>>("action_low");
  c.action_high = section.require<std::vector<float>>("action_high");
  for (const auto& phrase : section.require<std::vector<json>>("phrases")) {
    JsonSection one(phrase, file.string() + ".phrases");
    c.phrases.push_back({one.require<std::string>("text"), one.require<std::vector<float>>("actions")});
  }
  check_config(c, file.string() + ":");
  read_second_tower(section, file.parent_path(), c);
  return c;
}

}  // namespace vlalign::vla
