#include "vlalign/report/growing_report.hpp"

#include <algorithm>

#include "core/log.hpp"
#include "eval/metrics_line.hpp"
#include "eval/new_lines.hpp"
#include "eval/validation_line.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign {

using Clock = std::chrono::steady_clock;

struct GrowingReport::State {
  std::filesystem::path file;
  ReportInput page;
  std::chrono::seconds every;
  NewLines metrics, validations;
  std::int64_t step = 0, steps = 0;
  Clock::time_point due{};
  bool warned = false;

  void read_what_is_new() {
    metrics.read([this](std::string_view line, int number) {
      page.metrics.add(parse_metrics_line(line, metrics.file(), number));
    });
    validations.read([this](std::string_view line, int number) {
      page.validations.add(parse_validation_line(line, validations.file(), number));
    });
  }
};

GrowingReport::GrowingReport(std::filesystem::path run, ReportInput page, std::chrono::seconds every)
    : state_(new State{.file = run / "report.html",
                       .page = std::move(page),
                       .every = every,
                       .metrics = NewLines(run / "metrics.jsonl"),
                       .validations = NewLines(run / "validation.jsonl")}) {}

GrowingReport::~GrowingReport() = default;

void GrowingReport::at_step(std::int64_t step, std::int64_t steps) {
  state_->step = step;
  state_->steps = steps;
  if (Clock::now() >= state_->due) write(/*lasts=*/true);
}

void GrowingReport::hurry() { state_->due = {}; }

void GrowingReport::stopped() { write(/*lasts=*/false); }

void GrowingReport::write(bool lasts) {
  auto& state = *state_;
  state.due = Clock::now() + state.every;
  try {
    state.read_what_is_new();
    state.page.progress = {
        .step = state.step, .steps = state.steps, .written = std::chrono::system_clock::now(), .reload = {}};
    if (lasts) state.page.progress->reload = std::max(state.every, std::chrono::seconds(1));
    write_report(state.page, state.file);
  } catch (const Error& error) {
    if (!state.warned) log_warning("the report can't be written while the run lasts: {}", error.what());
    state.warned = true;
  }
}

}  // namespace vlalign
