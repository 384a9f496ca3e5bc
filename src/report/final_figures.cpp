// Final figures of several runs beside each other.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "report/comparison_sections.hpp"
#include "report/html_text.hpp"
#include "report/run_difference.hpp"
#include "report/shown_numbers.hpp"

namespace vlalign {
namespace {

/// One test as the runs have it; null in those that don't.
struct TestOfRuns {
  std::string name;
  std::vector<const FinalTest*> of_run;
  std::vector<TestDifference> differences;  ///< from the baseline's
};

/// In the order in which they first appear. Tests without a name are those of the first run that names its first.
std::vector<TestOfRuns> tests_of_runs(std::span<const RunRecord> runs) {
  std::string first_name = "Held-out pairs";
  for (auto run = runs.rbegin(); run != runs.rend(); ++run)
    if (!run->tests.empty() && !run->tests.front().name.empty()) first_name = run->tests.front().name;
  std::vector<TestOfRuns> tests;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for (const auto& test : runs[i].tests) {
      const auto& name = test.name.empty() ? first_name : test.name;
      auto found = std::find_if(tests.begin(), tests.end(), [&](const auto& t) { return t.name == name; });
      if (found == tests.end())
        found = tests.insert(tests.end(),
                             {.name = name, .of_run = std::vector<const FinalTest*>(runs.size()), .differences = {}});
      if (found->of_run[i] == nullptr) found->of_run[i] = &test;
    }
  }
  return tests;
}

void add_differences(TestOfRuns& test, std::size_t baseline) {
  test.differences.resize(test.of_run.size());
  const auto* base = test.of_run[baseline];
  for (std::size_t i = 0; i < test.of_run.size(); ++i) {
    if (i == baseline || test.of_run[i] == nullptr) continue;
    test.differences[i] =
        base == nullptr ? TestDifference{{}, "the baseline has no such test"} : difference_of(*test.of_run[i], *base);
  }
}

/// Where intervals are drawn: a stretch of round shares around all of them.
struct IntervalScale {
  double low = 1.0, high = 0.0;

  void take_in(double from, double to) {
    low = std::min(low, std::floor(20 * from) / 20);
    high = std::max(high, std::ceil(20 * to) / 20);
  }
  double place(double value) const { return high > low ? 100.0 * (value - low) / (high - low) : 50.0; }
};

Interval interval_of(const FinalTest& test, const std::string& key) {
  const auto found = test.intervals.find(key);
  const double value = test.figures.at(key);
  return found == test.intervals.end() ? Interval{value, value} : found->second;
}

bool has_figure(const FinalTest* test, const std::string& key) {
  return test != nullptr && test->figures.contains(key) && std::isfinite(test->figures.at(key));
}

std::string difference_text(const std::string& key, const TestOfRuns& test, std::size_t run, std::size_t baseline) {
  if (run == baseline) return "baseline";
  if (!has_figure(test.of_run[baseline], key)) return "";
  const auto& own = *test.of_run[run];
  const auto& base = *test.of_run[baseline];
  auto text = fmt::format("{:+.1f} points", 100 * (own.figures.at(key) - base.figures.at(key)));
  const auto& paired = test.differences[run].paired;
  if (const auto found = paired.find(key); found != paired.end())
    text += fmt::format(" ({:+.1f} to {:+.1f})", 100 * found->second.interval.low, 100 * found->second.interval.high);
  const auto words = verdict(key, own, base, test.differences[run]);
  return words.empty() ? text : text + ": " + words;
}

std::string interval_row(const std::string& key, const TestOfRuns& test, std::span<const RunRecord> runs,
                         std::size_t run, std::size_t baseline, const IntervalScale& scale) {
  const auto name = escape_html(shorten(runs[run].name));
  const auto value = test.of_run[run]->figures.at(key);
  const auto [low, high] = interval_of(*test.of_run[run], key);
  const auto text = runs.size() > 1 ? difference_text(key, test, run, baseline) : "";
  return fmt::format(
      R"html(
<li style="--run:var(--line-{})"><span class="who">{}</span>
  <span class="interval" aria-hidden="true"><i style="left:{:.2f}%;width:{:.2f}%"></i><b style="left:{:.2f}%"></b></span>
  <span class="value"><strong>{}</strong> <span class="muted">{} to {}</span></span>
  <span class="verdict note">{}</span></li>)html",
      run % 8, name, scale.place(low), scale.place(high) - scale.place(low), scale.place(value),
      datum(value, percent(value)), percent(low), percent(high), escape_html(text));
}

std::string interval_card(const std::string& key, const TestOfRuns& test, std::span<const RunRecord> runs,
                          std::size_t baseline) {
  IntervalScale scale;
  for (const auto* of_run : test.of_run) {
    if (!has_figure(of_run, key)) continue;
    const auto [low, high] = interval_of(*of_run, key);
    scale.take_in(low, high);
  }
  std::string rows;
  std::vector<std::string> without;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (has_figure(test.of_run[i], key)) {
      rows += interval_row(key, test, runs, i, baseline, scale);
    } else {
      without.push_back(shorten(runs[i].name));
    }
  }
  const auto rest = without.empty() ? ""
                                    : fmt::format(R"(<p class="note">Without this figure: {}</p>)",
                                                  escape_html(fmt::format("{}", fmt::join(without, ", "))));
  return fmt::format(
      R"(
<div class="card">
  <h4>{}</h4>
  <ul class="intervals">{}<li class="ends" aria-hidden="true"><span></span><span class="ticks"><span>{:.0f}%</span><span>{:.0f}%</span></span></li></ul>
  {}
</div>)",
      escape_html(readable_key(key)), rows, 100 * scale.low, 100 * scale.high, rest);
}

std::string table_of_all(const TestOfRuns& test, std::span<const RunRecord> runs) {
  std::set<std::string> keys;
  for (const auto* of_run : test.of_run)
    if (of_run != nullptr)
      for (const auto& [key, value] : of_run->figures)
        if (!key.starts_with("chance.")) keys.insert(key);
  std::string head, rows;
  for (const auto& run : runs) head += fmt::format(R"(<th scope="col">{}</th>)", escape_html(shorten(run.name)));
  for (const auto& key : keys) {
    rows += fmt::format(R"(<tr><th scope="row">{}</th>)", escape_html(shorten(readable_key(key))));
    for (const auto* of_run : test.of_run) {
      const bool there = of_run != nullptr && of_run->figures.contains(key);
      rows +=
          there ? fmt::format("<td>{}</td>", datum(of_run->figures.at(key), shown_figure(key, of_run->figures.at(key))))
                : "<td>—</td>";
    }
    rows += "</tr>";
  }
  return fmt::format(R"(
<details><summary>All figures</summary>
  <div class="card wide" tabindex="0" role="region" aria-label="All figures of {}">
    <table><thead><tr><th scope="col">Figure</th>{}</tr></thead><tbody>{}</tbody></table>
  </div></details>)",
                     escape_html(shorten(test.name)), head, rows);
}

/// What keeps the queries of some runs from being paired with the baseline's.
std::string reasons(const TestOfRuns& test, std::span<const RunRecord> runs) {
  std::string items;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (test.differences[i].why_not.empty()) continue;
    items +=
        fmt::format("<li>{}: {}</li>", escape_html(shorten(runs[i].name)), escape_html(test.differences[i].why_not));
  }
  return items.empty()
             ? ""
             : fmt::format(R"(<p class="note">Not paired with the baseline:</p><ul class="note missing">{}</ul>)",
                           items);
}

std::string test_part(const TestOfRuns& test, std::span<const RunRecord> runs, std::size_t baseline) {
  constexpr std::array foremost_keys{"image_to_text.recall@1", "text_to_image.recall@1", "top1"};
  std::string cards;
  for (const auto* key : foremost_keys) {
    const bool any = std::any_of(test.of_run.begin(), test.of_run.end(),
                                 [&](const auto* of_run) { return has_figure(of_run, key); });
    if (any) cards += interval_card(key, test, runs, baseline);
  }
  return fmt::format(R"(<h3>{}</h3><div class="finals">{}</div>{}{})", escape_html(shorten(test.name)), cards,
                     reasons(test, runs), table_of_all(test, runs));
}

}  // namespace

std::string final_figures_section(std::span<const RunRecord> runs, std::size_t baseline) {
  auto tests = tests_of_runs(runs);
  if (tests.empty()) return "";
  std::string parts;
  for (auto& test : tests) {
    add_differences(test, baseline);
    parts += test_part(test, runs, baseline);
  }
  const std::string_view explanation =
      runs.size() < 2 ? ""
                      : " Behind a difference from the baseline stand its own interval, and the p value of a paired "
                        "bootstrap over the test’s queries: what such a difference, or a larger one, has for a chance "
                        "where there is none. Of twenty comparisons of equal models one has p below 0.05.";
  return fmt::format(R"(
<section>
  <h2>Final figures</h2>
  <p class="note">Each bar is the 95% interval over draws of the test’s pictures.{}</p>
  {}
</section>)",
                     explanation, parts);
}

}  // namespace vlalign
