#include "report/report_data.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/check.hpp"
#include "core/json/dump_json.hpp"
#include "report/html_text.hpp"

namespace vlalign {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t curve_points = 400;

/// A number for the eye: five significant digits, null when not finite.
Json legible(double value) {
  if (!std::isfinite(value)) return nullptr;
  return std::strtod(fmt::format("{:.5g}", value).c_str(), nullptr);
}

/// A column in at most curve_points buckets of neighbouring steps: mean, lowest and highest finite value.
Json curve_json(const ReportCurve& curve, const std::vector<double>& steps) {
  Json json = {{"name", curve.name}, {"unit", curve.unit}, {"zero", curve.from_zero}};
  for (const auto* key : {"step", "mean", "low", "high"}) json[key] = Json::array();
  const auto buckets = std::min(steps.size(), curve_points);
  for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
    const auto begin = bucket * steps.size() / buckets;
    const auto end = (bucket + 1) * steps.size() / buckets;
    double sum = 0.0, count = 0.0;
    double low = std::numeric_limits<double>::infinity(), high = -low;
    for (auto i = begin; i < end; ++i) {
      const double value = (*curve.values)[i];
      if (!std::isfinite(value)) continue;
      sum += value;
      count += 1.0;
      low = std::min(low, value);
      high = std::max(high, value);
    }
    json["step"].push_back(steps[end - 1]);
    json["mean"].push_back(legible(sum / count));
    json["low"].push_back(legible(low));
    json["high"].push_back(legible(high));
  }
  return json;
}

Json thumbs(const ReportView& view, const std::vector<std::int64_t>& pictures) {
  Json json = Json::array();
  for (const auto picture : pictures) json.push_back(view.thumb(picture));
  return json;
}

Json matrix_json(const ReportView& view) {
  const auto& matrix = view.figures->matrix;
  Json json = {{"pictures", thumbs(view, matrix.pictures)}, {"captions", Json::array()}, {"cosines", Json::array()}};
  for (const auto row : matrix.captions) json["captions"].push_back(shorten(view.caption(row)));
  for (const auto cosine : matrix.cosines) json["cosines"].push_back(legible(cosine));
  return json;
}

Json map_json(const ReportView& view) {
  const auto& map = view.figures->map;
  Json json = Json::array();
  for (std::size_t i = 0; i < map.pictures.size(); ++i) {
    const auto point = [](const std::array<double, 2>& p) { return Json{legible(p[0]), legible(p[1])}; };
    json.push_back({{"thumb", view.thumb(map.pictures[i])},
                    {"text", shorten(view.caption(map.captions[i]))},
                    {"picture", point(map.picture_points[i])},
                    {"caption", point(map.caption_points[i])}});
  }
  return json;
}

}  // namespace

std::vector<ReportCurve> report_curves(const TrainingMetrics& metrics) {
  std::vector<ReportCurve> curves;
  const auto add = [&](std::string name, std::string unit, bool from_zero, const std::vector<double>& values) {
    check(values.empty() || values.size() == metrics.step.size(), "[report] metrics: {} steps, but {} values of \"{}\"",
          metrics.step.size(), values.size(), name);
    if (!values.empty()) curves.push_back({std::move(name), std::move(unit), from_zero, &values});
  };
  add("Loss", "nats", true, metrics.loss);
  add("Accuracy in the batch", "", true, metrics.accuracy);
  add("Logit scale", "", false, metrics.logit_scale);
  add("Learning rate", "", true, metrics.learning_rate);
  add("Pairs a second", "", true, metrics.pairs_per_s);
  return curves;
}

std::string report_data_json(const ContactSheet& sheet, std::span<const ReportCurve> curves,
                             const std::vector<double>& steps, std::span<const ReportView> views) {
  Json json = {{"sheet", {{"side", sheet.side}, {"columns", sheet.columns}, {"rows", sheet.rows}}},
               {"curves", Json::array()},
               {"tests", Json::array()}};
  for (const auto& curve : curves) json["curves"].push_back(curve_json(curve, steps));
  for (const auto& view : views) {
    json["tests"].push_back(view.figures ? Json{{"matrix", matrix_json(view)}, {"map", map_json(view)}}
                                         : Json::object());
  }
  return dump_readable(json);
}

}  // namespace vlalign
