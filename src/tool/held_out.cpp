#include "tool/held_out.hpp"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "vlalign/eval/retrieval.hpp"
#include "vlalign/image/image.hpp"

namespace vlalign::tool {
namespace {

namespace fs = std::filesystem;

struct Spec {
  std::string name, location;
};

/// A path may hold "=" too: what is there as it stands is no name with its data, nor is what has a slash or a colon in
/// front of it.
Spec split(const std::string& spec) {
  const auto equals = spec.find('=');
  if (equals == spec.npos || is_there(spec) || spec.find_first_of("/:") < equals) return {"", spec};
  check(equals > 0, "--val {}: expected NAME=DATA, got no name", spec);
  return {spec.substr(0, equals), spec.substr(equals + 1)};
}

/// One set alone is "held_out", each of several is called as its file.
void name_the_nameless(std::vector<Spec>& specs) {
  const auto nameless = std::count_if(specs.begin(), specs.end(), [](const Spec& s) { return s.name.empty(); });
  for (auto& spec : specs) {
    if (!spec.name.empty()) continue;
    const auto file = fs::path(spec.location);
    spec.name = nameless == 1 ? "held_out" : (file.has_filename() ? file : file.parent_path()).stem().string();
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

void check_names(const std::vector<Spec>& specs) {
  for (auto spec = specs.begin(); spec != specs.end(); ++spec) {
    check(!is_key(spec->name), "--val {0}={1}: \"{0}\" is a key of eval.json; choose another name", spec->name,
          spec->location);
    const auto same = std::find_if(specs.begin(), spec, [&](const Spec& s) { return s.name == spec->name; });
    check(same == spec, "--val: \"{}\" names both {} and {}; give each a name of its own, as NAME=DATA", spec->name,
          same->location, spec->location);
  }
}

/// Throws Error unless one of the first pictures can be read.
void check_readable(const Spec& spec, const PairSource& pairs) {
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
  fail("--val {}: none of the first {} pictures can be read: {}", spec.location, std::min(tries, pairs.size()), why);
}

}  // namespace

std::vector<HeldOutSet> open_held_out(const std::vector<std::string>& specs, const std::vector<std::string>& notes,
                                      const PairOptions& columns) {
  check(notes.size() <= specs.size(), "--val-note: expected at most one for each --val, got {} for {}", notes.size(),
        specs.size());
  std::vector<Spec> named;
  for (const auto& spec : specs) named.push_back(split(spec));
  name_the_nameless(named);
  check_names(named);
  std::vector<HeldOutSet> sets;
  for (const auto& spec : named) {
    HeldOutSet set{.name = spec.name, .note = {}, .pairs = open_pairs(spec.location, columns)};
    if (sets.size() < notes.size()) set.note = notes[sets.size()];
    check_readable(spec, *set.pairs);
    sets.push_back(std::move(set));
  }
  return sets;
}

nlohmann::ordered_json eval_json(std::span<const ReportTest> tests, std::span<const HeldOutSet> sets) {
  auto json = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < tests.size(); ++i) {
    auto scores = nlohmann::ordered_json::parse(to_json(tests[i].scores));
    (i == 0 ? json : json[sets[i].name]) = std::move(scores);
  }
  return json;
}

}  // namespace vlalign::tool
