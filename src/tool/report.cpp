#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tool/commands.hpp"
#include "vlalign/report/comparison.hpp"

namespace vlalign::tool {

void add_report(CLI::App& program) {
  struct Flags {
    std::vector<std::filesystem::path> runs;
    std::filesystem::path out;
    std::optional<std::filesystem::path> baseline;
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
    write_comparison(flags->runs, flags->out, flags->baseline);
    fmt::print("report {}\n", flags->out.string());
  });
}

}  // namespace vlalign::tool
