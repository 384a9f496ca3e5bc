// The last numbers of a series. Internal.
#pragma once

#include <cstddef>
#include <deque>

namespace vlalign {

class RecentNumbers {
 public:
  /// Keeps the last `most`, at least 1.
  explicit RecentNumbers(std::size_t most) : most_(most) {}

  void add(double number);
  void clear() { numbers_.clear(); }
  bool full() const { return numbers_.size() == most_; }
  std::size_t size() const { return numbers_.size(); }

  // Of one number or more.
  double sum() const;
  double mean() const { return sum() / static_cast<double>(numbers_.size()); }
  double median() const;
  /// The median distance from the median, times 1.4826: the standard deviation where the numbers are normal, and hardly
  /// moved by a few that are far off.
  double deviation() const;

 private:
  std::size_t most_;
  std::deque<double> numbers_;
};

}  // namespace vlalign
