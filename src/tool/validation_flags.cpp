#include "tool/validation_flags.hpp"

#include <nlohmann/json.hpp>
#include <set>

#include "core/check.hpp"
#include "eval/figures_json.hpp"
#include "tool/commands.hpp"
#include "vlalign/eval/retrieval.hpp"
#include "vlalign/eval/zero_shot.hpp"
#include "vlalign/train/validation.hpp"

namespace vlalign::tool {
namespace {

using Keys = std::set<std::string>;

Keys keys_of(const std::string& scores) {
  Keys keys;
  for (const auto& [key, value] : figures_of(nlohmann::json::parse(scores))) keys.insert(key);
  return keys;
}

Keys retrieval_keys() {
  auto keys = keys_of(to_json(RetrievalScores{}));
  keys.insert("loss");
  return keys;
}

Keys zero_shot_keys() { return keys_of(to_json(ZeroShotScores{})); }

void check_figure(const char* flag, const std::string& figure, const HeldOut& sets) {
  if (figure.empty()) return;
  std::vector<std::string> names;
  const auto fits = [&](const auto& set, const Keys& keys) {
    names.push_back(set.name);
    if (!figure.starts_with(set.name + ".")) return false;
    const auto key = figure.substr(set.name.size() + 1);
    check(keys.contains(key), "{} {}: \"{}\" has no figure of that name; its figures are {}", flag, figure, set.name,
          fmt::join(keys, ", "));
    return true;
  };
  for (const auto& set : sets.pairs)
    if (fits(set, retrieval_keys())) return;
  for (const auto& set : sets.classes)
    if (fits(set, zero_shot_keys())) return;
  check(!names.empty(), "{} {}: there is no set to measure; name one with --val or --zero-shot", flag, figure);
  fail("{} {}: expected NAME.KEY, with the name of a set, which are: {}", flag, figure, fmt::join(names, ", "));
}

}  // namespace

void add_class_flags(CLI::App& command, std::vector<std::string>& classes, std::vector<std::string>& templates) {
  command
      .add_option("--classes", classes, "File with one class name a line; numbers in the data count its lines from 0")
      ->check(not_empty);
  command
      .add_option("--templates", templates,
                  "File with one prompt a line, {} stands for the class; openai for the 80 of CLIP's, simple for the "
                  "seven best of them; \"a photo of a {}.\" without it")
      ->check(not_empty);
}

void ValidationFlags::add(CLI::App& command, TrainerOptions& options) {
  auto& o = options.validation;
  command.add_option("--val", tests,
                     "Held-out pairs, evaluated at the end; NAME=DATA names a test, repeat for several");
  command.add_option("--val-note", notes, "A sentence about each --val for the report, in the same order");
  auto* sets = command
                   .add_option("--zero-shot", zero_shot,
                               "Held-out pictures whose captions are classes' names or numbers, NAME=DATA; repeat for "
                               "several, with --classes and --templates for all of them or for each in the same order")
                   ->check(not_empty);
  add_class_flags(command, classes, templates);
  for (const auto* flag : {"--classes", "--templates"}) command.get_option(flag)->needs(sets);
  auto* every =
      command.add_option("--val-every", o.every, "Steps between evaluations while it trains")->check(above_zero);
  auto* best = command
                   .add_option("--best", o.best,
                               "Figure whose best checkpoint is kept, such as held_out.image_to_text.recall@1: a set's "
                               "name and a key of eval's or zero-shot's --json, or loss")
                   ->check(not_empty)
                   ->needs(every);
  command
      .add_option("--patience", o.patience, "Ends the run after so many evaluations in a row without a better --best")
      ->check(above_zero)
      ->needs(best);
  auto* guard = command.add_option("--guard", o.guard, "Figure that must not fall too far below what it was before")
                    ->check(not_empty)
                    ->needs(every);
  auto* fall = command.add_option("--largest-fall", o.largest_fall, "How far: 0.02 of a recall or top1 is two points")
                   ->check(zero_or_more)
                   ->needs(guard);
  guard->needs(fall);
}

HeldOut ValidationFlags::open(const PairOptions& columns) const {
  return open_held_out(
      {.pairs = tests, .notes = notes, .zero_shot = zero_shot, .classes = classes, .templates = templates}, columns);
}

void set_validations(TrainerOptions& options, const HeldOut& sets, const AnyLoss& loss) {
  auto& o = options.validation;
  check_figure("--best", o.best, sets);
  check_figure("--guard", o.guard, sets);
  if (o.every == 0) return;
  check(!sets.pairs.empty() || !sets.classes.empty(),
        "--val-every: there is no set to evaluate on; name one with --val or --zero-shot");
  for (const auto& set : sets.pairs) options.validations.push_back(validate_retrieval(set.name, set.pairs, loss));
  for (const auto& set : sets.classes)
    options.validations.push_back(validate_zero_shot(set.name, set.pairs, set.classes, set.templates));
}

}  // namespace vlalign::tool
