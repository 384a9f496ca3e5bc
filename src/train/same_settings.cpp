#include "train/same_settings.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "core/check.hpp"
#include "core/json/dump_json.hpp"
#include "core/json/parse_json.hpp"
#include "core/log.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

constexpr auto identity_key = "identity";

/// "cuda:1" to "cuda".
std::string kind_of_device(const json& device) {
  if (!device.is_string()) return {};
  const auto name = device.get<std::string>();
  return name.substr(0, name.find(':'));
}

/// What a setting was before there was a choice.
json as_of_old(const std::string& key) {
  if (key == "ranks") return 1;
  if (key == "shuffle_block") return 0;
  if (key == "non_finite") return "skip";
  if (key == "optimizer") return "adamw";
  if (key == "schedule") return "cosine";
  return key == "sync_batch_norm" || key == "shard_optimizer" || key == "replacement" ? json(false) : json();
}

/// What a difference in this setting does.
enum class Effect { other_run, other_roundings, longer, none };

Effect effect_of(const std::string& key, const json& was, const json& now, bool has_identity) {
  if (key == "data" && has_identity) return Effect::none;  // its names and captions are compared
  if (key == "shard_optimizer" || key == "non_finite") return Effect::none;
  if (key == "threads" || key == "ranks" || key == "micro_batch") return Effect::other_roundings;
  if (key == "device") return kind_of_device(was) == kind_of_device(now) ? Effect::none : Effect::other_roundings;
  return Effect::other_run;
}

/// A line for each value that differs, those of objects under their keys' names.
std::vector<std::string> differences_of(const std::string& key, const json& was, const json& now) {
  if (was == now) return {};
  if (!was.is_object() || !now.is_object() || was.empty() || now.empty())
    return {fmt::format("{} was {}, is now {}", key, dump_readable(was), dump_readable(now))};
  std::set<std::string> keys;
  for (const auto* object : {&was, &now})
    for (const auto& [part, value] : object->items()) keys.insert(part);
  std::vector<std::string> lines;
  for (const auto& part : keys) {
    auto parts = differences_of(key + "." + part, was.value(part, json()), now.value(part, json()));
    std::move(parts.begin(), parts.end(), std::back_inserter(lines));
  }
  return lines;
}

class Comparison {
 public:
  Comparison(const json& before, bool has_checkpoint)
      : before_(before), has_identity_(before.contains(identity_key)), has_checkpoint_(has_checkpoint) {}

  void settings(const json& now) {
    const bool is_longer = now.value("steps", std::int64_t{0}) > before_.value("steps", std::int64_t{0});
    for (const auto& [key, value] : now.items()) {
      if (key == identity_key) continue;
      const auto was = before_.value(key, as_of_old(key));
      if (was == value) continue;
      const bool by_length = is_longer && (key == "steps" || (key == "warmup" && is_share(was, value, now)));
      add(key, was, value, by_length ? Effect::longer : effect_of(key, was, value, has_identity_));
    }
  }

  void identity(const json& now) {
    if (!has_identity_) return;
    for (const auto& [key, value] : now.items()) {
      if (key == "start_weights" && has_checkpoint_) continue;
      const auto& known = before_.at(identity_key);
      const auto was = known.is_object() ? known.value(key, json()) : json();
      if (was != value) add(key, was, value, both_told(was, value) ? Effect::other_run : Effect::none);
    }
  }

  std::vector<std::string> other_run, other_roundings, longer, none;

 private:
  /// Whether two warm-ups are the same share of their runs, or a tenth and at most 2,000 steps, as they are by default.
  bool is_share(const json& was, const json& is, const json& now) const {
    if (!was.is_number_integer() || !is.is_number_integer()) return false;
    const auto before = before_.value("steps", std::int64_t{0}), after = now.value("steps", std::int64_t{0});
    const auto first = was.get<std::int64_t>(), second = is.get<std::int64_t>();
    const auto usual = [](std::int64_t steps) { return std::min<std::int64_t>(2000, steps / 10); };
    const auto gap = static_cast<double>(first) * static_cast<double>(after) -
                     static_cast<double>(second) * static_cast<double>(before);
    return (first == usual(before) && second == usual(after)) || std::abs(gap) <= static_cast<double>(after);
  }

  /// Not where shards' records were but counted, by another program: then nothing is known of their captions.
  static bool both_told(const json& was, const json& now) {
    const auto counted = [](const json& print) {
      return print.is_string() && print.get_ref<const std::string&>().starts_with("counted ");
    };
    return counted(was) == counted(now);
  }

  void add(const std::string& key, const json& was, const json& now, Effect effect) {
    const std::map<Effect, std::vector<std::string>*> lines_of{{Effect::other_run, &other_run},
                                                               {Effect::other_roundings, &other_roundings},
                                                               {Effect::longer, &longer},
                                                               {Effect::none, &none}};
    auto& lines = *lines_of.at(effect);
    const auto differences = differences_of(key, was, now);
    constexpr std::size_t most = 6;
    lines.insert(lines.end(), differences.begin(), differences.begin() + std::min(most, differences.size()));
    if (differences.size() > most) lines.push_back(fmt::format("and {} more of {}", differences.size() - most, key));
  }

  const json& before_;
  bool has_identity_, has_checkpoint_;
};

///   instead: of the place where the other run is
Comparison compare(const json& before, const std::string& name, const json& now, bool has_checkpoint,
                   const char* instead) {
  Comparison found(before, has_checkpoint);
  found.settings(now);
  found.identity(now.value(identity_key, json::object()));
  check(found.other_run.empty(), "{}: cannot resume a run of other settings: {}; use the old settings or another {}",
        name, fmt::join(found.other_run, "; "), instead);
  return found;
}

}  // namespace

void check_mirrors_same_run(const json& before, const std::string& name, const json& now, bool has_checkpoint) {
  compare(before, name, now, has_checkpoint, "mirror");
}

json check_same_settings(const std::filesystem::path& config, const json& now, bool has_checkpoint) {
  const auto file = config.string();
  const auto before = read_json_object(config);
  const auto found = compare(before, file, now, has_checkpoint, "run folder");
  if (!found.none.empty()) log_info("resumed all the same: {}", fmt::join(found.none, "; "));
  if (!found.longer.empty())
    log_info("{}: from here on the learning rate is that of a run of this length", fmt::join(found.longer, "; "));
  if (!found.other_roundings.empty())
    log_warning("{}: the bits may differ from those of a run that never stopped",
                fmt::join(found.other_roundings, "; "));
  const bool has_identity = before.contains(identity_key);
  if (!has_identity)
    log_warning(
        "{}: an older version began this run; whether captions, tokenizer and the loss's options are the same "
        "can't be told",
        file);
  auto written = now;
  written.erase(identity_key);
  if (has_identity) written[identity_key] = before.at(identity_key);
  return written;
}

}  // namespace vlalign
