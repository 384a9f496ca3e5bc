#include "train/option_checks.hpp"

#include <cmath>

#include "core/check.hpp"
#include "kernels/thread_count.hpp"
#include "remote/s3.hpp"
#include "train/run_stages.hpp"
#include "train/run_validation.hpp"

namespace vlalign {
namespace {

void check_length(const TrainerOptions& o) {
  check(o.batch_size > 0, "[Trainer] batch_size: expected a positive number, got {}", o.batch_size);
  check(!o.steps || *o.steps > 0, "[Trainer] steps: expected a positive number, got {}", o.steps.value_or(0));
  check(o.steps || o.epochs > 0, "[Trainer] epochs: expected a positive number, got {}", o.epochs);
  check_options(o.schedule);
  check(o.micro_batch >= 0, "[Trainer] micro_batch: expected 0 or more pairs, got {}", o.micro_batch);
  check(o.micro_batch <= o.batch_size, "[Trainer] micro_batch: expected at most the batch's {} pairs, got {}",
        o.batch_size, o.micro_batch);
}

void check_optimizer(const TrainerOptions& o) {
  check(std::isfinite(o.learning_rate) && o.learning_rate >= 0, "[Trainer] learning_rate: expected 0 or more, got {}",
        o.learning_rate);
  std::visit([](const auto& own) { check_options(own); }, o.optimizer);
  check(!o.grad_clip || (std::isfinite(*o.grad_clip) && *o.grad_clip > 0),
        "[Trainer] grad_clip: expected a positive norm, got {}", o.grad_clip.value_or(0));
  check(!o.ema_decay || (*o.ema_decay >= 0 && *o.ema_decay < 1), "[Trainer] ema_decay: expected 0 to below 1, got {}",
        o.ema_decay.value_or(0));
}

void check_machine(const TrainerOptions& o) {
  check(o.precision != Precision::int8, "[Trainer] precision: int8 is for inference; expected fp32, bf16 or fp16");
  parse_device(o.device.str());
  check(o.threads >= 0 && o.threads <= largest_thread_count, "[Trainer] threads: expected 0 to {}, got {}",
        largest_thread_count, o.threads);
  check(o.loader_threads >= 1 && o.loader_threads <= largest_thread_count,
        "[Trainer] loader_threads: expected 1 to {}, got {}", largest_thread_count, o.loader_threads);
  check(o.max_bad >= 0 && o.max_bad <= 1, "[Trainer] max_bad: expected 0 to 1, got {}", o.max_bad);
}

void check_mirror(const TrainerOptions& o) {
  if (o.mirror.empty()) return;
  check(is_s3(o.mirror), "[Trainer] mirror: expected s3://bucket/prefix, got {}", o.mirror);
  s3_place(o.mirror);
  check(!o.out.empty(), "[Trainer] mirror: is a copy of the run folder, which out has to name");
}

void check_checkpoints(const TrainerOptions& options) {
  const auto& o = options.checkpoints;
  check(o.every >= 0, "[Trainer] checkpoints.every: expected 0 or more steps, got {}", o.every);
  check(std::isfinite(o.every_minutes) && o.every_minutes >= 0,
        "[Trainer] checkpoints.every_minutes: expected 0 or more, got {}", o.every_minutes);
  check(o.keep_last >= 0, "[Trainer] checkpoints.keep_last: expected 0 or more checkpoints, got {}", o.keep_last);
  check(o.keep_every >= 0, "[Trainer] checkpoints.keep_every: expected 0 or more steps, got {}", o.keep_every);
  check(o.keep_every == 0 || o.keep_last > 0,
        "[Trainer] checkpoints.keep_every: without keep_last all are kept; set that too");
  check(options.norms_every >= 0, "[Trainer] norms_every: expected 0 or more steps, got {}", options.norms_every);
}

void check_below_1(const char* name, double number) {
  check(number >= 0 && number < 1, "{}: expected 0 to below 1, got {}", name, number);
}

void check_eps(const char* name, double eps) {
  // In float32, as it is added there: without it a gradient of 0 gives 0 / 0.
  check(std::isfinite(eps) && static_cast<float>(eps) > 0, "{}: expected more than 0, got {}", name, eps);
}

void check_decay(const char* name, double decay) {
  check(std::isfinite(decay) && decay >= 0, "{}: expected 0 or more, got {}", name, decay);
}

}  // namespace

void check_options(const Schedule& o) {
  check(!o.warmup || *o.warmup >= 0, "[Trainer] warmup: expected 0 or more steps, got {}", o.warmup.value_or(0));
  const auto share = o.warmup_share.value_or(0);
  check(share >= 0 && share < 1, "[Trainer] warmup_share: expected 0 to below 1, got {}", share);
  check(!o.warmup || !o.warmup_share, "[Trainer] warmup_share: warmup says it in steps; leave one of them out");
  check(o.cooldown_share > 0 && o.cooldown_share <= 1, "[Trainer] cooldown_share: expected above 0, up to 1, got {}",
        o.cooldown_share);
}

void check_options(const AdamWOptions& o) {
  check_below_1("[AdamW] beta1", o.beta1);
  check_below_1("[AdamW] beta2", o.beta2);
  check_eps("[AdamW] eps", o.eps);
  check_decay("[AdamW] weight_decay", o.weight_decay);
}

void check_options(const LambOptions& o) {
  check_below_1("[Lamb] beta1", o.beta1);
  check_below_1("[Lamb] beta2", o.beta2);
  check_eps("[Lamb] eps", o.eps);
  check_decay("[Lamb] weight_decay", o.weight_decay);
}

void check_options(const LionOptions& o) {
  check_below_1("[Lion] beta1", o.beta1);
  check_below_1("[Lion] beta2", o.beta2);
  check_decay("[Lion] weight_decay", o.weight_decay);
}

void check_options(const MuonOptions& o) {
  check_below_1("[Muon] momentum", o.momentum);
  check(o.newton_schulz >= 1 && o.newton_schulz <= 20, "[Muon] newton_schulz: expected 1 to 20 steps, got {}",
        o.newton_schulz);
  check_decay("[Muon] weight_decay", o.weight_decay);
  check_options(o.rest);
}

void check_options(const TrainerOptions& o) {
  check_length(o);
  check_optimizer(o);
  check_machine(o);
  check_stages(o.stages);
  check(!o.targets || o.targets->make, "[Trainer] targets: the rule \"{}\" has no function make",
        o.targets ? o.targets->name : "");
  check(!o.sync_batch_norm || o.micro_batch == 0,
        "[Trainer] sync_batch_norm: the ranks' micro-batches are not each other's; leave one of them out");
  check(!o.resume || !o.out.empty(), "[Trainer] resume: needs the run folder in out");
  check_checkpoints(o);
  check_validation(o);
  check_mirror(o);
}

}  // namespace vlalign
