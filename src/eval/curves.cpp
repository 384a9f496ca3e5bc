#include "vlalign/eval/curves.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/check.hpp"

namespace vlalign {
namespace {

Curve curve_of(const char* name, const std::vector<double>& steps, const std::vector<double>& values) {
  check(values.empty() || values.size() == steps.size(), "[report] metrics: {} steps, but {} values of \"{}\"",
        steps.size(), values.size(), name);
  Curve curve;
  for (std::size_t i = 0; i < values.size(); ++i) curve.add(steps[i], values[i]);
  return curve;
}

void take_in(Curve::Point& point, const Curve::Point& next) {
  point.step = next.step;
  if (next.finite == 0) return;
  point.low = point.finite == 0 ? next.low : std::min(point.low, next.low);
  point.high = point.finite == 0 ? next.high : std::max(point.high, next.high);
  point.sum += next.sum;
  point.finite += next.finite;
}

}  // namespace

double Curve::Point::mean() const {
  return finite == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / static_cast<double>(finite);
}

void Curve::add(double step, double value) {
  last_ = value;
  const bool finite = std::isfinite(value);
  const Point next{step, finite ? value : 0.0, finite ? 1 : 0, value, value};
  if (!points_.empty() && in_last_ < stretch_) {
    take_in(points_.back(), next);
    ++in_last_;
    return;
  }
  if (points_.size() == most_points) halve();
  points_.push_back(next);
  in_last_ = 1;
}

/// Each two points become one.
void Curve::halve() {
  for (std::size_t i = 0; i < most_points / 2; ++i) {
    auto merged = points_[2 * i];
    take_in(merged, points_[2 * i + 1]);
    points_[i] = merged;
  }
  points_.resize(most_points / 2);
  stretch_ *= 2;
}

TrainingCurves::TrainingCurves(const TrainingMetrics& metrics)
    : loss(curve_of("Loss", metrics.step, metrics.loss)),
      accuracy(curve_of("Accuracy in the batch", metrics.step, metrics.accuracy)),
      learning_rate(curve_of("Learning rate", metrics.step, metrics.learning_rate)),
      logit_scale(curve_of("Logit scale", metrics.step, metrics.logit_scale)),
      pairs_per_s(curve_of("Pairs a second", metrics.step, metrics.pairs_per_s)),
      samples_seen(curve_of("Pairs seen", metrics.step, metrics.samples_seen)) {
  if (samples_seen.empty() || pairs_per_s.empty()) return;
  for (std::size_t i = 0; i < metrics.step.size(); ++i)
    add_seconds(metrics.step[i], metrics.samples_seen[i], metrics.pairs_per_s[i]);
}

void TrainingCurves::add(const StepMetrics& line) {
  loss.add(line.step, line.loss);
  accuracy.add(line.step, line.accuracy);
  learning_rate.add(line.step, line.learning_rate);
  logit_scale.add(line.step, line.logit_scale);
  pairs_per_s.add(line.step, line.pairs_per_s);
  samples_seen.add(line.step, line.samples_seen);
  add_seconds(line.step, line.samples_seen, line.pairs_per_s);
}

void TrainingCurves::add_seconds(double step, double samples, double rate) {
  const double took = (samples - samples_so_far_) / rate;
  if (std::isfinite(took) && took > 0) seconds_so_far_ += took;
  if (std::isfinite(samples)) samples_so_far_ = samples;
  seconds.add(step, seconds_so_far_);
}

ValidationCurves::ValidationCurves(const std::vector<ValidationResult>& lines) {
  for (const auto& line : lines) add(line);
}

void ValidationCurves::add(const ValidationResult& line) {
  for (const auto& figure : line.figures) {
    auto entry = std::find_if(entries_.begin(), entries_.end(),
                              [&](const Entry& e) { return e.name == line.name && e.key == figure.first; });
    if (entry == entries_.end()) entry = entries_.insert(entry, Entry{.name = line.name, .key = figure.first});
    entry->curve.add(static_cast<double>(line.step), figure.second);
  }
}

}  // namespace vlalign
