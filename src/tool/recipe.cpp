#include "tool/recipe.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/check.hpp"
#include "core/edit_distance.hpp"
#include "core/io/files.hpp"
#include "core/json/dump_json.hpp"
#include "core/json/parse_json.hpp"
#include "core/json/python_json.hpp"
#include "tool/help.hpp"
#include "tool/recipe_places.hpp"

namespace vlalign::tool {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Said at each call, and no part of a recipe.
const std::set<std::string> of_the_call{"help", "help-all", "recipe", "resume"};

/// What is about another flag, and goes where that is given anew.
const std::map<std::string, std::vector<std::string>> belongings{
    {"val", {"val-note"}}, {"optimizer", {"weight-decay", "beta1", "beta2", "momentum"}}, {"schedule", {"cooldown"}}};

std::string long_name(const CLI::Option& option) {
  return option.get_lnames().empty() ? "" : option.get_lnames().front();
}

std::string key_of(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

const CLI::Option& option_of(const CLI::App& command, const std::string& key, const std::string& file) {
  auto name = key;
  std::replace(name.begin(), name.end(), '_', '-');
  std::string nearest;
  for (const auto* option : command.get_options()) {
    const auto known = long_name(*option);
    if (known.empty() || of_the_call.contains(known)) continue;
    if (known == name) return *option;
    if (nearest.empty() || edit_distance(name, known) < edit_distance(name, nearest)) nearest = known;
  }
  check(!of_the_call.contains(name), "{}: \"{}\" is said where the program is called, not in a recipe", file, key);
  fail("{}: \"{}\" is no flag of train; the nearest is \"{}\"", file, key, key_of(nearest));
}

/// What an option takes, as a recipe has it.
enum class Kind { truth, whole_number, number, text, text_or_number };

Kind kind_of(const CLI::Option& option) {
  if (is_flag(option)) return Kind::truth;
  const auto type = option.get_type_name();
  if (type.starts_with("INT") || type.starts_with("UINT")) return Kind::whole_number;
  if (type.starts_with("FLOAT")) return Kind::number;
  return type.starts_with("TEXT") ? Kind::text : Kind::text_or_number;
}

bool fits(const json& value, Kind kind) {
  switch (kind) {
    case Kind::truth:
      return value.is_boolean();
    case Kind::whole_number:
      return value.is_number_integer();
    case Kind::number:
      return value.is_number();
    case Kind::text:
      return value.is_string();
    case Kind::text_or_number:
      return value.is_string() || value.is_number();
  }
  return false;
}

const char* expected(Kind kind) {
  constexpr std::array words{"true or false", "a whole number", "a number", "a text", "a text or a number"};
  return words[static_cast<std::size_t>(kind)];
}

/// The words that give an option its value. One that is empty can't stand behind "=".
void add_words(std::vector<std::string>& words, const CLI::Option& option, const json& value,
               const std::string& where) {
  const auto flag = "--" + long_name(option);
  const auto kind = kind_of(option);
  const bool several = option.get_items_expected_max() > 1, without_value = option.get_expected_min() == 0;
  if (several && value.is_array()) {
    for (const auto& one : value) {
      check(!one.is_array(), "{}: expected one list, got lists in it", where);
      add_words(words, option, one, where);
    }
  } else if (kind != Kind::truth && without_value && value == true) {
    words.push_back(flag);
  } else {
    check(fits(value, kind), "{}: expected {}{}, got {}", where, expected(kind), several ? ", or a list of such" : "",
          shown(value));
    const auto text = value.is_string() ? value.get<std::string>() : value.dump();
    words.push_back(text.empty() ? flag : flag + "=" + text);
    if (text.empty()) words.push_back(text);
  }
}

/// Whether the command line has something in place of what a recipe says of an option.
bool is_replaced(const CLI::App& command, const CLI::Option& option) {
  if (option.count() > 0) return true;
  const auto& others = option.get_excludes();
  if (std::any_of(others.begin(), others.end(), [](const auto* other) { return other->count() > 0; })) return true;
  return std::any_of(belongings.begin(), belongings.end(), [&](const auto& each) {
    const auto& [owner, owned] = each;
    return std::find(owned.begin(), owned.end(), long_name(option)) != owned.end() &&
           command.get_option("--" + owner)->count() > 0;
  });
}

std::vector<std::string> words_of(const fs::path& file, const CLI::App& command) {
  const auto recipe = parse_json(read_text_or_pipe(file), file.string());
  check(recipe.is_object(), "{}: expected an object, got {}", file.string(), recipe.type_name());
  std::vector<std::string> words;
  std::set<const CLI::Option*> said;
  for (const auto& [key, value] : recipe.items()) {
    const auto where = fmt::format("{}: \"{}\"", file.string(), key);
    if (key == "about") {
      check(value.is_string(), "{}: expected a text, got {}", where, shown(value));
      continue;
    }
    const auto& option = option_of(command, key, file.string());
    check(said.insert(&option).second, "{} stands twice, with _ and with -", where);
    std::vector<std::string> own;  // what can't be is said of a value that counts for nothing, too
    add_words(own, option, value, where);
    if (!is_replaced(command, option)) words.insert(words.end(), own.begin(), own.end());
  }
  return words;
}

/// Where an option is missing the recipe may have it.
void ask_for_nothing(CLI::App& command) {
  for (auto* option : command.get_options()) {
    option->required(false);
    for (auto* other : std::set(option->get_needs())) option->remove_needs(other);
  }
}

std::string first_value(const CLI::App& command, const char* flag) {
  const auto& results = command.get_option(flag)->results();
  return results.empty() ? "" : results.front();
}

fs::path recipe_in(const fs::path& run) {
  check(is_folder(run), "--resume {}: there is no such run folder", run.string());
  const auto file = run / "recipe.json";
  check(is_there(file),
        "--resume {0}: has no recipe.json, as runs of older versions: say its flags again, with --out {0} --resume",
        run.string());
  return file;
}

template <typename Number>
json as_read(const std::string& text) {
  Number number{};
  return CLI::detail::lexical_cast(text, number) ? json(number) : json(text);
}

json json_of(const CLI::Option& option, const std::string& text) {
  const auto kind = kind_of(option);
  if (kind == Kind::truth) return text == "true";
  if (kind == Kind::text) return absolute_place(long_name(option), text);
  if (kind == Kind::text_or_number && text.find_first_not_of("0123456789") != text.npos) return text;  // "30min"
  if (kind == Kind::number) return as_read<double>(text);
  return text.starts_with('-') ? as_read<std::int64_t>(text) : as_read<std::uint64_t>(text);
}

}  // namespace

std::vector<std::string> with_recipe(CLI::App& command, const std::vector<std::string>& words) {
  ask_for_nothing(command);
  try {
    command.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::Success&) {  // help
    return words;
  }
  const auto file = first_value(command, "--recipe"), run = first_value(command, "--resume"),
             out = first_value(command, "--out");
  if (file.empty() && run.empty()) return words;
  for (const char* flag : {"--init", "--model"})
    check(run.empty() || first_value(command, flag).empty(),
          "--resume {0}: goes on with the weights of its checkpoint; {1} begins another run, with an --out of its own",
          run, flag);
  auto all = words_of(file.empty() ? recipe_in(run) : fs::path(file), command);
  check(run.empty() || out.empty() || out == run, "--resume {}: goes on there, and --out names {}", run, out);
  if (!run.empty() && out.empty()) all.push_back("--out=" + run);
  all.insert(all.end(), words.begin(), words.end());
  return all;
}

std::string recipe_of(const CLI::App& command) {
  const bool steps = command.get_option("--steps")->count() > 0;
  const std::set<std::string> always{"seed", "batch-size", "lr", steps ? "steps" : "epochs"};
  json recipe = json::object();
  for (const auto* option : command.get_options()) {
    const auto name = long_name(*option);
    if (name.empty() || of_the_call.contains(name) || name == "out" || name == "json") continue;
    const bool given = option->count() > 0;
    if (!given && !always.contains(name)) continue;
    if (option->get_items_expected_max() > 1) {
      for (const auto& text : option->results()) recipe[key_of(name)].push_back(json_of(*option, text));
    } else {
      recipe[key_of(name)] = json_of(*option, given ? option->results().back() : option->get_default_str());
    }
  }
  return dump_json(recipe, 2, "recipe.json") + "\n";
}

}  // namespace vlalign::tool
