#include "report/run_record.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/check.hpp"
#include "core/io/file_descriptor.hpp"
#include "core/io/files.hpp"
#include "core/json/parse_json.hpp"
#include "eval/figures_json.hpp"
#include "eval/metrics_line.hpp"
#include "eval/new_lines.hpp"
#include "report/shown_numbers.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Throws Error unless the folder has what every run begins with.
json settings_of(const fs::path& folder) {
  check(is_folder(folder), "{}: is no run folder: there is no such folder", folder.string());
  const auto config = folder / "config.json";
  check(is_there(config), "{}: is no run folder: it has no config.json", folder.string());
  auto settings = read_json_object(config);
  check(settings.contains("steps") && settings.contains("batch_size"),
        "{}: is no run folder: its config.json holds no steps and batch_size", folder.string());
  return settings;
}

void add_settings(const json& object, const std::string& prefix, std::map<std::string, std::string>& settings) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_object()) {
      add_settings(value, prefix + key + ".", settings);
    } else if (value.is_string()) {
      settings[prefix + key] = value.get<std::string>();
    } else {
      settings[prefix + key] = value.is_null() ? "none" : value.dump();
    }
  }
}

/// Those of "interval95", [low, high] each.
void add_intervals(const json& object, const std::string& prefix, std::map<std::string, Interval>& intervals) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_object()) add_intervals(value, prefix + key + ".", intervals);
    if (value.is_array() && value.size() == 2 && value[0].is_number() && value[1].is_number())
      intervals[prefix + key] = {value[0].get<double>(), value[1].get<double>()};
  }
}

bool is_test(const json& value) { return value.is_object() && (value.contains("pairs") || value.contains("images")); }

FinalTest test_of(std::string name, const json& figures) {
  FinalTest test{.name = std::move(name), .figures = figures_of(figures), .intervals = {}};
  if (figures.contains("interval95") && figures["interval95"].is_object())
    add_intervals(figures["interval95"], "", test.intervals);
  return test;
}

/// The first test's figures stand at the top of eval.json, those of each other under its name.
std::vector<FinalTest> tests_of(const json& eval) {
  std::vector<FinalTest> tests;
  json own = json::object();
  for (const auto& [key, value] : eval.items())
    if (!is_test(value)) own[key] = value;
  if (is_test(own)) tests.push_back(test_of("", own));
  for (const auto& [key, value] : eval.items())
    if (is_test(value)) tests.push_back(test_of(key, value));
  return tests;
}

/// Gives each test what came of its queries; the nameless one is the first that no other is named as.
void add_outcomes(std::vector<FinalTest>& tests, std::vector<TestOutcome> outcomes) {
  for (auto& outcome : outcomes) {
    auto test = std::find_if(tests.begin(), tests.end(), [&](const auto& t) { return t.name == outcome.name; });
    if (test == tests.end())
      test = std::find_if(tests.begin(), tests.end(), [](const auto& t) { return t.name.empty(); });
    if (test == tests.end()) continue;
    test->name = outcome.name;
    test->outcome = std::move(outcome);
  }
}

/// Whether a process is training there: it holds the folder's lock.
bool is_training(const fs::path& folder) {
  const FileDescriptor open(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return open && ::flock(open.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

std::string state_of(const fs::path& folder, const json& settings, const TrainingCurves& training) {
  const auto step = training.loss.empty() ? 0 : static_cast<std::int64_t>(training.loss.points().back().step);
  const auto done = with_thousands(step);
  if (!settings["steps"].is_number()) return "behind step " + done;
  const auto steps = settings["steps"].get<std::int64_t>();
  if (is_training(folder)) return fmt::format("running, step {} of {}", done, with_thousands(steps));
  if (is_there(folder / "model")) return fmt::format("done, {} step{}", done, step == 1 ? "" : "s");
  return fmt::format("ended behind step {} of {}", done, with_thousands(steps));
}

/// Does what reads a file of a run, and lists it as missing where it isn't there or can't be read.
void try_to_read(const fs::path& file, std::vector<std::string>& missing, const std::function<void()>& read) {
  if (!is_there(file)) {
    missing.push_back(file.filename().string() + " isn't there");
    return;
  }
  try {
    read();
  } catch (const Error& error) {
    missing.emplace_back(error.what());
  }
}

}  // namespace

RunRecord read_run(const fs::path& folder) {
  const auto settings = settings_of(folder);
  RunRecord run;
  add_settings(settings, "", run.settings);
  const auto metrics = folder / "metrics.jsonl", validation = folder / "validation.jsonl";
  const auto eval = folder / "eval.json", outcomes = folder / "eval.safetensors";
  try_to_read(metrics, run.missing, [&] {
    NewLines(metrics).read([&](auto line, int number) { run.training.add(parse_metrics_line(line, metrics, number)); });
  });
  try_to_read(validation, run.missing, [&] { run.validations = read_validations(validation); });
  try_to_read(eval, run.missing, [&] { run.tests = tests_of(read_json_object(eval)); });
  try_to_read(outcomes, run.missing, [&] { add_outcomes(run.tests, read_outcomes(outcomes)); });
  run.state = state_of(folder, settings, run.training);
  return run;
}

std::vector<std::string> names_of(const std::vector<fs::path>& folders) {
  std::vector<fs::path> whole, rest;
  for (const auto& folder : folders) {
    auto path = fs::absolute(folder).lexically_normal();
    if (!path.has_filename()) path = path.parent_path();
    whole.push_back(path);
  }
  std::vector<fs::path> names;
  for (const auto& path : whole) {
    names.push_back(path.filename());
    rest.push_back(path.parent_path());
  }
  for (bool changed = true; changed;) {
    changed = false;
    const auto before = names;
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (std::count(before.begin(), before.end(), before[i]) < 2 || !rest[i].has_filename()) continue;
      names[i] = rest[i].filename() / names[i];
      rest[i] = rest[i].parent_path();
      changed = true;
    }
  }
  std::vector<std::string> texts;
  for (const auto& name : names) texts.push_back(name.empty() ? "/" : name.string());
  return texts;
}

}  // namespace vlalign
