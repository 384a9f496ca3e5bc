#include "tool/train_results.hpp"

#include <fmt/format.h>

#include <cctype>
#include <nlohmann/json.hpp>

#include "core/io/files.hpp"
#include "core/io/place.hpp"
#include "core/io/safetensors_place.hpp"
#include "core/log.hpp"
#include "report/shown_numbers.hpp"
#include "tool/output.hpp"
#include "tool/print_scores.hpp"
#include "train/run_mirror.hpp"
#include "vlalign/eval/retrieval.hpp"
#include "vlalign/eval/test_outcome.hpp"
#include "vlalign/eval/validation_result.hpp"

namespace vlalign::tool {
namespace {

namespace fs = std::filesystem;

/// "unseen_concepts" to "Unseen concepts".
std::string readable(std::string name) {
  for (auto& letter : name) letter = letter == '_' ? ' ' : letter;
  if (!name.empty()) name.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(name.front())));
  return name;
}

/// The folder's own name, also where the path is "." or ends with a slash.
std::string name_of(const fs::path& folder) {
  const auto path = fs::absolute(folder).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

std::string title_of(const TrainFlags& flags) { return flags.title.empty() ? name_of(flags.options.out) : flags.title; }

/// eval.json: the first set's figures at the top, those of each other under its name.
nlohmann::ordered_json eval_json(const HeldOut& sets, const Results& results) {
  auto json = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < results.tests.size(); ++i) {
    auto scores = nlohmann::ordered_json::parse(to_json(results.tests[i].scores));
    (i == 0 ? json : json[sets.pairs[i].name]) = std::move(scores);
  }
  for (std::size_t i = 0; i < results.zero_shot.size(); ++i)
    json[sets.classes[i].name] = nlohmann::ordered_json::parse(to_json(results.zero_shot[i]));
  return json;
}

/// What is known before the first step.
std::vector<ReportFact> facts_of(const TrainFlags& flags, const DualEncoder& model, std::int64_t pictures) {
  return {{"Model", model.config().name},
          {"Parameters", with_thousands(model.parameter_count())},
          {"Image size", fmt::format("{0} × {0} px", model.config().preprocess.image_size)},
          {"Vocabulary", with_thousands(model.config().text.vocab_size) + " entries"},
          {"Training pictures", with_thousands(pictures)},
          {"Batch", with_thousands(flags.options.batch_size)},
          {"Loss", flags.loss},
          {"Precision", std::string(to_string(flags.options.precision))},
          {"Seed", std::to_string(flags.options.seed)}};
}

std::vector<ReportFact> facts_of(const TrainedRun& run, const TrainingCurves& training) {
  auto facts = facts_of(run.flags, run.model, run.pictures);
  facts.push_back({"Steps", with_thousands(run.summary.last.step)});
  facts.push_back({"Pairs seen", with_thousands(run.summary.last.samples_seen)});
  facts.push_back({"Training time", fmt::format("{:.0f} s", training.seconds.last())});
  return facts;
}

ReportFact fact_of(const std::string& name, const ZeroShotScores& scores) {
  const auto& [low, high] = scores.top1_interval95;
  return {readable(name) + ", zero-shot", fmt::format("top-1 {:.1f}% (95% interval {:.1f}-{:.1f}%), top-5 {:.1f}%",
                                                      100 * scores.top1, 100 * low, 100 * high, 100 * scores.top5)};
}

std::vector<ValidationResult> validations_of(const fs::path& run) {
  const auto file = run / "validation.jsonl";
  return is_there(file) ? read_validations(file) : std::vector<ValidationResult>();
}

/// What a later run is compared with, query by query.
void write_outcomes_of(const fs::path& run, const HeldOut& sets, const Results& results) {
  std::vector<TestOutcome> outcomes;
  for (std::size_t i = 0; i < results.tests.size(); ++i)
    outcomes.push_back(outcome_of(sets.pairs[i].name, results.tests[i].scores, results.tests[i].embeddings));
  for (std::size_t i = 0; i < results.zero_shot.size(); ++i)
    outcomes.push_back(outcome_of(sets.classes[i].name, results.zero_shot[i], sets.classes[i].classes));
  if (!outcomes.empty()) write_outcomes(run / "eval.safetensors", outcomes);
}

/// Returns where it is.
fs::path write_report_of(const TrainedRun& run, const HeldOut& sets, const Results& results) {
  const auto& out = run.flags.options.out;
  const TrainingCurves training(read_metrics(out / "metrics.jsonl"));
  auto facts = facts_of(run, training);
  for (std::size_t i = 0; i < results.zero_shot.size(); ++i)
    facts.push_back(fact_of(sets.classes[i].name, results.zero_shot[i]));
  const auto report = out / "report.html";
  write_report({.title = title_of(run.flags),
                .subtitle = {},
                .tests = results.tests,
                .metrics = training,
                .facts = facts,
                .validations = validations_of(out)},
               report);
  return report;
}

void warn_of_skipped(const TrainSummary& summary) {
  if (summary.skipped_steps > 0)
    log_warning("{} step(s) were skipped: loss, gradient or statistics were not finite", summary.skipped_steps);
  warn_of_bad(summary.bad_records, summary.bad_records.size());
}

void print_results(const HeldOut& sets, const Results& results) {
  for (const auto& test : results.tests) print_scores(test.name, test.scores);
  for (std::size_t i = 0; i < results.zero_shot.size(); ++i)
    print_scores(readable(sets.classes[i].name), results.zero_shot[i], std::ssize(sets.classes[i].classes));
}

}  // namespace

void check_results_place(const fs::path& run) {
  if (!is_folder(run)) return;
  check_file_place(run / "eval.json");
  check_safetensors_place(run / "eval.safetensors");
  check_report_place(run / "report.html");
}

Results evaluate(const DualEncoder& model, const HeldOut& sets, const EmbedOptions& options) {
  const bool leads = options.ranks.rank() == 0;
  Results results;
  for (const auto& set : sets.pairs) {
    ReportTest test{.name = readable(set.name),
                    .note = set.note,
                    .scores = {},
                    .embeddings = embed_pairs(model, set.pairs, options),
                    .source = set.pairs};
    if (leads) warn_of_bad(test.embeddings.bad, set.pairs->bad_records().size());
    test.scores = evaluate_retrieval(test.embeddings, options.ranks);
    test.scores.temperature = 1 / model.logit_scale().item<double>();
    if (leads) results.tests.push_back(std::move(test));
  }
  for (const auto& set : sets.classes) {
    auto scores = evaluate_zero_shot(model, set.pairs, set.classes, set.templates, options);
    if (!leads) continue;
    warn_of_bad(scores.bad, set.pairs->bad_records().size());
    results.zero_shot.push_back(std::move(scores));
  }
  return results;
}

void write_results(const TrainedRun& run, const HeldOut& sets, const Results& results) {
  const auto& options = run.flags.options;
  const auto& last = run.summary.last;
  warn_of_skipped(run.summary);
  auto json = eval_json(sets, results);
  if (!json.empty()) write_file_atomically(options.out / "eval.json", indented(json) + "\n");
  write_outcomes_of(options.out, sets, results);
  const auto report = write_report_of(run, sets, results);
  if (run.flags.run.json) {
    json["steps"] = last.step;
    json["loss"] = last.loss;
    json["seconds"] = run.summary.seconds;
    json["run"] = options.out.string();
    print_json(json);
  } else {
    print_results(sets, results);
    if (run.summary.ended_early)
      fmt::print("ended early, behind step {} of {}: the best was step {}\n", last.step, last.steps,
                 run.summary.best_step);
    fmt::print("model  {}\nreport {}\n", (options.out / "model").string(), report.string());
  }
  if (!options.mirror.empty())
    add_to_mirror(options.mirror, options.out, {"eval.json", "eval.safetensors", "report.html"});
}

ReportInput page_so_far(const TrainFlags& flags, const DualEncoder& model, std::int64_t pictures) {
  return {
      .title = title_of(flags), .subtitle = {}, .tests = {}, .metrics = {}, .facts = facts_of(flags, model, pictures)};
}

void tell_how_to_go_on(const TrainedRun& run) {
  warn_of_skipped(run.summary);
  log_info("stopped behind step {} of {}; \"vlalign train --resume {}\" goes on", run.summary.last.step,
           run.summary.last.steps, run.flags.options.out.string());
}

}  // namespace vlalign::tool
