#include "report/progress_section.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "report/html_text.hpp"
#include "report/shown_numbers.hpp"

namespace vlalign {
namespace {

using Entry = ValidationCurves::Entry;

/// At the rate so far; nothing where that isn't known.
std::string time_left(const ReportProgress& progress, const Curve& seconds) {
  if (seconds.empty() || progress.step <= 0 || seconds.last() <= 0) return "";
  const auto left = static_cast<double>(progress.steps - progress.step);
  return fmt::format(" · about {} left", duration(left * seconds.last() / static_cast<double>(progress.step)));
}

/// The figure of a validation that says most.
const Entry& foremost(const std::vector<const Entry*>& figures) {
  for (const auto* key : {"image_to_text.recall@1", "top1", "loss"})
    for (const auto* figure : figures)
      if (figure->key == key) return *figure;
  return *figures.front();
}

std::string latest_card(const Entry& figure) {
  return fmt::format(
      R"(
<article class="card">
  <h2>{}</h2>
  <div class="big">{}</div>
  <p class="what">{}, behind step {}</p>
</article>)",
      escape_html(shorten(figure.name)), datum(figure.curve.last(), shown_figure(figure.key, figure.curve.last())),
      escape_html(shorten(readable_key(figure.key))),
      with_thousands(static_cast<std::int64_t>(figure.curve.points().back().step)));
}

}  // namespace

std::string progress_section(const ReportInput& input) {
  if (!input.progress) return "";
  const auto& p = *input.progress;
  const double share = p.steps > 0 ? static_cast<double>(p.step) / static_cast<double>(p.steps) : 0.0;
  const auto note =
      p.reload ? fmt::format("While the run lasts this page loads itself again every {} s.", p.reload->count())
               : std::string("The run was stopped before its last step; vlalign train --resume goes on with it.");
  const auto written = fmt::gmtime(std::chrono::system_clock::to_time_t(p.written));
  return fmt::format(
      R"(
<section class="card progress" id="progress" data-reload="{reload}" aria-label="Progress">
  <div class="bar" aria-hidden="true"><i style="width:{width:.2f}%"></i></div>
  <p><strong>{stopped}tep {step} of {steps}</strong> · {share:.0f}%{left} · written <time
    datetime="{written:%FT%TZ}">{written:%F %T} UTC</time></p>
  <p class="note">{note}</p>
</section>)",
      fmt::arg("reload", p.reload ? p.reload->count() : 0), fmt::arg("width", 100.0 * std::clamp(share, 0.0, 1.0)),
      fmt::arg("stopped", p.reload ? "S" : "Stopped behind s"), fmt::arg("step", with_thousands(p.step)),
      fmt::arg("steps", with_thousands(p.steps)), fmt::arg("share", 100.0 * share),
      fmt::arg("left", p.reload ? time_left(p, input.metrics.seconds) : ""), fmt::arg("written", written),
      fmt::arg("note", note));
}

std::string latest_validations_section(const ReportInput& input) {
  std::vector<std::vector<const Entry*>> of_name;
  for (const auto& entry : input.validations.entries()) {
    const auto same = std::find_if(of_name.begin(), of_name.end(),
                                   [&](const auto& entries) { return entries.front()->name == entry.name; });
    if (same == of_name.end()) {
      of_name.push_back({&entry});
    } else {
      same->push_back(&entry);
    }
  }
  if (of_name.empty())
    return input.progress ? "" : R"(<p class="card">This run was not tested: no pairs were held out.</p>)";
  std::string cards;
  for (const auto& entries : of_name) cards += latest_card(foremost(entries));
  return fmt::format(R"(<div class="headline">{}</div>)", cards);
}

}  // namespace vlalign
