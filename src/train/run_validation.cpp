#include "train/run_validation.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <set>
#include <string_view>

#include "core/check.hpp"

namespace vlalign {
namespace {

/// Thrown through a measure that is to end at once.
struct Interrupted {};

/// The validation with the longest name that a figure's name begins with: names may have dots too.
const Validation* validation_of(const std::vector<Validation>& all, const std::string& figure) {
  const Validation* found = nullptr;
  for (const auto& validation : all) {
    if (figure.starts_with(validation.name + ".") && (!found || validation.name.size() > found->name.size()))
      found = &validation;
  }
  return found;
}

std::optional<FigureName> figure_name(const TrainerOptions& options, const std::string& figure) {
  const auto* of = validation_of(options.validations, figure);
  return of ? std::optional(FigureName{of->name, figure.substr(of->name.size() + 1)}) : std::nullopt;
}

void check_figure(const TrainerOptions& options, const char* what, const std::string& figure) {
  if (figure.empty()) return;
  const auto* of = validation_of(options.validations, figure);
  std::vector<std::string> names;
  for (const auto& validation : options.validations) names.push_back(validation.name);
  check(of != nullptr, "[Trainer] {}: \"{}\" is no figure of a validation; expected NAME.KEY with a NAME of: {}", what,
        figure, names.empty() ? "none, there are no validations" : fmt::format("{}", fmt::join(names, ", ")));
  const auto key = figure.substr(of->name.size() + 1);
  check(of->keys.empty() || std::find(of->keys.begin(), of->keys.end(), key) != of->keys.end(),
        "[Trainer] {}: \"{}\" has no figure \"{}\"; it has {}", what, of->name, key, fmt::join(of->keys, ", "));
}

}  // namespace

void check_validation(const TrainerOptions& options) {
  const auto& o = options.validation;
  std::set<std::string> names;
  for (const auto& validation : options.validations) {
    check(!validation.name.empty(), "[Trainer] validations: one has no name");
    check(names.insert(validation.name).second, "[Trainer] validations: two are called \"{}\"", validation.name);
    check(validation.measure != nullptr, "[Trainer] validations: \"{}\" has no function measure", validation.name);
  }
  check(o.every >= 0, "[Trainer] validation.every: expected 0 or more steps, got {}", o.every);
  check(o.patience >= 0, "[Trainer] validation.patience: expected 0 or more validations, got {}", o.patience);
  check(o.patience == 0 || !o.best.empty(), "[Trainer] validation.patience: needs a figure in validation.best");
  check(std::isfinite(o.largest_fall) && o.largest_fall >= 0,
        "[Trainer] validation.largest_fall: expected 0 or more, got {}", o.largest_fall);
  check_figure(options, "validation.best", o.best);
  check_figure(options, "validation.guard", o.guard);
}

bool is_better_lower(const std::string& key) {
  constexpr std::array<std::string_view, 10> lower{"loss",
                                                   "median_rank",
                                                   "alignment",
                                                   "uniformity",
                                                   "modality_gap",
                                                   "calibration_error",
                                                   "negative_log_likelihood",
                                                   "antihubs",
                                                   "skewness",
                                                   "error"};
  const auto last = std::string_view(key).substr(key.rfind('.') + 1);
  return std::find(lower.begin(), lower.end(), last) != lower.end();
}

RunValidation::RunValidation(const TrainerOptions& options)
    : options_(options),
      best_(figure_name(options, options.validation.best)),
      guard_(figure_name(options, options.validation.guard)) {}

std::vector<std::string> RunValidation::names() const {
  std::vector<std::string> names;
  for (const auto& validation : options_.validations) names.push_back(validation.name);
  return names;
}

void RunValidation::go_on_from(const std::vector<ValidationResult>& results, std::int64_t step) {
  for (const auto& result : results) note(result);
  if (!results.empty() && results.back().step == step) done_ = step;
}

std::int64_t RunValidation::best_of(const std::vector<ValidationResult>& results,
                                    const std::function<bool(std::int64_t)>& has_checkpoint) const {
  std::int64_t best = 0;
  double best_figure = 0;
  for (const auto& result : results) {
    if (!best_ || result.name != best_->validation || !has_checkpoint(result.step)) continue;
    const double now = (is_better_lower(best_->key) ? -1 : 1) * figure(result, best_->key);
    if (!std::isfinite(now) || (best > 0 && now <= best_figure)) continue;
    best = result.step, best_figure = now;
  }
  return best;
}

bool RunValidation::is_due(std::int64_t step, bool is_last) const {
  if (options_.validations.empty() || done_ == step) return false;
  const auto every = options_.validation.every;
  const bool in_turn = every > 0 && step > 0 && step % every == 0;
  return is_last || in_turn || (step == 0 && guard_);
}

bool RunValidation::measure(const DualEncoder& model, std::int64_t step, bool is_last, const std::atomic<bool>& stop,
                            const ValidationListener& listener) {
  using Clock = std::chrono::steady_clock;
  auto options = embed_options(stop);
  std::vector<ValidationResult> results;
  for (const auto& validation : options_.validations) {
    ValidationResult result{.step = step, .name = validation.name, .seconds = 0, .figures = {}};
    options.embedded = [&](const Embeddings& embeddings, const PairSource& source) {
      listener.embedded({validation.name, step, is_last, embeddings, source});
    };
    const auto start = Clock::now();
    try {
      if (options.progress) options.progress(0, 1);
      result.figures = validation.measure(model, options);
    } catch (const Interrupted&) {
      return false;
    }
    result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    results.push_back(std::move(result));
    listener.result(results.back());
  }
  for (const auto& result : results) note(result);
  done_ = step;
  return true;
}

EmbedOptions RunValidation::embed_options(const std::atomic<bool>& stop) const {
  const auto& o = options_;
  EmbedOptions options{.precision = o.precision, .threads = o.loader_threads, .ranks = o.ranks};
  if (o.micro_batch > 0) options.batch_size = o.micro_batch;
  if (o.ranks.alone())
    options.progress = [&stop](std::int64_t, std::int64_t) {
      if (stop) throw Interrupted();
    };
  return options;
}

void RunValidation::note(const ValidationResult& result) {
  if (best_ && result.name == best_->validation) note_best(result);
  if (guard_ && result.name == guard_->validation) {
    guard_now_ = figure(result, guard_->key);
    if (!guard_start_) guard_start_ = guard_now_;
  }
}

void RunValidation::note_best(const ValidationResult& result) {
  const double now = figure(result, best_->key);
  const double sign = is_better_lower(best_->key) ? -1 : 1;
  const bool better = std::isfinite(now) && (!best_figure_ || sign * now > sign * *best_figure_);
  worse_in_a_row_ = better ? 0 : worse_in_a_row_ + 1;
  if (!better) return;
  best_figure_ = now;
  best_step_ = result.step;
}

double RunValidation::figure(const ValidationResult& result, const std::string& key) const {
  const auto found = result.figures.find(key);
  if (found != result.figures.end()) return found->second;
  std::vector<std::string> keys;
  for (const auto& [name, value] : result.figures) keys.push_back(name);
  fail("[Trainer] validation: \"{}\" has no figure \"{}\"; it has {}", result.name, key, fmt::join(keys, ", "));
}

bool RunValidation::is_out_of_patience() const {
  const auto patience = options_.validation.patience;
  return patience > 0 && worse_in_a_row_ >= patience;
}

void RunValidation::check_guard() const {
  if (!guard_ || !guard_start_ || !guard_now_) return;
  const double sign = is_better_lower(guard_->key) ? -1 : 1;
  const double fall = sign * (*guard_start_ - *guard_now_);
  check(fall <= options_.validation.largest_fall,
        "the guarded figure {} was {:.4g} at first and is {:.4g} behind step {}, worse by more than {:.4g}: the model "
        "forgets; try a lower learning rate, more that is frozen, or interpolation with the model it began as",
        options_.validation.guard, *guard_start_, *guard_now_, done_, options_.validation.largest_fall);
}

}  // namespace vlalign
