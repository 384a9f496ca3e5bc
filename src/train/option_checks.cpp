#include "train/option_checks.hpp"

#include <cmath>

#include "core/check.hpp"
#include "kernels/thread_count.hpp"
#include "remote/s3.hpp"
#include "train/run_stages.hpp"

namespace vlalign {
namespace {

void check_length(const TrainerOptions& o) {
  check(o.batch_size > 0, "[Trainer] batch_size: expected a positive number, got {}", o.batch_size);
  check(!o.steps || *o.steps > 0, "[Trainer] steps: expected a positive number, got {}", o.steps.value_or(0));
  check(o.steps || o.epochs > 0, "[Trainer] epochs: expected a positive number, got {}", o.epochs);
  const auto& warmup = o.schedule.warmup;
  check(!warmup || *warmup >= 0, "[Trainer] warmup: expected 0 or more steps, got {}", warmup.value_or(0));
  check(o.micro_batch >= 0, "[Trainer] micro_batch: expected 0 or more pairs, got {}", o.micro_batch);
  check(o.micro_batch <= o.batch_size, "[Trainer] micro_batch: expected at most the batch's {} pairs, got {}",
        o.batch_size, o.micro_batch);
}

void check_optimizer(const TrainerOptions& o) {
  check(std::isfinite(o.learning_rate) && o.learning_rate >= 0, "[Trainer] learning_rate: expected 0 or more, got {}",
        o.learning_rate);
  if (const auto* adamw = std::get_if<AdamWOptions>(&o.optimizer)) check_options(*adamw);
  check(!o.grad_clip || (std::isfinite(*o.grad_clip) && *o.grad_clip > 0),
        "[Trainer] grad_clip: expected a positive norm, got {}", o.grad_clip.value_or(0));
  check(!o.ema_decay || (*o.ema_decay >= 0 && *o.ema_decay < 1), "[Trainer] ema_decay: expected 0 to below 1, got {}",
        o.ema_decay.value_or(0));
}

void check_machine(const TrainerOptions& o) {
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

}  // namespace

void check_options(const AdamWOptions& o) {
  check(o.beta1 >= 0 && o.beta1 < 1, "[AdamW] beta1: expected 0 to below 1, got {}", o.beta1);
  check(o.beta2 >= 0 && o.beta2 < 1, "[AdamW] beta2: expected 0 to below 1, got {}", o.beta2);
  // In float32, as it is added there: without it a gradient of 0 gives 0 / 0.
  check(std::isfinite(o.eps) && static_cast<float>(o.eps) > 0, "[AdamW] eps: expected more than 0, got {}", o.eps);
  check(std::isfinite(o.weight_decay) && o.weight_decay >= 0, "[AdamW] weight_decay: expected 0 or more, got {}",
        o.weight_decay);
}

void check_options(const TrainerOptions& o) {
  check_length(o);
  check_optimizer(o);
  check_machine(o);
  check_stages(o.stages);
  check(!o.targets || o.targets->make, "[Trainer] targets: the rule \"{}\" has no function make",
        o.targets ? o.targets->name : "");
  check(o.checkpoints.every >= 0, "[Trainer] checkpoints.every: expected 0 or more steps, got {}", o.checkpoints.every);
  check(!o.sync_batch_norm || o.micro_batch == 0,
        "[Trainer] sync_batch_norm: the ranks' micro-batches are not each other's; leave one of them out");
  check(!o.resume || !o.out.empty(), "[Trainer] resume: needs the run folder in out");
  check_mirror(o);
}

}  // namespace vlalign
