#include "tool/train_flags.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/check.hpp"
#include "tool/checkpoint_flags.hpp"
#include "tool/commands.hpp"
#include "tool/help.hpp"
#include "vlalign/image/transform.hpp"
#include "vlalign/loss/make_loss.hpp"

namespace vlalign::tool {
namespace {

/// What a first run needs.
const std::vector<std::string> first_page{"--data",
                                          "--val",
                                          "--model",
                                          "--init",
                                          "--out",
                                          "--steps",
                                          "--epochs",
                                          "--batch-size",
                                          "--lr",
                                          "--aug",
                                          "--precision",
                                          "--device",
                                          "--checkpoint-every",
                                          "--resume",
                                          "--recipe",
                                          "--help",
                                          "--help-all"};

void add_data_flags(CLI::App& command, TrainFlags& flags) {
  flags.data.add(command);
  command.add_option("--camera", flags.video.camera,
                     "With --loss vip, liv or r3m --data names demonstrations; of a LeRobot dataset this camera's, by "
                     "default the first by name");
  command
      .add_option("--aug", flags.augmentation,
                  "Augmentation: " + fmt::format("{}", fmt::join(augmentation_policies(), ", ")))
      ->capture_default_str();
  command.add_flag("--no-shuffle", flags.no_shuffle, "Keep the data's order");
}

void add_model_flags(CLI::App& command, TrainFlags& flags) {
  flags.start.add(command);
  command
      .add_option("--loss", flags.loss,
                  "Loss, or a sum such as infonce+0.5*simclr, of: " + fmt::format("{}", fmt::join(loss_names(), ", ")))
      ->capture_default_str();
  command
      .add_option("--targets", flags.targets,
                  "What matches an image: its own caption; all equal captions; or, softly, captions that share tokens")
      ->check(CLI::IsMember({"pairs", "captions", "tokens"}))
      ->capture_default_str();
  command.add_option("--teacher", flags.teacher, "Model folder of the teacher, for losses that distil one");
}

void add_optimisation_flags(CLI::App& command, TrainFlags& flags) {
  auto& o = flags.options;
  auto* steps = command.add_option("--steps", o.steps, "Steps to train for")->check(above_zero);
  command.add_option("--epochs", o.epochs, "Epochs to train for")
      ->check(above_zero)
      ->excludes(steps)
      ->capture_default_str();
  command.add_option("--batch-size", o.batch_size, "Pairs a step")->check(above_zero)->capture_default_str();
  flags.optimizer.add(command, o);
  command.add_option("--ema", o.ema_decay, "Decay of an average of the weights, written to model-ema/");
  command.add_option("--micro-batch", o.micro_batch,
                     "Pairs a tower sees at once; the gradient is still that of the whole batch");
  command.add_flag(
      "--grad-checkpointing", flags.checkpoints,
      "Compute a Transformer's activations again in the backward pass: less memory, more time, the same result");
}

void add_fine_tuning_flags(CLI::App& command, TrainFlags& flags) {
  auto& tuning = flags.options.fine_tuning;
  command.add_option("--freeze", tuning.freeze, "Parameters that stay, by glob pattern; see inspect --parameters");
  const auto lock = [&](const char* flag, auto& unlocked, const char* tower) {
    command
        .add_option(flag, unlocked, fmt::format("Freeze the {} tower but for its last N groups; N=0 without it", tower))
        ->expected(0, 1)
        ->default_str("0");
  };
  lock("--lock-image", tuning.lock_image, "image");
  lock("--lock-text", tuning.lock_text, "text");
  command.add_flag("--freeze-batch-norm", tuning.freeze_batch_norm,
                   "Batch norms keep their statistics: the locked ones, or all where no tower is locked");
  command
      .add_option("--layer-decay", tuning.layer_decay, "Factor on the learning rate from each group to the one below")
      ->capture_default_str();
  auto* lora = command.add_option("--lora", flags.lora_rank, "Train a low-rank adapter of this rank only");
  command.add_option("--lora-alpha", flags.lora.alpha, "The adapter's factor is alpha / rank")
      ->capture_default_str()
      ->needs(lora);
  command.add_option("--lora-modules", flags.lora.modules, "Attention and MLP modules to adapt, by glob pattern")
      ->capture_default_str()
      ->needs(lora);
  command.add_option("--lora-train", flags.lora.train, "Other parameters that train too, by glob pattern")->needs(lora);
}

void add_rank_flags(CLI::App& command, TrainerOptions& o) {
  command.add_flag("--sync-batch-norm", o.sync_batch_norm, "On several ranks: batch norms see the rows of all");
  command.add_flag("--shard-optimizer", o.shard_optimizer,
                   "On several ranks: each keeps a part of the optimizer's moments (ZeRO-1)");
}

void add_loading_flags(CLI::App& command, TrainerOptions& o) {
  command.add_option("--loader-threads", o.loader_threads, "Threads that decode and augment pictures")
      ->capture_default_str();
  command.add_option("--prefetch", o.prefetch, "Batches made ahead")->capture_default_str();
  command.add_option("--cache-mb", o.cache_mb, "Memory for decoded pictures")->capture_default_str();
  command
      .add_option(
          "--shuffle-block", o.shuffle_block,
          "Records of shards that are mixed with each other; those of 128 batches, and at least 65,536, without "
          "it")
      ->check(zero_or_more);
  command.add_flag("--with-replacement", o.replacement, "Draw records, of shards whole ones, independently each time");
  command
      .add_option("--max-bad", o.max_bad,
                  "Share of bad records, of a file and of those read so far, above which the run stops")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
}

void add_run_flags(CLI::App& command, TrainFlags& flags) {
  auto& o = flags.options;
  command.add_option("--out", o.out, "Run folder to write")->required();
  command
      .add_option("--recipe", flags.recipe,
                  "JSON file with flags, without their dashes, and their values; those given here count more. Each "
                  "run folder has its own, recipe.json")
      ->check(not_empty);
  command
      .add_option_function<std::string>(
          "--resume", [&o](const std::string&) { o.resume = true; },
          "Go on from the run folder's newest checkpoint, to the same bits; with a run folder behind it, with "
          "the flags of its recipe.json, and no other is needed")
      ->expected(0, 1)
      ->type_name("RUN");
  command.add_option("--seed", o.seed, "Of weights, order, captions and augmentation")->capture_default_str();
  command
      .add_option("--norms-every", o.norms_every,
                  "Steps between lines in norms.jsonl: of each group's parameters, gradients and updates")
      ->check(above_zero);
  command.add_option("--title", flags.title, "Of the report; the run folder's name without it");
  flags.run.add_for_training(command);
}

}  // namespace

void TrainFlags::add(CLI::App& command) {
  command.formatter(std::make_shared<Help>(first_page));
  command.set_help_all_flag("--help-all", "Print all options and exit");
  const auto begin_group = [&](const char* name) { command.option_defaults()->group(name); };
  begin_group("Data");
  add_data_flags(command, *this);
  begin_group("Model");
  add_model_flags(command, *this);
  begin_group("Optimisation");
  add_optimisation_flags(command, *this);
  begin_group("Validation");
  validation.add(command, options);
  begin_group("Checkpoints");
  add_checkpoint_flags(command, options);
  begin_group("Fine-tuning");
  add_fine_tuning_flags(command, *this);
  begin_group("Ranks");
  add_rank_flags(command, options);
  begin_group("Loading");
  add_loading_flags(command, options);
  begin_group("Run");
  add_run_flags(command, *this);
  for (auto* help : {command.get_option("--help"), command.get_option("--help-all")}) help->group("Run");
}

void TrainFlags::apply() {
  run.apply();
  options.device = parse_device(run.device);
  if (run.device == "cuda" && !options.ranks.alone())
    options.device = parse_device(fmt::format("cuda:{}", options.ranks.local_rank()));
  if (run.precision == "int8") throw CLI::ValidationError("--precision", "int8 is for inference");
  options.precision = parse_precision(run.precision);
  options.threads = run.threads;
  options.augmentation = augmentation_policy(augmentation);
  options.shuffle = !no_shuffle;
  optimizer.apply(options);
  data.columns.max_bad = options.max_bad;
}

}  // namespace vlalign::tool
