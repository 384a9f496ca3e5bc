#include "report/comparison_sections.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "report/html_text.hpp"
#include "report/shown_numbers.hpp"

namespace vlalign {
namespace {

constexpr std::size_t rows_at_once = 30, longest_value = 60, longest_fingerprint = 10;

bool is_fingerprint(const std::string& key) { return key.starts_with("identity."); }

std::string header_cells(std::span<const RunRecord> runs) {
  std::string cells;
  for (const auto& run : runs) cells += fmt::format(R"(<th scope="col">{}</th>)", escape_html(shorten(run.name)));
  return cells;
}

/// A table with a column a run, which scrolls sideways where it must.
std::string wide_table(std::string_view name, std::string_view first_column, std::span<const RunRecord> runs,
                       std::string_view rows) {
  return fmt::format(R"(
<div class="card wide" tabindex="0" role="region" aria-label="{}">
  <table><thead><tr><th scope="col">{}</th>{}</tr></thead><tbody>{}</tbody></table>
</div>)",
                     escape_html(name), first_column, header_cells(runs), rows);
}

std::string setting_row(const std::string& key, std::span<const RunRecord> runs) {
  const auto longest = is_fingerprint(key) ? longest_fingerprint : longest_value;
  std::string cells;
  for (const auto& run : runs) {
    const auto found = run.settings.find(key);
    if (found == run.settings.end()) {
      cells += "<td>—</td>";
      continue;
    }
    cells += fmt::format(R"(<td title="{}">{}</td>)", escape_html(shorten(found->second, 400)),
                         escape_html(shorten(found->second, longest)));
  }
  return fmt::format(R"(<tr><th scope="row">{}</th>{}</tr>)", escape_html(shorten(key)), cells);
}

bool differs(const std::string& key, std::span<const RunRecord> runs) {
  const auto value = [&](const RunRecord& run) {
    const auto found = run.settings.find(key);
    return found == run.settings.end() ? nullptr : &found->second;
  };
  const auto* first = value(runs.front());
  return std::any_of(runs.begin(), runs.end(), [&](const RunRecord& run) {
    const auto* other = value(run);
    return (first == nullptr) != (other == nullptr) || (first != nullptr && *first != *other);
  });
}

/// What people set first; fingerprints last.
std::vector<std::string> differing_keys(std::span<const RunRecord> runs) {
  std::set<std::string> all;
  for (const auto& run : runs)
    for (const auto& [key, value] : run.settings) all.insert(key);
  std::vector<std::string> keys;
  for (const auto& key : all)
    if (differs(key, runs)) keys.push_back(key);
  std::stable_partition(keys.begin(), keys.end(), [](const auto& key) { return !is_fingerprint(key); });
  return keys;
}

}  // namespace

std::string runs_section(std::span<const RunRecord> runs, std::size_t baseline) {
  std::string items;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    std::string missing;
    for (const auto& what : runs[i].missing) missing += fmt::format("<li>{}</li>", escape_html(shorten(what, 300)));
    items += fmt::format(R"(
<li class="card run"><button type="button" aria-pressed="true" data-run="{}" aria-label="Curves of {}"><span></span></button>
  <div><strong>{}</strong>{}<p class="note">{}</p>{}</div></li>)",
                         i, escape_html(shorten(runs[i].name)), escape_html(shorten(runs[i].name)),
                         i == baseline && runs.size() > 1 ? R"( <span class="tag">baseline</span>)" : "",
                         escape_html(runs[i].state),
                         missing.empty() ? "" : fmt::format(R"(<ul class="note missing">{}</ul>)", missing));
  }
  return fmt::format(R"(
<section>
  <h2>Runs</h2>
  <p class="note">A run’s button hides its curves and shows them again.</p>
  <ul class="runs">{}</ul>
</section>)",
                     items);
}

std::string settings_section(std::span<const RunRecord> runs) {
  if (runs.size() < 2) return "";
  const auto keys = differing_keys(runs);
  if (keys.empty())
    return R"(<section><h2>Settings that differ</h2><p class="card">All settings of these runs are the same.</p></section>)";
  std::string rows, more;
  for (std::size_t i = 0; i < keys.size(); ++i) (i < rows_at_once ? rows : more) += setting_row(keys[i], runs);
  auto tables = wide_table("Settings that differ", "Setting", runs, rows);
  if (!more.empty())
    tables += fmt::format("<details><summary>{} more</summary>{}</details>", keys.size() - rows_at_once,
                          wide_table("More settings that differ", "Setting", runs, more));
  return fmt::format("<section><h2>Settings that differ</h2>{}</section>", tables);
}

std::string run_curves_section(std::span<const Chart> first, std::span<const Chart> others) {
  if (first.empty() && others.empty()) return "";
  std::string more;
  if (!others.empty())
    more = fmt::format(R"(<details><summary>{}</summary><div class="curves">{}</div></details>)",
                       plural(std::ssize(others), "more figure", "more figures"), chart_figures(others, first.size()));
  return fmt::format(R"(
<section>
  <h2>Curves</h2>
  <fieldset class="switch"><legend>Over</legend>
    <label><input type="radio" name="over" value="steps" checked> steps</label>
    <label><input type="radio" name="over" value="seconds"> time of training</label>
    <label><input type="radio" name="over" value="pairs"> pairs seen</label>
  </fieldset>
  <div class="curves">{}</div>{}
</section>)",
                     chart_figures(first, 0), more);
}

}  // namespace vlalign
