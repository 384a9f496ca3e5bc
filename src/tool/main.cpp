#include <fmt/format.h>
#include <fmt/ranges.h>
#include <malloc.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "core/edit_distance.hpp"
#include "tool/commands.hpp"
#include "tool/help.hpp"
#include "tool/output.hpp"
#include "vlalign/core/version.hpp"

namespace {

constexpr int wrong_usage = 2;

/// Buffers of one step are those of the next: giving their pages back to the system and faulting them in again took 8%
/// of the quick start's time.
void keep_freed_memory() {
  constexpr int gigabyte = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, gigabyte);
  mallopt(M_TRIM_THRESHOLD, gigabyte);
}

/// What is wrong with a number, as CLI11's check() wants it: it would take no text for 0, one that is too large for the
/// largest, and -1 without a sign for the largest too.
template <typename Whole>
std::string misfit_of(const std::string& text) {
  if (text.empty()) return "expected a number, got none";
  if (std::is_unsigned_v<Whole> && text.starts_with('-')) return "expected 0 or more, got " + text;
  Whole number{};
  const auto* end = text.data() + text.size();
  const auto read = std::from_chars(text.data() + (text.front() == '+' ? 1 : 0), end, number);
  if (read.ec == std::errc::result_out_of_range)
    return "expected a number up to " + std::to_string(std::numeric_limits<Whole>::max()) + ", got " + text;
  return read.ec == std::errc() && read.ptr == end ? "" : "expected a whole number, got " + text;
}

void check_numbers(CLI::App& command) {
  for (auto* option : command.get_options()) {
    const auto type = option->get_type_name();
    if (type.starts_with("INT")) option->check(misfit_of<std::int64_t>);
    if (type.starts_with("UINT")) option->check(misfit_of<std::uint64_t>);
    if (type.starts_with("FLOAT")) option->check(vlalign::tool::a_number);
  }
  for (auto* below : command.get_subcommands({})) check_numbers(*below);
}

/// In the order in which CLI11 wants them: the last one first.
std::vector<std::string> words_of(int argc, char** argv) {
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  if (!words.empty() && words.front() == "train") {
    words = vlalign::tool::with_recipe_of_train({words.begin() + 1, words.end()});
    words.insert(words.begin(), "train");
  }
  std::reverse(words.begin(), words.end());
  return words;
}

/// The command that words lead to, the last word first. Throws CLI::ExtrasError that names a word that is none.
const CLI::App& command_of(const CLI::App& program, const std::vector<std::string>& words) {
  const auto* command = &program;
  for (auto word = words.rbegin(); word != words.rend() && !word->starts_with('-'); ++word) {
    const auto below = command->get_subcommands([](const CLI::App*) { return true; });
    if (below.empty()) break;
    const auto found = std::find_if(below.begin(), below.end(), [&](auto* each) { return each->check_name(*word); });
    if (found == below.end()) {
      std::vector<std::string> names;
      for (const auto* each : below) names.push_back(each->get_name());
      throw CLI::ExtrasError(
          fmt::format("{} is no command of {}; there are {}", *word, command->get_name(), fmt::join(names, ", ")),
          CLI::ExitCodes::ExtrasError);
    }
    command = *found;
  }
  return *command;
}

/// What is wrong with words that a command has no use for, the first that can be told.
std::string misfits_of(const CLI::App& command, const std::vector<std::string>& words) {
  if (command.get_name() == "launch")
    return "launch: -- comes before the command that all run: launch -n 2 -- train ...";
  const auto is_option = [](const std::string& word) { return word.size() > 2 && word.starts_with("--"); };
  const auto unknown = std::find_if(words.begin(), words.end(), is_option);
  if (unknown == words.end())
    return fmt::format("{}: nothing is expected at \"{}\"", command.get_name(), words.front());
  std::string nearest;
  const auto distance = [&](const std::string& name) { return vlalign::edit_distance(unknown->substr(2), name); };
  for (const auto* option : command.get_options())
    for (const auto& name : option->get_lnames())
      if (nearest.empty() || distance(name) < distance(nearest)) nearest = name;
  return fmt::format("{} has no {}; the nearest is --{}", command.get_name(), *unknown, nearest);
}

int run(int argc, char** argv) {
  CLI::App program{"Vision-language alignment: trains, evaluates and uses CLIP-like models.", "vlalign"};
  program.formatter(std::make_shared<vlalign::tool::Help>());
  program.require_subcommand(1);
  program.set_version_flag("--version", vlalign::version());
  using namespace vlalign::tool;
  for (const auto add :
       {add_train, add_launch, add_eval, add_zero_shot, add_linear_probe, add_embed, add_search, add_inspect,
        add_convert, add_export, add_quantize, add_interpolate, add_index, add_report, add_bench})
    add(program);
  check_numbers(program);
  const CLI::App* command = &program;
  try {
    auto words = words_of(argc, argv);
    command = &command_of(program, words);
    program.parse(std::move(words));
    return 0;
  } catch (const CLI::RuntimeError& status) {  // of the processes that a command has started
    return status.get_exit_code();
  } catch (const CLI::ExtrasError& error) {
    const auto left = command->remaining();
    const auto what = left.empty() ? std::string(error.what()) : misfits_of(*command, left);
    program.exit(CLI::ExtrasError(what, CLI::ExitCodes::ExtrasError));
    return wrong_usage;
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? 0 : wrong_usage;
  }
}

}  // namespace

int main(int argc, char** argv) {
  vlalign::tool::prepare_streams();
  keep_freed_memory();
  return vlalign::tool::exit_status_of([&] { return run(argc, argv); });
}
