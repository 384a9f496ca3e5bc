#include <malloc.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

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
  const bool fits =
      std::from_chars(text.data(), text.data() + text.size(), number).ec != std::errc::result_out_of_range;
  return fits ? "" : "expected a number up to " + std::to_string(std::numeric_limits<Whole>::max()) + ", got " + text;
}

void check_numbers(CLI::App& command) {
  for (auto* option : command.get_options()) {
    const auto type = option->get_type_name();
    if (type.starts_with("INT")) option->check(misfit_of<std::int64_t>);
    if (type.starts_with("UINT")) option->check(misfit_of<std::uint64_t>);
    if (type.starts_with("FLOAT")) option->check(vlalign::tool::not_empty);
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
  try {
    program.parse(words_of(argc, argv));
    return 0;
  } catch (const CLI::RuntimeError& status) {  // of the processes that a command has started
    return status.get_exit_code();
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
