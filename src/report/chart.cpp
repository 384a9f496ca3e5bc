#include "report/chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "report/html_text.hpp"
#include "report/shown_numbers.hpp"

namespace vlalign {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t most_names = 80;  // characters of a line's name in a legend

Json line_json(const ChartLine& line) {
  Json json = {{"name", shorten(line.name, most_names)},
               {"colour", line.colour},
               {"step", Json::array()},
               {"mean", Json::array()}};
  const auto& points = line.curve->points();
  const bool bands = std::any_of(points.begin(), points.end(), [](const auto& point) { return point.finite > 1; });
  if (bands) json["low"] = json["high"] = Json::array();
  for (const auto& point : points) {
    json["step"].push_back(point.step);
    json["mean"].push_back(legible(point.mean()));
    if (!bands) continue;
    json["low"].push_back(point.finite > 0 ? legible(point.low) : nullptr);
    json["high"].push_back(point.finite > 0 ? legible(point.high) : nullptr);
  }
  return json;
}

}  // namespace

Json legible(double value) {
  if (!std::isfinite(value)) return nullptr;
  return std::strtod(fmt::format("{:.5g}", value).c_str(), nullptr);
}

Json chart_json(const Chart& chart) {
  Json json = {{"name", chart.name},
               {"unit", chart.unit},
               {"zero", chart.from_zero},
               {"percent", chart.percent},
               {"lines", Json::array()}};
  for (const auto& line : chart.lines) json["lines"].push_back(line_json(line));
  return json;
}

std::string chart_figures(std::span<const Chart> charts, std::size_t first) {
  std::string figures;
  for (std::size_t i = 0; i < charts.size(); ++i) {
    figures += fmt::format(R"(
<figure class="card" id="chart-{0}">
  <figcaption><span>{1}</span> <span class="now" aria-live="polite"></span></figcaption>
  <svg role="img" tabindex="0" aria-label="{1} over the training; the arrow keys move through it"></svg>
</figure>)",
                           first + i, escape_html(shorten(charts[i].name)));
  }
  return figures;
}

std::vector<Chart> training_charts(const TrainingCurves& curves) {
  std::vector<Chart> charts;
  const auto add = [&](const char* name, const char* unit, bool from_zero, const Curve& curve) {
    if (!curve.empty())
      charts.push_back({.name = name, .unit = unit, .from_zero = from_zero, .lines = {{.name = "", .curve = &curve}}});
  };
  add("Loss", "nats", true, curves.loss);
  add("Accuracy in the batch", "", true, curves.accuracy);
  add("Logit scale", "", false, curves.logit_scale);
  add("Learning rate", "", true, curves.learning_rate);
  add("Pairs a second", "", true, curves.pairs_per_s);
  return charts;
}

ValidationCharts validation_charts(const ValidationCurves& validations) {
  std::vector<std::string> names, keys;
  for (const auto& entry : validations.entries()) {
    if (is_constant(entry.key)) continue;
    if (std::find(names.begin(), names.end(), entry.name) == names.end()) names.push_back(entry.name);
    if (std::find(keys.begin(), keys.end(), entry.key) == keys.end()) keys.push_back(entry.key);
  }
  std::stable_sort(keys.begin(), keys.end(),
                   [](const auto& one, const auto& other) { return place_of_key(one) < place_of_key(other); });
  ValidationCharts charts;
  for (const auto& key : keys) {
    Chart chart{.name = readable_key(key), .from_zero = is_share(key), .percent = is_share(key)};
    for (const auto& entry : validations.entries()) {
      if (entry.key != key) continue;
      const auto name = std::find(names.begin(), names.end(), entry.name) - names.begin();
      chart.lines.push_back({.name = entry.name, .curve = &entry.curve, .colour = static_cast<int>(name)});
    }
    (is_detail(key) ? charts.others : charts.first).push_back(std::move(chart));
  }
  return charts;
}

}  // namespace vlalign
