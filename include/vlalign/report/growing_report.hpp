#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "vlalign/core/export.hpp"
#include "vlalign/report/report.hpp"

namespace vlalign {

/// A run folder's report.html while the run lasts, which shows how far it is, its curves and what its validations have
/// found so far, and reloads itself in the browser. Each time only what is new in metrics.jsonl and validation.jsonl is
/// read, so a page costs some milliseconds after a million steps too, and no memory that grows with them.
///
///     GrowingReport report("runs/mine", {.title = "mine"});
///     trainer.on_step([&](const StepResult& r) { report.at_step(r.step, r.steps); });
///
/// A page that can't be written, as on a full disk, costs a warning and not the run. When the run is over,
/// write_report() puts its last report in the place.
class VLALIGN_EXPORT GrowingReport {
 public:
  /// page: title, subtitle and facts; every: between two pages
  explicit GrowingReport(std::filesystem::path run, ReportInput page,
                         std::chrono::seconds every = std::chrono::minutes(1));
  ~GrowingReport();

  /// Writes a page where one is due: behind the first step, and then every so often.
  void at_step(std::int64_t step, std::int64_t steps);
  /// The next at_step() writes a page, as behind a validation.
  void hurry();
  /// The last page of a run that stopped before its last step, which doesn't reload itself.
  void stopped();

 private:
  void write(bool lasts);

  struct VLALIGN_HIDDEN State;
  std::unique_ptr<State> state_;
};

}  // namespace vlalign
