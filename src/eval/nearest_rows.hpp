// The rows that one query is nearest to, exactly. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "eval/coded_rows.hpp"

namespace vlalign {

struct NearRow {
  double score = 0.0;
  std::int64_t row = 0;

  /// Whether this one comes first: the higher score and, of equal ones, the earlier row.
  bool is_before(const NearRow& other) const { return score != other.score ? score > other.score : row < other.row; }
  bool operator==(const NearRow&) const = default;
};

/// The k best of what it is shown.
class BestRows {
 public:
  explicit BestRows(std::int64_t k) : k_(static_cast<std::size_t>(k)) {}

  void add(const NearRow& row);
  void add(const BestRows& others);
  bool is_full() const { return heap_.size() == k_; }
  /// The k-th, once it is full.
  const NearRow& last() const { return heap_.front(); }
  /// Best first.
  std::vector<NearRow> sorted() const;

 private:
  std::size_t k_;
  std::vector<NearRow> heap_;  // the last of them in front
};

/// The k rows with the largest products with the query, best first; fewer where there are fewer rows. Products are
/// summed in double precision in an order that depends on the width alone, so that threads change nothing. Reads every
/// row; one whose product isn't finite has the score infinity.
///   rows: float32 [N, D], contiguous, on the CPU; query: [D]; k >= 1
std::vector<NearRow> nearest_rows(const at::Tensor& rows, std::span<const double> query, std::int64_t k);

/// The same rows and scores, bit for bit, from a quarter of the memory: the codes say between which bounds each
/// product lies, and only rows are read whose upper bound reaches the k-th largest lower bound.
///   coded: of these rows, which are finite
std::vector<NearRow> nearest_rows(const at::Tensor& rows, const CodedRows& coded, std::span<const double> query,
                                  std::int64_t k);

}  // namespace vlalign
