#include "tool/held_out.hpp"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "eval/class_labels.hpp"
#include "tool/commands.hpp"
#include "vlalign/eval/retrieval.hpp"
#include "vlalign/eval/templates.hpp"
#include "vlalign/eval/zero_shot.hpp"
#include "vlalign/image/image.hpp"

namespace vlalign::tool {
namespace {

namespace fs = std::filesystem;

/// One set alone is "held_out" or "zero_shot", each of several is called as its file.
void name_the_nameless(std::vector<NamedData>& sets, const std::string& alone) {
  const auto nameless = std::count_if(sets.begin(), sets.end(), [](const auto& set) { return set.name.empty(); });
  for (auto& set : sets) {
    if (!set.name.empty()) continue;
    const auto file = fs::path(set.location);
    set.name = nameless == 1 ? alone : (file.has_filename() ? file : file.parent_path()).stem().string();
  }
}

/// What stands at the top of eval.json, and of the line that --json prints.
bool is_key(const std::string& name) {
  static const auto keys = [] {
    auto json = nlohmann::json::parse(to_json(RetrievalScores{}));
    for (const char* more : {"temperature", "steps", "loss", "seconds", "run"}) json[more] = 0;
    return json;
  }();
  return keys.contains(name);
}

void check_names(const std::vector<NamedData>& sets) {
  for (auto set = sets.begin(); set != sets.end(); ++set) {
    check(!is_key(set->name), "{0} {1}={2}: \"{1}\" is a key of eval.json; choose another name", set->flag, set->name,
          set->location);
    const auto same = std::find_if(sets.begin(), set, [&](const auto& other) { return other.name == set->name; });
    check(same == set, "{}: \"{}\" names both {} and {}; give each a name of its own, as NAME=DATA", set->flag,
          set->name, same->location, set->location);
  }
}

/// Throws Error unless one of the first pictures can be read.
void check_readable(const NamedData& set, const PairSource& pairs) {
  constexpr std::int64_t tries = 10;
  std::string why;
  for (std::int64_t i = 0; i < std::min(tries, pairs.size()); ++i) {
    try {
      const auto pair = pairs.read(i);
      decode_image(pair.image, pair.name);
      return;
    } catch (const Error& error) {
      if (why.empty()) why = error.what();
    }
  }
  fail("{} {}: none of the first {} pictures can be read: {}", set.flag, set.location, std::min(tries, pairs.size()),
       why);
}

std::vector<NamedData> named_sets(const std::string& flag, const std::vector<std::string>& texts,
                                  const std::string& alone) {
  std::vector<NamedData> sets;
  for (const auto& text : texts) sets.push_back(split_name(flag, text));
  name_the_nameless(sets, alone);
  return sets;
}

std::shared_ptr<const PairSource> open_set(const NamedData& set, const PairOptions& columns) {
  auto pairs = open_pairs(set.location, columns);
  check_readable(set, *pairs);
  return pairs;
}

void check_count(const char* flag, std::size_t count, std::size_t sets) {
  check(count <= 1 || count == sets, "{}: expected one for all of the {} --zero-shot sets, or one each, got {}", flag,
        sets, count);
}

/// Of the set: its own, the one for all, or none.
std::string one_of(const std::vector<std::string>& texts, std::size_t set) {
  return texts.empty() ? "" : texts[texts.size() == 1 ? 0 : set];
}

}  // namespace

NamedData split_name(const std::string& flag, const std::string& text) {
  const auto equals = text.find('=');
  if (equals == text.npos || is_there(text) || text.find_first_of("/:") < equals) return {flag, "", text};
  check(equals > 0, "{} {}: expected NAME=DATA, got no name", flag, text);
  return {flag, text.substr(0, equals), text.substr(equals + 1)};
}

std::vector<std::string> read_templates(const std::string& name) {
  if (name.empty()) return default_templates();
  const auto lists = template_lists();
  return std::find(lists.begin(), lists.end(), name) == lists.end() ? read_lines(name) : templates(name);
}

HeldOut open_held_out(const HeldOutFlags& flags, const PairOptions& columns) {
  check(flags.notes.size() <= flags.pairs.size(), "--val-note: expected at most one for each --val, got {} for {}",
        flags.notes.size(), flags.pairs.size());
  check(flags.zero_shot.empty() || !flags.classes.empty(), "--zero-shot: name the file of its classes with --classes");
  check_count("--classes", flags.classes.size(), flags.zero_shot.size());
  check_count("--templates", flags.templates.size(), flags.zero_shot.size());
  const auto pairs = named_sets("--val", flags.pairs, "held_out");
  const auto zero_shot = named_sets("--zero-shot", flags.zero_shot, "zero_shot");
  auto all = pairs;
  all.insert(all.end(), zero_shot.begin(), zero_shot.end());
  check_names(all);
  HeldOut sets;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    sets.pairs.push_back({.name = pairs[i].name,
                          .note = i < flags.notes.size() ? flags.notes[i] : "",
                          .pairs = open_set(pairs[i], columns)});
  }
  for (std::size_t i = 0; i < zero_shot.size(); ++i) {
    sets.classes.push_back({.name = zero_shot[i].name,
                            .pairs = open_set(zero_shot[i], columns),
                            .classes = read_lines(one_of(flags.classes, i)),
                            .templates = read_templates(one_of(flags.templates, i))});
    const auto& set = sets.classes.back();
    class_labels(*set.pairs, set.classes);
    class_prompts(set.classes.front(), set.templates);
  }
  return sets;
}

}  // namespace vlalign::tool
