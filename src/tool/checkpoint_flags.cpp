#include "tool/checkpoint_flags.hpp"

#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>

#include "remote/s3.hpp"
#include "tool/commands.hpp"

namespace vlalign::tool {
namespace {

struct CheckpointInterval {
  std::int64_t steps = 0;
  double minutes = 0;
};

template <typename Number>
std::optional<Number> positive(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool fits = error == std::errc() && end == text.data() + text.size() && number > 0;
  return fits && std::isfinite(static_cast<double>(number)) ? std::optional(number) : std::nullopt;
}

/// "500" or "30min".
std::optional<CheckpointInterval> interval_of(std::string_view text) {
  constexpr std::string_view unit = "min";
  if (!text.ends_with(unit)) {
    const auto steps = positive<std::int64_t>(text);
    return steps ? std::optional(CheckpointInterval{.steps = *steps, .minutes = 0}) : std::nullopt;
  }
  const auto minutes = positive<double>(text.substr(0, text.size() - unit.size()));
  return minutes ? std::optional(CheckpointInterval{.steps = 0, .minutes = *minutes}) : std::nullopt;
}

std::string misfit_of_interval(const std::string& text) {
  return interval_of(text) ? "" : "expected steps, such as 500, or minutes, such as 30min, got \"" + text + "\"";
}

}  // namespace

void add_checkpoint_flags(CLI::App& command, TrainerOptions& options) {
  auto& checkpoints = options.checkpoints;
  command
      .add_option_function<std::string>(
          "--checkpoint-every",
          [&checkpoints](const std::string& text) {
            const auto interval = interval_of(text).value_or(CheckpointInterval{});
            checkpoints.every = interval.steps;
            checkpoints.every_minutes = interval.minutes;
          },
          "Steps, or minutes as 30min, between checkpoints; only behind the last step without it")
      ->type_name("N|Nmin")
      ->check(misfit_of_interval);
  auto* last = command
                   .add_option("--keep-last", checkpoints.keep_last,
                               "How many of the newest checkpoints are kept; all without it")
                   ->check(above_zero);
  command.add_option("--keep-every", checkpoints.keep_every, "Those of steps that divide by this are kept too")
      ->check(above_zero)
      ->needs(last);
  command
      .add_option_function<std::string>(
          "--disk-full", [&checkpoints](const std::string& what) { checkpoints.stop_on_full_disk = what == "stop"; },
          "Where a checkpoint doesn't fit on the disk: the run goes on and tries again, or ends")
      ->check(CLI::IsMember({"go-on", "stop"}))
      ->default_str("go-on");
  command
      .add_option_function<std::string>(
          "--non-finite", [&options](const std::string& name) { options.non_finite = parse_non_finite(name); },
          "Where a step's loss or gradient isn't finite: leave the step out, end the run, or go back to the last "
          "checkpoint and pass over the batches since then")
      ->check(CLI::IsMember({"skip", "stop", "rewind"}))
      ->default_str("skip");
  command
      .add_option("--mirror", options.mirror,
                  "s3://BUCKET/PREFIX where a copy of the run folder is kept while it trains, and --resume finds it")
      ->check([](const std::string& url) { return std::string(is_s3(url) ? "" : "should be s3://bucket/prefix"); });
}

}  // namespace vlalign::tool
