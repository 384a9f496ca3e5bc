#include "train/run_watch.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/check.hpp"

namespace vlalign {
namespace {

constexpr std::int64_t quiet_steps = 500;
// Far beyond what noise does: of lognormal losses with a deviation of half their size one in a thousand is that far
// off, and three in five have to be.
constexpr double jump_deviations = 8, jump_share = 0.5, smallest_jump = 1e-3;
constexpr double most_waiting = 0.2, little_waiting = 0.15;
// Of steps that are judged together. The first ones of a run fill caches and aren't judged.
constexpr double fewest_seconds = 30;
constexpr std::int64_t fewest_steps = 100, steps_to_start = 10;
constexpr double many_skips = 10, few_skips = 5;
constexpr double highest_scale = 100, lowest_scale = 1;

}  // namespace

bool RunWatch::Once::tell(std::int64_t step, bool is, bool is_over) {
  if (is_over) told_ = false;
  if (!is || told_ || (told_at_ && step < *told_at_ + quiet_steps)) return false;
  told_ = true;
  told_at_ = step;
  return true;
}

std::vector<std::string> RunWatch::note(const StepResult& result) {
  watch_skips(result);
  watch_wait(result);
  if (!result.skipped) {
    watch_jump(result);
    if (!result.action_loss) {  // a policy's accuracy and scale are those of an alignment beside it, or none
      watch_start(result);
      watch_accuracy(result);
      watch_scale(result);
    }
  }
  learning_rate_ = result.learning_rate;
  return std::exchange(lines_, {});
}

void RunWatch::watch_skips(const StepResult& result) {
  skips_.add(result.skipped ? 1 : 0);
  const auto count = skips_.sum();
  if (many_skipped_.tell(result.step, count >= many_skips, count < few_skips))
    lines_.push_back(fmt::format(
        "step {}: {:.0f} of the last {} steps were not finite and were skipped: a learning rate that is too "
        "high, a precision that is too narrow, or records with odd pixels or captions, if it is always the "
        "same ones; try a lower rate, a gradient clip or --precision fp32",
        result.step, count, skips_.size()));
}

void RunWatch::watch_wait(const StepResult& result) {
  const auto before = std::exchange(samples_seen_, result.samples_seen);
  if (++steps_noted_ <= steps_to_start || !(result.pairs_per_s > 0)) return;
  auto& block = block_;
  ++block.steps;
  block.seconds += static_cast<double>(result.samples_seen - before) / result.pairs_per_s;
  block.waited += result.wait_s;
  if (block.steps < fewest_steps || block.seconds < fewest_seconds) return;
  const auto [steps, seconds, waited] = std::exchange(block, {});
  const auto share = waited / seconds;
  if (long_waits_.tell(result.step, share > most_waiting, share < little_waiting))
    lines_.push_back(
        fmt::format("step {}: {:.0f}% of the last {} steps' time went by waiting for data: more --loader-threads where "
                    "processors are idle, a larger --cache-mb where the decoded pictures fit in memory, smaller "
                    "pictures on the disk, or a nearer disk",
                    result.step, 100 * share, steps));
}

void RunWatch::watch_jump(const StepResult& result) {
  newest_losses_.add(result.loss);
  if (losses_.full()) {
    const auto usual = losses_.median(), now = newest_losses_.median();
    const auto far = std::max({jump_deviations * losses_.deviation(), jump_share * std::abs(usual), smallest_jump});
    if (jumped_.tell(result.step, now > usual + far, now < usual + far / 2))
      lines_.push_back(fmt::format(
          "step {}: the loss has jumped from about {:.3g} to {:.3g}: if it doesn't come down by itself, the "
          "learning rate is too high here, or the records of these steps are bad; try a lower rate or a "
          "gradient clip from the last good checkpoint on. Where a stage has just begun it is to be expected",
          result.step, usual, now));
  }
  losses_.add(result.loss);
}

void RunWatch::watch_start(const StepResult& result) {
  if (result.learning_rate > learning_rate_) return;  // it warms up
  first_losses_.add(result.loss);
  first_accuracies_.add(result.accuracy);
  if (!first_losses_.full()) return;
  const auto chance = std::log(batch_size_), loss = first_losses_.median();
  const bool guesses = first_accuracies_.mean() < 2 / batch_size_;
  const auto apart = std::abs(loss - chance) / chance;
  if (stuck_.tell(result.step, guesses && apart<0.02, apart> 0.04))
    lines_.push_back(fmt::format(
        "step {}: for {} steps the loss has been {:.3f}, the logarithm of the batch size, and the accuracy "
        "{:.1f}%: nothing is learned about which caption belongs to which picture. Look at whether they do "
        "in the data, at what is frozen, and at the learning rate, now {:.2g}: 0 or far too low, or so high "
        "that all embeddings have become the same",
        result.step, first_losses_.size(), loss, 100 * first_accuracies_.mean(), result.learning_rate));
}

void RunWatch::watch_accuracy(const StepResult& result) {
  accuracies_.add(result.accuracy);
  const auto mean = accuracies_.mean();
  if (all_right_.tell(result.step, accuracies_.full() && mean > 0.999, mean < 0.99))
    lines_.push_back(fmt::format(
        "step {}: for {} steps nearly every picture has found its own caption in its batch: the model knows "
        "the pairs by heart (are held-out figures still rising?), a batch of {:.0f} is too small to be hard, "
        "or something gives the answer away, such as captions that are written in the pictures",
        result.step, accuracies_.size(), batch_size_));
}

void RunWatch::watch_scale(const StepResult& result) {
  scales_.add(result.logit_scale);
  if (!scales_.full()) return;
  const auto scale = scales_.median();
  if (scale_is_high_.tell(result.step, scale > 0.9999 * highest_scale, scale < 0.98 * highest_scale))
    lines_.push_back(
        fmt::format("step {}: the logit scale is at its upper bound, {:.0f}, and can't grow any more: usual late in a "
                    "long run and with weights that came with it, such as CLIP's; early in a run a sign of a learning "
                    "rate that is too high, or of too few different pairs",
                    result.step, highest_scale));
  if (scale_is_low_.tell(result.step, scale<1.0001 * lowest_scale, scale> 1.02 * lowest_scale))
    lines_.push_back(fmt::format(
        "step {}: the logit scale has fallen to its lower bound, {:.0f}: the loss is smallest where the model "
        "says nothing. Look at whether captions belong to their pictures, and try a lower learning rate",
        result.step, lowest_scale));
}

}  // namespace vlalign
