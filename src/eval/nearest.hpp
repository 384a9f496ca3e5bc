// The best candidates of many queries, gathered from tiles of scores. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "vlalign/ranks/ranks.hpp"

namespace vlalign {

class Nearest {
 public:
  struct Neighbour {
    float score = -std::numeric_limits<float>::infinity();
    std::int32_t candidate = -1;  ///< none
  };

  Nearest(std::int64_t queries, std::int64_t k);

  /// scores: floating [q, c], queries from `query` on and candidates from `candidate` on; -inf is nobody's neighbour.
  /// The tiles of a query come in the order of the candidates, so that of equal scores the earlier candidate stays.
  /// On the CPU this reads float32 scores once, which takes a tenth of at::topk's time; from a GPU they are copied.
  void add(const at::Tensor& scores, std::int64_t query, std::int64_t candidate);
  /// The same for scores [c, q], a query a column.
  void add_columns(const at::Tensor& scores, std::int64_t query, std::int64_t candidate);

  /// Takes in what other ranks have seen of the same queries, where a rank's candidates come before the next rank's.
  /// Collective.
  void merge(const Ranks& ranks);

  /// The k best of a query, best first; entries without a candidate where there are fewer.
  std::span<const Neighbour> of(std::int64_t query) const;
  /// How many queries each candidate is a neighbour of: [candidates].
  std::vector<std::int64_t> occurrences(std::int64_t candidates) const;

 private:
  void insert(std::int64_t query, Neighbour neighbour);

  std::int64_t k_;
  std::vector<Neighbour> best_;  // [queries * k]
  std::vector<float> bar_;       // [queries], the score of the k-th
};

}  // namespace vlalign
