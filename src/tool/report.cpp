#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/check.hpp"
#include "tool/commands.hpp"
#include "vlalign/report/comparison.hpp"

namespace vlalign::tool {
namespace {

namespace fs = std::filesystem;

}  // namespace

void add_report(CLI::App& program) {
  struct Flags {
    std::vector<fs::path> runs;
    fs::path out;
    std::optional<fs::path> baseline;
  };
  auto* command = program.add_subcommand(
      "report", "One page over several runs: settings that differ, final figures, curves; also while they train");
  const auto flags = std::make_shared<Flags>();
  command->add_option("runs", flags->runs, "Run folders")->required()->check(not_empty);
  command->add_option("--out", flags->out, "HTML file to write; replaces a report only")->required()->check(not_empty);
  command
      ->add_option("--baseline", flags->baseline, "Run folder that the others are compared with; the first without it")
      ->check(not_empty);
  command->callback([flags] {
    for (const auto& run : flags->runs)
      check(fs::weakly_canonical(flags->out) != fs::weakly_canonical(run / "report.html"),
            "--out {}: is the run's own report; choose another name", flags->out.string());
    write_comparison(flags->runs, flags->out, flags->baseline);
    fmt::print("report {}\n", flags->out.string());
  });
}

}  // namespace vlalign::tool
