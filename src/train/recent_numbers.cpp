#include "train/recent_numbers.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace vlalign {
namespace {

/// The upper of the two in the middle of an even number.
double middle_of(std::vector<double> numbers) {
  const auto middle = numbers.begin() + static_cast<std::ptrdiff_t>(numbers.size() / 2);
  std::nth_element(numbers.begin(), middle, numbers.end());
  return *middle;
}

}  // namespace

void RecentNumbers::add(double number) {
  if (full()) numbers_.pop_front();
  numbers_.push_back(number);
}

double RecentNumbers::sum() const { return std::accumulate(numbers_.begin(), numbers_.end(), 0.0); }

double RecentNumbers::median() const { return middle_of({numbers_.begin(), numbers_.end()}); }

double RecentNumbers::deviation() const {
  const double center = median();
  std::vector<double> distances;
  for (const double number : numbers_) distances.push_back(std::abs(number - center));
  return 1.4826 * middle_of(std::move(distances));
}

}  // namespace vlalign
