// The validations of a run, and what follows from them. Internal.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "vlalign/train/trainer.hpp"

namespace vlalign {

/// NAME.KEY of one of the validations, taken apart.
struct FigureName {
  std::string validation, key;
};

/// What a validation has embedded.
struct EmbeddedSet {
  const std::string& name;
  std::int64_t step = 0;
  bool is_last = false;
  const Embeddings& embeddings;
  const PairSource& source;
};

/// Who hears of a validation.
struct ValidationListener {
  std::function<void(const ValidationResult&)> result;
  std::function<void(const EmbeddedSet&)> embedded;
};

/// Throws Error unless the validations have names of their own, and `best` and `guard` are figures of one of them.
void check_validation(const TrainerOptions& options);

/// Whether a smaller figure of this key is better: losses, ranks, errors, distances.
bool is_better_lower(const std::string& key);

class RunValidation {
 public:
  /// options must outlive it, and be checked.
  explicit RunValidation(const TrainerOptions& options);

  std::vector<std::string> names() const;
  /// Takes note of what was found before the run was interrupted.
  void go_on_from(const std::vector<ValidationResult>& results, std::int64_t step);
  /// Of these results' steps that have a checkpoint, the best one's; 0: there is none.
  std::int64_t best_of(const std::vector<ValidationResult>& results,
                       const std::function<bool(std::int64_t)>& has_checkpoint) const;
  /// This step's is not due again.
  void skip(std::int64_t step) { done_ = step; }

  /// Whether the model behind this step is to be validated, and hasn't been. Behind the last step all are.
  bool is_due(std::int64_t step, bool is_last) const;

  /// Measures the model, and tells each result. False where `stop` was set meanwhile: then the step's validation is to
  /// be taken again. On several ranks it isn't looked at.
  bool measure(const DualEncoder& model, std::int64_t step, bool is_last, const std::atomic<bool>& stop,
               const ValidationListener& listener);

  /// Whether the last one was better in ValidationOptions::best than all before.
  bool is_best() const { return best_step_ > 0 && best_step_ == done_; }
  std::int64_t best_step() const { return best_step_; }  ///< 0: none yet
  bool is_out_of_patience() const;
  /// Throws Error where the guarded figure has fallen too far.
  void check_guard() const;

 private:
  EmbedOptions embed_options(const std::atomic<bool>& stop) const;
  void note(const ValidationResult& result);
  void note_best(const ValidationResult& result);
  double figure(const ValidationResult& result, const std::string& key) const;

  const TrainerOptions& options_;
  std::optional<FigureName> best_, guard_;
  std::int64_t done_ = -1;  ///< the step of the last validation
  std::int64_t best_step_ = 0, worse_in_a_row_ = 0;
  std::optional<double> best_figure_, guard_start_, guard_now_;
};

}  // namespace vlalign
