#include "vlalign/report/comparison.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/json/dump_json.hpp"
#include "report/comparison_sections.hpp"
#include "report/html_page.hpp"
#include "report/report_page.hpp"
#include "report/shown_numbers.hpp"
#include "vlalign/report/report.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

struct Runs {
  std::vector<RunRecord> records;
  std::size_t baseline = 0;
};

/// A baseline that is none of the runs comes before them.
Runs read_runs(std::vector<fs::path> folders, const std::optional<fs::path>& baseline) {
  check(!folders.empty(), "[comparison] runs: expected at least one run folder");
  std::vector<RunRecord> records;
  const auto place = [&](const fs::path& folder) {
    return std::find_if(folders.begin(), folders.end(), [&](const fs::path& other) {
      std::error_code error;
      return fs::equivalent(folder, other, error);
    });
  };
  if (baseline && place(*baseline) == folders.end()) folders.insert(folders.begin(), *baseline);
  for (auto folder = folders.begin(); folder != folders.end(); ++folder) {
    records.push_back(read_run(*folder));
    check(place(*folder) == folder, "{}: the run is named twice", folder->string());
  }
  const auto names = names_of(folders);
  for (std::size_t i = 0; i < records.size(); ++i) records[i].name = names[i];
  return {.records = std::move(records),
          .baseline = baseline ? static_cast<std::size_t>(place(*baseline) - folders.begin()) : 0};
}

/// A chart of one curve of each run; null where a run has none.
template <typename CurveOf>
Chart chart_of_runs(Chart chart, const std::vector<RunRecord>& runs, const CurveOf& curve_of) {
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const Curve* curve = curve_of(runs[i]);
    if (curve != nullptr && !curve->empty())
      chart.lines.push_back({.name = runs[i].name, .curve = curve, .colour = static_cast<int>(i)});
  }
  return chart;
}

void add_training(const std::vector<RunRecord>& runs, ValidationCharts& charts) {
  struct Column {
    const char *name, *unit;
    bool from_zero, first;
    Curve TrainingCurves::*curve;
  };
  for (const auto& column : {Column{"Training loss", "nats", true, true, &TrainingCurves::loss},
                             Column{"Accuracy in the batch", "", true, false, &TrainingCurves::accuracy},
                             Column{"Learning rate", "", true, false, &TrainingCurves::learning_rate},
                             Column{"Logit scale", "", false, false, &TrainingCurves::logit_scale},
                             Column{"Pairs a second", "", true, false, &TrainingCurves::pairs_per_s}}) {
    auto chart = chart_of_runs({.name = column.name, .unit = column.unit, .from_zero = column.from_zero}, runs,
                               [&](const RunRecord& run) { return &(run.training.*column.curve); });
    if (!chart.lines.empty()) (column.first ? charts.first : charts.others).push_back(std::move(chart));
  }
}

/// Those that any run has: a validation's name and a key of it each, the validations in the order of their appearance.
std::vector<std::pair<std::string, std::string>> validated_figures(const std::vector<RunRecord>& runs) {
  std::vector<std::string> names;
  std::vector<std::pair<std::string, std::string>> figures;
  for (const auto& run : runs) {
    for (const auto& [name, key, curve] : run.validations.entries()) {
      const std::pair figure(name, key);
      if (is_constant(key) || std::find(figures.begin(), figures.end(), figure) != figures.end()) continue;
      figures.push_back(figure);
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  std::stable_sort(figures.begin(), figures.end(), [&](const auto& one, const auto& other) {
    const auto place = [&](const auto& figure) {
      return std::pair(std::find(names.begin(), names.end(), figure.first), place_of_key(figure.second));
    };
    return place(one) < place(other);
  });
  return figures;
}

const Curve* curve_of(const RunRecord& run, const std::string& name, const std::string& key) {
  for (const auto& entry : run.validations.entries())
    if (entry.name == name && entry.key == key) return &entry.curve;
  return nullptr;
}

void add_validations(const std::vector<RunRecord>& runs, ValidationCharts& charts) {
  for (const auto& figure : validated_figures(runs)) {
    const auto& [name, key] = figure;
    const bool share = is_share(key);
    const Chart empty{.name = fmt::format("{}: {}", name, readable_key(key)), .from_zero = share, .percent = share};
    auto chart = chart_of_runs(empty, runs,
                               [&figure](const RunRecord& run) { return curve_of(run, figure.first, figure.second); });
    (is_detail(key) ? charts.others : charts.first).push_back(std::move(chart));
  }
}

/// By which the script finds a step's time and pairs.
nlohmann::ordered_json clock_json(const TrainingCurves& training) {
  nlohmann::ordered_json json = {{"steps", {0}}, {"seconds", {0}}, {"pairs", {0}}};
  for (const auto& point : training.seconds.points()) {
    json["steps"].push_back(point.step);
    json["seconds"].push_back(legible(point.high));
  }
  for (const auto& point : training.samples_seen.points()) json["pairs"].push_back(point.high);
  return json;
}

std::string comparison_data(const std::vector<RunRecord>& runs, const ValidationCharts& charts) {
  auto data =
      nlohmann::ordered_json{{"runs", nlohmann::ordered_json::array()}, {"charts", nlohmann::ordered_json::array()}};
  for (const auto& run : runs) data["runs"].push_back(clock_json(run.training));
  for (const auto* of : {&charts.first, &charts.others})
    for (const auto& chart : *of) data["charts"].push_back(chart_json(chart));
  return dump_readable(data);
}

}  // namespace

std::string comparison_html(const std::vector<fs::path>& folders, const std::optional<fs::path>& baseline) {
  const auto [runs, base] = read_runs(folders, baseline);
  ValidationCharts charts;
  add_training(runs, charts);
  add_validations(runs, charts);
  const auto title = runs.size() == 1 ? runs.front().name : fmt::format("{} runs compared", runs.size());
  return html_page({.title = title,
                    .subtitle = "",
                    .body = runs_section(runs, base) + settings_section(runs) + final_figures_section(runs, base) +
                            run_curves_section(charts.first, charts.others),
                    .data = comparison_data(runs, charts),
                    .script = comparison_script});
}

void write_comparison(const std::vector<fs::path>& runs, const fs::path& file,
                      const std::optional<fs::path>& baseline) {
  check_report_place(file);
  write_file_atomically(file, comparison_html(runs, baseline));
}

}  // namespace vlalign
