#include "vlalign/eval/zero_shot.hpp"

#include <fmt/format.h>

#include <cmath>

#include "tool/commands.hpp"
#include "tool/run_on_ranks.hpp"

namespace vlalign::tool {
namespace {

struct Flags {
  ModelFlags model;
  DataFlags data;
  std::string classes, templates;
};

void classify(const Flags& flags, const Ranks& ranks) {
  const auto classes = read_lines(flags.classes);
  const auto templates = flags.templates.empty() ? default_templates() : read_lines(flags.templates);
  const auto pairs = flags.data.open();
  auto options = flags.model.embed_options();
  options.ranks = ranks;
  const auto scores = evaluate_zero_shot(flags.model.load(), pairs, classes, templates, options);
  if (ranks.rank() > 0) return;
  if (flags.model.json) {
    fmt::print("{}\n", to_json(scores));
    return;
  }
  const auto& [low, high] = scores.top1_interval95;
  fmt::print("{} images, {} classes\n", scores.images, classes.size());
  fmt::print(
      "  top-1 {:.1f}% (95% interval {:.1f}-{:.1f}%)   top-5 {:.1f}%   mean per class {:.1f}%   (chance {:.1f}%)\n",
      100 * scores.top1, 100 * low, 100 * high, 100 * scores.top5, 100 * scores.mean_per_class,
      100.0 / static_cast<double>(classes.size()));
  fmt::print("  calibration error {:.3f}, negative log-likelihood {:.3f} nats (chance {:.3f})\n",
             scores.calibration_error, scores.negative_log_likelihood, std::log(static_cast<double>(classes.size())));
}

}  // namespace

void add_zero_shot(CLI::App& program) {
  auto* command = program.add_subcommand(
      "zero-shot", "Classification by the nearest class name (the caption is the class's name or number)");
  const auto flags = std::make_shared<Flags>();
  flags->model.add(*command);
  flags->data.add(*command);
  command
      ->add_option("--classes", flags->classes,
                   "File with one class name a line; numbers in the data count its lines from 0")
      ->required()
      ->check(not_empty);
  command->add_option("--templates", flags->templates,
                      "File with one prompt a line, {} stands for the class; \"a photo of a {}.\" without it");
  command->callback([flags] { run_on_ranks("zero-shot", [&](const Ranks& ranks) { classify(*flags, ranks); }); });
}

}  // namespace vlalign::tool
