#include <fmt/format.h>

#include <array>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/io/place.hpp"
#include "core/log.hpp"
#include "remote/s3.hpp"
#include "tool/commands.hpp"
#include "tool/held_out.hpp"
#include "tool/output.hpp"
#include "tool/print_scores.hpp"
#include "tool/run_on_ranks.hpp"
#include "tool/start_model.hpp"
#include "train/run_mirror.hpp"
#include "vlalign/data/sources/episodes.hpp"
#include "vlalign/eval/retrieval.hpp"
#include "vlalign/loss/make_loss.hpp"
#include "vlalign/model/lora.hpp"
#include "vlalign/report/report.hpp"
#include "vlalign/train/progress.hpp"
#include "vlalign/train/trainer.hpp"

namespace vlalign::tool {
namespace {

namespace fs = std::filesystem;

constexpr std::array target_rules{"pairs", "captions", "tokens"};

struct TrainFlags {
  DataFlags data;
  EpisodeOptions video;
  RunFlags run;
  std::vector<std::string> tests, notes;
  StartFlags start;
  std::string loss = "infonce", targets = target_rules.front(), teacher, augmentation = "none", title;
  TrainerOptions options;
  std::optional<std::int64_t> lora_rank;
  LoraOptions lora;
  bool no_shuffle = false, checkpoints = false;
};

/// "unseen_concepts" to "Unseen concepts".
std::string readable(std::string name) {
  for (auto& letter : name) letter = letter == '_' ? ' ' : letter;
  if (!name.empty()) name.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(name.front())));
  return name;
}

/// --targets; none for pairs.
std::optional<TargetRule> make_targets(const std::string& rule, const Tokenizer& tokenizer) {
  if (rule == "captions") return equal_captions();
  if (rule == "tokens") return shared_tokens(tokenizer);
  return {};
}

std::string with_thousands(std::int64_t number) {
  auto text = std::to_string(number);
  for (auto at = static_cast<std::int64_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<std::size_t>(at), ",");
  return text;
}

/// The folder's own name, also where the path is "." or ends with a slash.
std::string name_of(const fs::path& folder) {
  const auto path = fs::absolute(folder).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

/// Of all steps, those before a resume included.
double training_seconds(const TrainingMetrics& metrics) {
  double seconds = 0, seen = 0;
  for (std::size_t i = 0; i < metrics.step.size(); ++i) {
    seconds += (metrics.samples_seen[i] - seen) / metrics.pairs_per_s[i];
    seen = metrics.samples_seen[i];
  }
  return seconds;
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

std::vector<ReportFact> facts_of(const DualEncoder& model, std::int64_t pictures, const TrainFlags& flags,
                                 const TrainSummary& summary, const TrainingMetrics& metrics) {
  return {{"Model", model.config().name},
          {"Parameters", with_thousands(model.parameter_count())},
          {"Image size", fmt::format("{0} × {0} px", model.config().preprocess.image_size)},
          {"Vocabulary", with_thousands(model.config().text.vocab_size) + " entries"},
          {"Training pictures", with_thousands(pictures)},
          {"Pairs seen", with_thousands(summary.last.samples_seen)},
          {"Steps", with_thousands(summary.last.step)},
          {"Batch", with_thousands(flags.options.batch_size)},
          {"Loss", flags.loss},
          {"Precision", std::string(to_string(flags.options.precision))},
          {"Training time", fmt::format("{:.0f} s", training_seconds(metrics))},
          {"Seed", std::to_string(flags.options.seed)}};
}

std::vector<ReportTest> evaluate(const DualEncoder& model, const std::vector<HeldOutSet>& sets,
                                 const EmbedOptions& options) {
  std::vector<ReportTest> tests;
  for (const auto& set : sets) {
    ReportTest test{.name = readable(set.name),
                    .note = set.note,
                    .scores = {},
                    .embeddings = embed_pairs(model, set.pairs, options),
                    .source = set.pairs};
    if (options.ranks.rank() == 0) warn_of_bad(test.embeddings.bad);
    test.scores = evaluate_retrieval(test.embeddings, options.ranks);
    if (options.ranks.rank() > 0) continue;  // who reports nothing
    test.scores.temperature = 1 / model.logit_scale().item<double>();
    tests.push_back(std::move(test));
  }
  return tests;
}

void warn_of_skipped(const TrainSummary& summary) {
  if (summary.skipped_steps > 0)
    log_warning("{} step(s) were skipped: loss, gradient or statistics were not finite", summary.skipped_steps);
  warn_of_bad(summary.bad_records);
}

/// What is chosen by --where and --caption-keys is for training.
PairOptions all_records(PairOptions options) {
  options.where.clear();
  options.caption_keys.clear();
  return options;
}

/// Where a run folder is there already, its results must be able to go into it.
void check_results_place(const fs::path& run) {
  if (!is_folder(run)) return;
  check_file_place(run / "eval.json");
  check_report_place(run / "report.html");
}

/// What the library would say of its options, in the flags' words.
void check_loss_flags(const ContrastiveLoss& loss, const TrainFlags& flags) {
  const auto uses = loss.uses();
  check(!uses.teacher || !flags.teacher.empty(), "--loss {} distils a teacher: name its model folder with --teacher",
        flags.loss);
  check(uses.teacher || flags.teacher.empty(), "--teacher: --loss {} uses none", flags.loss);
  check(uses.groups || uses.soft_targets || flags.targets == target_rules.front(),
        "--targets {}: --loss {} goes by pairs alone", flags.targets, flags.loss);
  check(!uses.second_image || flags.augmentation != "none",
        "--loss {} compares two views of each picture, which are equal without an augmentation: name one with --aug",
        flags.loss);
}

void run(TrainFlags& flags) {
  auto& options = flags.options;
  flags.run.apply();
  options.device = parse_device(flags.run.device);
  if (flags.run.device == "cuda" && !options.ranks.alone())
    options.device = parse_device(fmt::format("cuda:{}", options.ranks.local_rank()));
  options.precision = parse_precision(flags.run.precision);
  options.threads = flags.run.threads;
  options.augmentation = augmentation_policy(flags.augmentation);
  options.shuffle = !flags.no_shuffle;
  options.data_name = flags.data.location;
  flags.data.columns.max_bad = options.max_bad;

  const bool leads = options.ranks.rank() == 0;  // and speaks, and writes
  if (leads) check_results_place(options.out);
  const auto loss = make_loss(flags.loss);
  check_loss_flags(*loss, flags);
  const auto data = open_data(flags, *loss);
  const auto sets = open_held_out(flags.tests, flags.notes, all_records(flags.data.columns));
  flags.start.loss_uses_bias = loss->uses().logit_bias;
  auto model = flags.start.make([&] { return data.captions(); }, flags.options.seed);
  model.checkpoint_activations(flags.checkpoints);
  options.targets = make_targets(flags.targets, *model.tokenizer());
  if (!flags.teacher.empty())
    options.teacher = DualEncoder::load(flags.teacher, {.image_size = model.config().preprocess.image_size,
                                                        .pixels_as = model.config().preprocess.pixels_as});
  if (leads)
    log_info("{}: {} pictures; {}: {} parameters", flags.data.location, with_thousands(data.pictures()),
             model.config().name, with_thousands(model.parameter_count()));
  if (flags.lora_rank) {
    flags.lora.rank = *flags.lora_rank;
    add_lora(model, flags.lora, options.seed);
  }
  Trainer trainer(model, loss, options);
  if (leads) trainer.on_step(Progress());
  const auto summary = data.fit(trainer);
  auto embedding = flags.run.embed_options();
  embedding.ranks = options.ranks;
  const auto tests = evaluate(model, sets, embedding);
  if (!leads) return;
  warn_of_skipped(summary);
  auto results = eval_json(tests, sets);
  if (!tests.empty()) write_file_atomically(options.out / "eval.json", indented(results) + "\n");
  const auto metrics = read_metrics(options.out / "metrics.jsonl");
  const auto report = options.out / "report.html";
  write_report({.title = flags.title.empty() ? name_of(options.out) : flags.title,
                .subtitle = {},
                .tests = tests,
                .metrics = metrics,
                .facts = facts_of(model, data.pictures(), flags, summary, metrics)},
               report);
  if (flags.run.json) {
    results["steps"] = summary.last.step;
    results["loss"] = summary.last.loss;
    results["seconds"] = summary.seconds;
    results["run"] = options.out.string();
    print_json(results);
  } else {
    for (const auto& test : tests) print_scores(test.name, test.scores);
    fmt::print("model  {}\nreport {}\n", (options.out / "model").string(), report.string());
  }
  if (!options.mirror.empty()) add_to_mirror(options.mirror, options.out, {"eval.json", "report.html"});
}

void add_fine_tuning_flags(CLI::App& command, TrainFlags& flags) {
  auto& tuning = flags.options.fine_tuning;
  constexpr auto group = "Fine-tuning";
  command.add_option("--freeze", tuning.freeze, "Parameters that stay, by glob pattern; see inspect --parameters")
      ->group(group);
  const auto lock = [&](const char* flag, auto& unlocked, const char* tower) {
    command
        .add_option(flag, unlocked, fmt::format("Freeze the {} tower but for its last N groups; N=0 without it", tower))
        ->expected(0, 1)
        ->default_str("0")
        ->group(group);
  };
  lock("--lock-image", tuning.lock_image, "image");
  lock("--lock-text", tuning.lock_text, "text");
  command
      .add_flag("--freeze-batch-norm", tuning.freeze_batch_norm,
                "Batch norms keep their statistics: the locked ones, or all where no tower is locked")
      ->group(group);
  command
      .add_option("--layer-decay", tuning.layer_decay, "Factor on the learning rate from each group to the one below")
      ->capture_default_str()
      ->group(group);
  auto* lora =
      command.add_option("--lora", flags.lora_rank, "Train a low-rank adapter of this rank only")->group(group);
  command.add_option("--lora-alpha", flags.lora.alpha, "The adapter's factor is alpha / rank")
      ->capture_default_str()
      ->needs(lora)
      ->group(group);
  command.add_option("--lora-modules", flags.lora.modules, "Attention and MLP modules to adapt, by glob pattern")
      ->capture_default_str()
      ->needs(lora)
      ->group(group);
  command.add_option("--lora-train", flags.lora.train, "Other parameters that train too, by glob pattern")
      ->needs(lora)
      ->group(group);
  command.add_option("--ema", flags.options.ema_decay, "Decay of an average of the weights, written to model-ema/")
      ->group(group);
}

void add_loading_flags(CLI::App& command, TrainerOptions& o) {
  constexpr auto group = "Loading";
  command.add_option("--loader-threads", o.loader_threads, "Threads that decode and augment pictures")
      ->capture_default_str()
      ->group(group);
  command.add_option("--prefetch", o.prefetch, "Batches made ahead")->capture_default_str()->group(group);
  command.add_option("--cache-mb", o.cache_mb, "Memory for decoded pictures")->capture_default_str()->group(group);
  command
      .add_option(
          "--shuffle-block", o.shuffle_block,
          "Records of shards that are mixed with each other; those of 128 batches, and at least 65,536, without "
          "it")
      ->check(CLI::NonNegativeNumber)
      ->group(group);
  command.add_flag("--with-replacement", o.replacement, "Draw records, of shards whole ones, independently each time")
      ->group(group);
  command
      .add_option("--max-bad", o.max_bad,
                  "Share of bad records, of a file and of those read so far, above which the run stops")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str()
      ->group(group);
}

void add_flags(CLI::App& command, TrainFlags& flags) {
  auto& o = flags.options;
  flags.data.add(command);
  command.add_option("--camera", flags.video.camera,
                     "With --loss vip, liv or r3m --data names demonstrations; of a LeRobot dataset this camera's, by "
                     "default the first by name");
  command.add_option("--val", flags.tests,
                     "Held-out pairs, evaluated at the end; NAME=DATA names a test, repeat for several");
  command.add_option("--val-note", flags.notes, "A sentence about each --val for the report, in the same order");
  flags.start.add(command);
  command.add_option("--out", o.out, "Run folder to write")->required();
  auto* steps = command.add_option("--steps", o.steps, "Steps to train for")->check(CLI::PositiveNumber);
  command.add_option("--epochs", o.epochs, "Epochs to train for")
      ->check(CLI::PositiveNumber)
      ->excludes(steps)
      ->capture_default_str();
  command.add_option("--batch-size", o.batch_size, "Pairs a step")->check(CLI::PositiveNumber)->capture_default_str();
  command.add_option("--lr", o.learning_rate, "Peak learning rate")->capture_default_str();
  command.add_option("--warmup", o.schedule.warmup,
                     "Steps of linear warm-up; a tenth of the run, at most 2000, without it");
  command
      .add_option("--weight-decay", std::get<AdamWOptions>(o.optimizer).weight_decay,
                  "Of matrices; vectors and scalars are not decayed")
      ->capture_default_str();
  command.add_option("--grad-clip", o.grad_clip, "Largest L2 norm of the gradient; no limit without it");
  command
      .add_option("--loss", flags.loss,
                  "Loss, or a sum such as infonce+0.5*simclr, of: " + fmt::format("{}", fmt::join(loss_names(), ", ")))
      ->capture_default_str();
  command
      .add_option("--targets", flags.targets,
                  "What matches an image: its own caption; all equal captions; or, softly, captions that share tokens")
      ->check(CLI::IsMember(std::vector<std::string>(target_rules.begin(), target_rules.end())))
      ->capture_default_str();
  command.add_option("--teacher", flags.teacher, "Model folder of the teacher, for losses that distil one");
  command.add_option("--micro-batch", o.micro_batch,
                     "Pairs a tower sees at once; the gradient is still that of the whole batch");
  command.add_flag(
      "--grad-checkpointing", flags.checkpoints,
      "Compute a Transformer's activations again in the backward pass: less memory, more time, the same result");
  command
      .add_option("--aug", flags.augmentation,
                  "Augmentation: " + fmt::format("{}", fmt::join(augmentation_policies(), ", ")))
      ->capture_default_str();
  command.add_flag("--sync-batch-norm", o.sync_batch_norm, "On several ranks: batch norms see the rows of all");
  command.add_flag("--shard-optimizer", o.shard_optimizer,
                   "On several ranks: each keeps a part of the optimizer's moments (ZeRO-1)");
  command.add_flag("--no-shuffle", flags.no_shuffle, "Keep the data's order");
  command.add_option("--seed", o.seed, "Of weights, order, captions and augmentation")->capture_default_str();
  command.add_flag("--resume", o.resume, "Go on from the run folder's newest checkpoint, to the same bits");
  command.add_option("--checkpoint-every", o.checkpoints.every,
                     "Steps between checkpoints; only the last step without it");
  command
      .add_option("--mirror", o.mirror,
                  "s3://BUCKET/PREFIX where a copy of the run folder is kept while it trains, and --resume finds it")
      ->check([](const std::string& url) { return std::string(is_s3(url) ? "" : "should be s3://bucket/prefix"); });
  command.add_option("--title", flags.title, "Of the report; the run folder's name without it");
  add_fine_tuning_flags(command, flags);
  add_loading_flags(command, flags.options);
  flags.run.add(command);
}

}  // namespace

void add_train(CLI::App& program) {
  auto* command =
      program.add_subcommand("train", "Train a model on image-text pairs; writes a run folder with a report");
  const auto flags = std::make_shared<TrainFlags>();
  add_flags(*command, *flags);
  command->callback([flags] {
    const auto sets = flags->tests.size();
    run_on_ranks(fmt::format("train with {} held-out set(s)", sets), [&](const Ranks& ranks) {
      flags->options.ranks = ranks;
      run(*flags);
    });
  });
}

}  // namespace vlalign::tool
