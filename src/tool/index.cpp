#include "vlalign/data/sources/index.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tool/bench.hpp"
#include "tool/commands.hpp"
#include "tool/output.hpp"

namespace vlalign::tool {
namespace {

/// "12 of 40 shards, 3.1 GB" on stderr, where that is a terminal over and over, else every ten seconds.
class IndexProgressLine {
 public:
  void operator()(std::int64_t done, std::int64_t of, std::int64_t bytes) {
    using Clock = std::chrono::steady_clock;
    const auto now = Clock::now();
    if (done < of && now - last_ < (terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(10'000)))
      return;
    last_ = now;
    const auto text = fmt::format("{} of {} shards, {:.1f} GB read", done, of, static_cast<double>(bytes) / 1e9);
    std::fputs((terminal_ ? "\r\033[K" + text + (done == of ? "\n" : "") : text + "\n").c_str(), stderr);
  }

 private:
  bool terminal_ = ::isatty(STDERR_FILENO) != 0;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

struct IndexFlags {
  std::string location, out;
  PairOptions pairs;
  bool json = false;
};

void run(const IndexFlags& flags) {
  IndexSummary summary;
  const auto seconds = seconds_of([&] {
    summary = index_pairs(flags.location, {.out = flags.out, .pairs = flags.pairs, .progress = IndexProgressLine()});
  });
  if (flags.json) {
    const nlohmann::ordered_json result = {{"shards", summary.shards}, {"records", summary.records},
                                           {"bad", summary.bad},       {"bytes", summary.bytes},
                                           {"seconds", seconds},       {"index", summary.file.string()}};
    print_json(result);
    return;
  }
  fmt::print("{} records in {} shards of {:.1f} GB, in {:.1f} s", summary.records, summary.shards,
             static_cast<double>(summary.bytes) / 1e9, seconds);
  if (summary.bad > 0) fmt::print("; {} bad records are left out", summary.bad);
  fmt::print("\nindex  {}\n", summary.file.string());
}

}  // namespace

void add_index(CLI::App& program) {
  auto* command = program.add_subcommand("index", "Read tar shards once, so that they open at once afterwards");
  const auto flags = std::make_shared<IndexFlags>();
  command->add_option("data", flags->location, "Tar shards, as --data of train names them")
      ->required()
      ->check(not_empty);
  command
      ->add_option("--out", flags->out,
                   "Index to write, which --data takes instead of the shards; vlalign-index.json beside them without "
                   "it, where it is found")
      ->check(not_empty);
  add_choice_flags(*command, flags->pairs);
  add_cache_flags(*command, flags->pairs);
  command->add_option("--max-bad", flags->pairs.max_bad, "Share of bad records above which no index is written")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_flag("--json", flags->json, "Print one JSON object on stdout and nothing else there");
  command->callback([flags] { run(*flags); });
}

}  // namespace vlalign::tool
