#include "vlalign/eval/linear_probe.hpp"

#include <fmt/format.h>

#include "tool/commands.hpp"

namespace vlalign::tool {

void add_linear_probe(CLI::App& program) {
  struct Flags {
    ModelFlags model;
    std::string train, test;
    PairOptions columns;
    LinearProbeOptions options;
  };
  auto* command = program.add_subcommand(
      "linear-probe", "Logistic regression on the frozen image tower's features (the caption is the class)");
  const auto flags = std::make_shared<Flags>();
  flags->model.add(*command);
  command->add_option("--train", flags->train, "Pairs to fit on, in any format that train --data takes")
      ->required()
      ->check(not_empty);
  command->add_option("--test", flags->test, "Pairs to test on")->required()->check(not_empty);
  add_column_flags(*command, flags->columns);
  command->add_option("--c", flags->options.c, "Inverse strength of the L2 regularisation")->capture_default_str();
  command->add_option("--max-iterations", flags->options.max_iterations, "Of L-BFGS")->capture_default_str();
  command->callback([flags] {
    const auto train = open_pairs(flags->train, flags->columns), test = open_pairs(flags->test, flags->columns);
    const auto scores =
        evaluate_linear_probe(flags->model.load(), train, test, flags->options, flags->model.embed_options());
    if (flags->model.json) {
      fmt::print("{}\n", to_json(scores));
      return;
    }
    fmt::print("{} classes, fitted on {} images, tested on {}\n  top-1 {:.1f}%   mean per class {:.1f}%\n",
               scores.classes, scores.train_images, scores.test_images, 100 * scores.top1, 100 * scores.mean_per_class);
  });
}

}  // namespace vlalign::tool
