#include "eval/nearest_rows.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <mutex>

#include "kernels/code_products.hpp"

namespace vlalign {
namespace {

constexpr std::int64_t rows_at_once = 1024;  // whose products stay in the first cache
constexpr std::int64_t rows_a_step = 8 * rows_at_once;

bool comes_first(const NearRow& a, const NearRow& b) { return a.is_before(b); }

/// In eight sums, which the compiler keeps in vectors. Infinity for what isn't finite, so that it is seen.
double product_in_double(const float* row, const double* query, std::int64_t width) {
  std::array<double, 8> sums{};
  std::int64_t j = 0;
  for (; j + 8 <= width; j += 8)
    for (std::int64_t lane = 0; lane < 8; ++lane)
      sums[static_cast<std::size_t>(lane)] += double{row[j + lane]} * query[j + lane];
  for (; j < width; ++j) sums[0] += double{row[j]} * query[j];
  const auto sum = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
  return std::isfinite(sum) ? sum : std::numeric_limits<double>::infinity();
}

/// The best of what `visit(begin, end, best)` adds of items 0 to count - 1. A thread that is done takes the next `step`
/// of them, so that none waits for one that the system has put aside.
template <typename Visit>
BestRows best_of(std::int64_t count, std::int64_t k, std::int64_t step, const Visit& visit) {
  BestRows best(k);
  std::mutex mutex;
  std::atomic<std::int64_t> next = 0;
  const auto threads = std::min<std::int64_t>(at::get_num_threads(), (count + step - 1) / step);
  at::parallel_for(0, threads, /*grain_size=*/1, [&](std::int64_t, std::int64_t) {
    BestRows own(k);
    for (auto begin = next.fetch_add(step); begin < count; begin = next.fetch_add(step))
      visit(begin, std::min(begin + step, count), own);
    const std::scoped_lock lock(mutex);
    best.add(own);
  });
  return best;
}

/// What a product of rows with a query is, as far as their codes say.
class CodedQuery {
 public:
  CodedQuery(const CodedRows& coded, std::span<const double> query)
      : coded_(coded), numbers_(query.size()), width_(std::ssize(query)) {
    const auto* column = coded.column_scale.const_data_ptr<float>();
    double largest = 0, squares = 0, left = 0;
    for (std::size_t j = 0; j < query.size(); ++j) {
      largest = std::max(largest, std::abs(query[j] * double{column[j]}));
      squares += query[j] * query[j];
    }
    scale_ = largest / largest_query_number(width_);
    for (std::size_t j = 0; j < query.size() && scale_ > 0; ++j) {
      const auto scaled = query[j] * double{column[j]};
      numbers_[j] = static_cast<std::int16_t>(std::nearbyint(scaled / scale_));
      const auto off = scaled - scale_ * numbers_[j];
      left += off * off;
    }
    // A row's own error meets the query, and the query's meets codes of at most 127.
    of_error_ = std::sqrt(squares) * (1 + slack);
    of_row_scale_ = std::sqrt(left) * 127 * std::sqrt(static_cast<double>(width_)) * (1 + slack) + slack * largest;
  }

  /// Calls visit(row, middle, off) for rows begin to end - 1: the product is within `off` of `middle`.
  template <typename Visit>
  void bound(std::int64_t begin, std::int64_t end, const Visit& visit) const {
    std::array<std::int32_t, rows_at_once> products;
    const auto* codes = coded_.codes.const_data_ptr<std::int8_t>();
    const auto* row_scale = coded_.row_scale.const_data_ptr<float>();
    const auto* error = coded_.error.const_data_ptr<float>();
    for (auto first = begin; first < end; first += rows_at_once) {
      const auto count = std::min(rows_at_once, end - first);
      code_products(codes + first * width_, count, width_, numbers_.data(), products.data());
      for (std::int64_t i = 0; i < count; ++i) {
        const auto row = first + i;
        const auto middle = scale_ * double{row_scale[row]} * products[static_cast<std::size_t>(i)];
        visit(row, middle, double{error[row]} * of_error_ + double{row_scale[row]} * of_row_scale_);
      }
    }
  }

 private:
  static constexpr double slack = 1e-6;  // far above what sums in double round

  const CodedRows& coded_;
  std::vector<std::int16_t> numbers_;
  std::int64_t width_;
  double scale_ = 0, of_error_ = 0, of_row_scale_ = 0;
};

/// Rows whose upper bound reaches the k-th largest lower bound.
std::vector<std::int64_t> candidates_for(const CodedQuery& query, std::int64_t rows, std::int64_t k) {
  std::vector<float> upper(static_cast<std::size_t>(rows));
  const auto lowest = best_of(rows, k, rows_a_step, [&](std::int64_t begin, std::int64_t end, BestRows& best) {
    query.bound(begin, end, [&](std::int64_t row, double middle, double off) {
      upper[static_cast<std::size_t>(row)] =
          std::nextafter(static_cast<float>(middle + off), std::numeric_limits<float>::infinity());
      best.add({middle - off, row});
    });
  });
  const auto bar = lowest.last().score;
  std::vector<std::int64_t> candidates;
  for (std::int64_t row = 0; row < rows; ++row)
    if (double{upper[static_cast<std::size_t>(row)]} >= bar) candidates.push_back(row);
  return candidates;
}

}  // namespace

void BestRows::add(const NearRow& row) {
  if (!is_full()) {
    heap_.push_back(row);
    std::push_heap(heap_.begin(), heap_.end(), comes_first);
  } else if (row.is_before(heap_.front())) {
    std::pop_heap(heap_.begin(), heap_.end(), comes_first);
    heap_.back() = row;
    std::push_heap(heap_.begin(), heap_.end(), comes_first);
  }
}

void BestRows::add(const BestRows& others) {
  for (const auto& row : others.heap_) add(row);
}

std::vector<NearRow> BestRows::sorted() const {
  auto rows = heap_;
  std::sort(rows.begin(), rows.end(), comes_first);
  return rows;
}

std::vector<NearRow> nearest_rows(const at::Tensor& rows, std::span<const double> query, std::int64_t k) {
  const auto count = rows.size(0), width = rows.size(1);
  const auto* numbers = rows.const_data_ptr<float>();
  const auto best = best_of(count, std::min(k, count), rows_a_step, [&](auto begin, auto end, BestRows& own) {
    for (auto row = begin; row < end; ++row)
      own.add({product_in_double(numbers + row * width, query.data(), width), row});
  });
  return best.sorted();
}

std::vector<NearRow> nearest_rows(const at::Tensor& rows, const CodedRows& coded, std::span<const double> query,
                                  std::int64_t k) {
  constexpr std::int64_t few = 16;  // of so many rows one at most is asked for, or bounds save nothing
  const auto count = rows.size(0), width = rows.size(1);
  if (k > count / few || largest_query_number(width) == 0) return nearest_rows(rows, query, k);
  const auto candidates = candidates_for(CodedQuery(coded, query), count, k);
  const auto* numbers = rows.const_data_ptr<float>();
  const auto best = best_of(std::ssize(candidates), k, /*step=*/256, [&](auto begin, auto end, BestRows& own) {
    for (auto i = begin; i < end; ++i) {
      const auto row = candidates[static_cast<std::size_t>(i)];
      own.add({product_in_double(numbers + row * width, query.data(), width), row});
    }
  });
  return best.sorted();
}

}  // namespace vlalign
