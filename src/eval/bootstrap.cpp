#include "vlalign/eval/bootstrap.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/binomial.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/check.hpp"
#include "vlalign/core/random.hpp"

namespace vlalign {
namespace {

/// What is drawn as a whole: its values' sum and how many they are. Equal ones are drawn together.
using Unit = std::pair<double, std::int64_t>;
using Units = std::map<Unit, std::int64_t>;  // how many there are of each

void check_values(std::span<const double> values, const char* function, const char* name) {
  check(!values.empty(), "[{}] {}: expected at least one", function, name);
  const auto bad = std::find_if_not(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
  check(bad == values.end(), "[{}] {}: entry {} is not finite", function, name, bad - values.begin());
}

void check_options(const BootstrapOptions& options, const char* function) {
  constexpr std::int64_t most_resamples = 10'000'000;
  check(options.resamples > 0, "[{}] resamples: expected at least 1, got {}", function, options.resamples);
  check(options.resamples <= most_resamples, "[{}] resamples: expected at most {}, got {}", function, most_resamples,
        options.resamples);
  check(options.confidence > 0.0 && options.confidence < 1.0, "[{}] confidence: expected between 0 and 1, got {}",
        function, options.confidence);
}

void check_groups(std::span<const std::int64_t> groups, std::size_t values, const char* function) {
  check(groups.size() == values, "[{}] groups: expected {}, one a value, got {}", function, values, groups.size());
  const auto least = *std::min_element(groups.begin(), groups.end());
  check(least >= 0, "[{}] groups: expected 0 or more, got {}", function, least);
}

constexpr auto interval_name = "bootstrap_interval", paired_name = "paired_bootstrap";

Units units_of(std::span<const double> values) {
  Units units;
  for (const auto value : values) ++units[{value, 1}];
  return units;
}

Units units_of(std::span<const double> values, std::span<const std::int64_t> groups) {
  std::unordered_map<std::int64_t, Unit> members;
  members.reserve(groups.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    auto& [sum, count] = members[groups[i]];
    sum += values[i];
    ++count;
  }
  Units units;
  for (const auto& [group, unit] : members) ++units[unit];
  return units;
}

/// The mean of each resample, in increasing order: float64 [resamples].
at::Tensor resampled_means(const Units& units, const BootstrapOptions& options) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(Rng({options.seed}).next());
  auto unseen = std::accumulate(units.begin(), units.end(), std::int64_t{0},
                                [](std::int64_t sum, const auto& item) { return sum + item.second; });
  auto to_draw = at::full({options.resamples}, static_cast<double>(unseen), at::kDouble);
  auto sums = at::zeros({options.resamples}, at::kDouble);
  auto counts = at::zeros({options.resamples}, at::kDouble);
  // A multinomial draw, as binomial draws from what is left.
  for (const auto& [unit, times] : units) {
    const double share = static_cast<double>(times) / static_cast<double>(unseen);
    const auto drawn = at::binomial(to_draw, at::full_like(to_draw, share), generator);
    sums.add_(drawn, unit.first);
    counts.add_(drawn, unit.second);
    to_draw.sub_(drawn);
    unseen -= times;
  }
  return std::get<0>(sums.div_(counts).sort());
}

Interval interval_of(const at::Tensor& means, const BootstrapOptions& options, const char* function) {
  const auto* mean = means.const_data_ptr<double>();
  const auto quantile = [&](double share) {
    const double place = share * static_cast<double>(options.resamples - 1);
    const auto below = static_cast<std::int64_t>(place);
    const auto above = std::min(below + 1, options.resamples - 1);
    return std::lerp(mean[below], mean[above], place - static_cast<double>(below));
  };
  const double tail = 0.5 * (1.0 - options.confidence);
  const Interval interval{quantile(tail), quantile(1.0 - tail)};
  check(std::isfinite(interval.low) && std::isfinite(interval.high), "[{}] values: they are too large for a sum",
        function);
  return interval;
}

std::vector<double> differences_of(std::span<const double> values, std::span<const double> others,
                                   const BootstrapOptions& options) {
  check_values(values, paired_name, "values");
  check_values(others, paired_name, "others");
  check_options(options, paired_name);
  check(others.size() == values.size(), "[{}] others: expected {}, one a value, got {}", paired_name, values.size(),
        others.size());
  std::vector<double> differences;
  for (std::size_t i = 0; i < values.size(); ++i) differences.push_back(values[i] - others[i]);
  return differences;
}

PairedDifference paired_difference(std::span<const double> differences, const Units& units,
                                   const BootstrapOptions& options) {
  const auto means = resampled_means(units, options);
  const auto* begin = means.const_data_ptr<double>();
  const auto* end = begin + options.resamples;
  const auto below = std::upper_bound(begin, end, 0.0) - begin, above = end - std::lower_bound(begin, end, 0.0);
  const double clear = 2.0 * static_cast<double>(1 + std::min(below, above));
  return {.difference =
              std::accumulate(differences.begin(), differences.end(), 0.0) / static_cast<double>(differences.size()),
          .interval = interval_of(means, options, paired_name),
          .p_value = std::min(1.0, clear / static_cast<double>(options.resamples + 1))};
}

}  // namespace

Interval bootstrap_interval(std::span<const double> values, const BootstrapOptions& options) {
  check_values(values, interval_name, "values");
  check_options(options, interval_name);
  return interval_of(resampled_means(units_of(values), options), options, interval_name);
}

Interval bootstrap_interval(std::span<const double> values, std::span<const std::int64_t> groups,
                            const BootstrapOptions& options) {
  check_values(values, interval_name, "values");
  check_options(options, interval_name);
  check_groups(groups, values.size(), interval_name);
  return interval_of(resampled_means(units_of(values, groups), options), options, interval_name);
}

PairedDifference paired_bootstrap(std::span<const double> values, std::span<const double> others,
                                  const BootstrapOptions& options) {
  const auto differences = differences_of(values, others, options);
  return paired_difference(differences, units_of(differences), options);
}

PairedDifference paired_bootstrap(std::span<const double> values, std::span<const double> others,
                                  std::span<const std::int64_t> groups, const BootstrapOptions& options) {
  const auto differences = differences_of(values, others, options);
  check_groups(groups, values.size(), paired_name);
  return paired_difference(differences, units_of(differences, groups), options);
}

}  // namespace vlalign
