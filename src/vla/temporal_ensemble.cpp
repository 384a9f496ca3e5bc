#include "vlalign/vla/temporal_ensemble.hpp"

#include <algorithm>
#include <cmath>

#include "core/check.hpp"
#include "core/finite.hpp"
#include "vla/check_shape.hpp"

namespace vlalign::vla {
namespace {

constexpr std::int64_t never = -1;

}  // namespace

TemporalEnsemble::TemporalEnsemble(std::int64_t horizon, std::int64_t dims, double m) : horizon_(horizon), dims_(dims) {
  check(horizon > 0 && dims > 0, "[TemporalEnsemble] expected a horizon and dims of at least 1, got {} and {}", horizon,
        dims);
  check(m >= 0 && std::isfinite(m), "[TemporalEnsemble] m: expected at least 0 and finite, got {}", m);
  check_size(horizon, "TemporalEnsemble", "horizon");
  check_size(dims, "TemporalEnsemble", "dims");
  constexpr std::int64_t most_numbers = 1 << 28;  // a gigabyte
  check(horizon * horizon * dims <= most_numbers,
        "[TemporalEnsemble] expected horizon^2 x dims of at most {}, got {}^2 x {}", most_numbers, horizon, dims);
  for (std::int64_t i = 0; i < horizon; ++i) weights_.push_back(std::exp(-m * static_cast<double>(i)));
  chunks_.resize(static_cast<std::size_t>(horizon * horizon * dims));
  added_at_.assign(static_cast<std::size_t>(horizon), never);
  sums_.resize(static_cast<std::size_t>(dims));
}

void TemporalEnsemble::add(std::span<const float> chunk) {
  check(static_cast<std::int64_t>(chunk.size()) == horizon_ * dims_,
        "[TemporalEnsemble] chunk: expected {} x {}, got {}", horizon_, dims_, chunk.size());
  check(all_finite(chunk), "[TemporalEnsemble] chunk: expected finite numbers, got NaN or infinity");
  const auto place = step_ % horizon_;
  std::copy(chunk.begin(), chunk.end(), chunks_.begin() + place * horizon_ * dims_);
  added_at_[static_cast<std::size_t>(place)] = step_;
}

void TemporalEnsemble::next(std::span<float> action) {
  check(static_cast<std::int64_t>(action.size()) == dims_, "[TemporalEnsemble] action: expected {}, got {}", dims_,
        action.size());
  std::fill(sums_.begin(), sums_.end(), 0.0);
  std::size_t older = 0;
  double total = 0;
  for (auto added = std::max<std::int64_t>(0, step_ - horizon_ + 1); added <= step_; ++added) {
    const auto place = added % horizon_;
    if (added_at_[static_cast<std::size_t>(place)] != added) continue;
    const double weight = weights_[older++];
    const auto row = chunks_.begin() + (place * horizon_ + step_ - added) * dims_;
    for (std::size_t a = 0; a < sums_.size(); ++a)
      sums_[a] += weight * static_cast<double>(row[static_cast<std::ptrdiff_t>(a)]);
    total += weight;
  }
  check(older > 0, "[TemporalEnsemble] no chunk reaches to step {}", step_);
  for (std::size_t a = 0; a < sums_.size(); ++a) action[a] = static_cast<float>(sums_[a] / total);
  ++step_;
}

void TemporalEnsemble::reset() {
  step_ = 0;
  std::fill(added_at_.begin(), added_at_.end(), never);
}

}  // namespace vlalign::vla
