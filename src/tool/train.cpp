#include <fmt/format.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/log.hpp"
#include "report/shown_numbers.hpp"
#include "tool/commands.hpp"
#include "tool/recipe.hpp"
#include "tool/recipe_places.hpp"
#include "tool/run_on_ranks.hpp"
#include "tool/stop_signals.hpp"
#include "tool/train_flags.hpp"
#include "tool/train_results.hpp"
#include "train/option_checks.hpp"
#include "train/run_folder.hpp"
#include "vlalign/loss/make_loss.hpp"
#include "vlalign/report/growing_report.hpp"
#include "vlalign/train/progress.hpp"

namespace vlalign::tool {
namespace {

/// --targets; none for pairs.
std::optional<TargetRule> make_targets(const std::string& rule, const Tokenizer& tokenizer) {
  if (rule == "captions") return equal_captions();
  if (rule == "tokens") return shared_tokens(tokenizer);
  return {};
}

/// What --data names: pairs, or demonstrations where the loss is one on video.
struct TrainingData {
  std::shared_ptr<const PairSource> pairs;
  std::shared_ptr<const EpisodeSource> episodes;

  std::int64_t pictures() const {
    if (pairs) return pairs->size();
    std::int64_t steps = 0;
    for (std::int64_t i = 0; i < episodes->size(); ++i) steps += episodes->episode(i).actions.size(0);
    return steps;
  }
  std::vector<std::string> captions() const { return pairs ? all_captions(pairs) : all_instructions(episodes); }
  TrainSummary fit(Trainer& trainer) const { return pairs ? trainer.fit(pairs) : trainer.fit(episodes); }
};

TrainingData open_data(const TrainFlags& flags, const ContrastiveLoss& loss) {
  if (loss.uses().frames > 0) return {.pairs = nullptr, .episodes = open_episodes(flags.data.location, flags.video)};
  check(flags.video.camera.empty(), "--camera: --loss {} is not one on video", flags.loss);
  return {.pairs = flags.data.open(), .episodes = nullptr};
}

/// What is chosen by --where and --caption-keys is for training.
PairOptions all_records(PairOptions options) {
  options.where.clear();
  options.caption_keys.clear();
  return options;
}

/// What the library would say of its options, in the flags' words.
void check_loss_flags(const ContrastiveLoss& loss, const TrainFlags& flags) {
  const auto uses = loss.uses();
  check(!uses.teacher || !flags.teacher.empty(), "--loss {} distils a teacher: name its model folder with --teacher",
        flags.loss);
  check(uses.teacher || flags.teacher.empty(), "--teacher: --loss {} uses none", flags.loss);
  check(uses.groups || uses.soft_targets || flags.targets == "pairs", "--targets {}: --loss {} goes by pairs alone",
        flags.targets, flags.loss);
  check(!uses.second_image || flags.augmentation != "none",
        "--loss {} compares two views of each picture, which are equal without an augmentation: name one with --aug",
        flags.loss);
}

DualEncoder make_model(TrainFlags& flags, const TrainingData& data, const ContrastiveLoss& loss) {
  flags.start.loss_uses_bias = loss.uses().logit_bias;
  if (flags.options.resume) flags.start.resumed_run = flags.options.out;
  auto model = flags.start.make([&] { return data.captions(); }, flags.options.seed);
  model.checkpoint_activations(flags.checkpoints);
  return model;
}

/// It sees the pictures that the model sees.
DualEncoder load_teacher(const std::string& folder, const Preprocess& pictures) {
  return DualEncoder::load(folder, {.image_size = pictures.image_size, .pixels_as = pictures.pixels_as});
}

/// For resuming; none where it can't be written down.
std::string recipe_or_warning(const CLI::App& command) {
  try {
    return recipe_of(command);
  } catch (const Error& error) {
    log_warning("{}; the run has no recipe that --resume RUN could go by", error.what());
    return "";
  }
}

/// What people see of a run while it lasts.
class Watching {
 public:
  Watching(const std::filesystem::path& run, ReportInput page) : report_(run, std::move(page)) {}

  void operator()(const StepResult& result) {
    has_begun_ = true;
    progress_(result);
    report_.at_step(result.step, result.steps);
  }
  void operator()(const ValidationResult& result) {
    has_begun_ = true;
    progress_(result);
    report_.hurry();
  }
  void stopped() { report_.stopped(); }
  /// What ends a run before its first step has been said; it has no report, and the folder may be another run's.
  void failed() {
    if (has_begun_) report_.stopped();
  }

 private:
  Progress progress_;
  GrowingReport report_;
  bool has_begun_ = false;
};

/// Signals end it with a checkpoint. Returns the signal's number; 0 where the run is over.
///   alone: no other ranks wait for this one; watching: null on all ranks but the first
int fit(Trainer& trainer, const TrainingData& data, bool alone, Watching* watching, TrainSummary& summary) {
  const StopSignals signals([&] { trainer.stop(); });
  trainer.on_step([&](const StepResult& result) {
    if (watching) (*watching)(result);
    if (signals.first() != 0) trainer.stop();  // it may have come before fit() had begun
  });
  if (watching) trainer.on_validation(std::ref(*watching));
  try {
    summary = data.fit(trainer);
  } catch (...) {
    if (watching) watching->failed();
    throw;
  }
  const bool came_late = alone && signals.first() != 0;  // behind the last step, before the evaluation
  if (!summary.stopped && !came_late) return 0;
  if (watching) watching->stopped();
  return signals.first() != 0 ? signals.first() : SIGTERM;  // another rank's
}

/// Returns what the program ends with.
int run(TrainFlags& flags, const CLI::App& command) {
  flags.apply();
  auto& options = flags.options;
  options.data_name = absolute_location(flags.data.location);
  const bool leads = options.ranks.rank() == 0;  // and speaks, and writes
  if (leads) check_results_place(options.out);
  if (leads && !options.resume && is_folder(options.out)) check_new_run_place(options.out);
  const auto loss = make_loss(flags.loss);
  check_loss_flags(*loss, flags);
  const auto data = open_data(flags, *loss);
  const auto sets = flags.validation.open(all_records(flags.data.columns));
  set_validations(options, sets, loss);
  check_options(options);  // before a model is made
  auto model = make_model(flags, data, *loss);
  options.targets = make_targets(flags.targets, *model.tokenizer());
  if (!flags.teacher.empty()) options.teacher = load_teacher(flags.teacher, model.config().preprocess);
  if (leads) {
    options.recipe = recipe_or_warning(command);
    log_info("{}: {} pictures; {}: {} parameters", flags.data.location, with_thousands(data.pictures()),
             model.config().name, with_thousands(model.parameter_count()));
  }
  if (flags.lora_rank) {
    flags.lora.rank = *flags.lora_rank;
    add_lora(model, flags.lora, options.seed);
  }
  Trainer trainer(model, loss, options);
  TrainSummary summary;
  std::optional<Watching> watching;
  if (leads) watching.emplace(options.out, page_so_far(flags, model, data.pictures()));
  const int signal = fit(trainer, data, options.ranks.alone(), watching ? &*watching : nullptr, summary);
  const TrainedRun trained{flags, model, data.pictures(), summary};
  if (signal != 0) {
    if (leads) tell_how_to_go_on(trained);
    return 128 + signal;
  }
  auto embedding = flags.run.embed_options();
  embedding.ranks = options.ranks;
  const auto results = evaluate(model, sets, embedding);
  if (leads) write_results(trained, sets, results);
  return 0;
}

}  // namespace

std::vector<std::string> with_recipe_of_train(const std::vector<std::string>& words) {
  CLI::App command;
  TrainFlags flags;
  flags.add(command);
  return with_recipe(command, words);
}

void add_train(CLI::App& program) {
  auto* command =
      program.add_subcommand("train", "Train a model on image-text pairs; writes a run folder with a report");
  const auto flags = std::make_shared<TrainFlags>();
  flags->add(*command);
  command->callback([flags, command] {
    const auto task = fmt::format("train with {} held-out set(s)",
                                  flags->validation.tests.size() + flags->validation.zero_shot.size());
    if (flags->start.model.empty() && flags->start.init.empty()) throw CLI::RequiredError("--model or --init");
    int status = 0;
    run_on_ranks(task, [&](const Ranks& ranks) {
      flags->options.ranks = ranks;
      status = run(*flags, *command);
    });
    if (status != 0) throw CLI::RuntimeError(status);
  });
}

}  // namespace vlalign::tool
