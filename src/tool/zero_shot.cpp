#include "vlalign/eval/zero_shot.hpp"

#include <fmt/format.h>

#include "tool/commands.hpp"
#include "tool/held_out.hpp"
#include "tool/print_scores.hpp"
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
  const auto templates = read_templates(flags.templates);
  const auto pairs = flags.data.open();
  auto options = flags.model.embed_options();
  options.ranks = ranks;
  const auto scores = evaluate_zero_shot(flags.model.load(), pairs, classes, templates, options);
  if (ranks.rank() > 0) return;
  warn_of_bad(scores.bad, pairs->bad_records().size());
  if (flags.model.json) {
    fmt::print("{}\n", to_json(scores));
    return;
  }
  print_scores(flags.data.location, scores, std::ssize(classes));
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
  command
      ->add_option("--templates", flags->templates,
                   "File with one prompt a line, {} stands for the class; openai for CLIP's 80, simple for the best "
                   "seven of them; \"a photo of a {}.\" without it")
      ->check(not_empty);
  command->callback([flags] { run_on_ranks("zero-shot", [&](const Ranks& ranks) { classify(*flags, ranks); }); });
}

}  // namespace vlalign::tool
