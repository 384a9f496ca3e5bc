#include <algorithm>
#include <map>

#include "core/check.hpp"
#include "vlalign/eval/retrieval.hpp"

namespace vlalign {
namespace {

/// Random ranks of the best of P right ones among M, mixed over the queries' P.
class RandomRanks {
 public:
  RandomRanks(std::span<const std::int64_t> positives, std::int64_t candidates) : candidates_(candidates) {
    for (const auto p : positives) {
      check(p >= 1 && p <= candidates, "[chance_scores] positives: expected 1 to {} (candidates), got {}", candidates,
            p);
      queries_with_[p] += 1.0 / static_cast<double>(positives.size());
    }
  }

  /// P(rank <= k)
  double within(std::int64_t k) const {
    double missed = 0.0;
    for (const auto& [positives, share] : queries_with_) missed += share * miss(positives, k);
    return 1.0 - missed;
  }

  /// The mean of AP@k: place r is right with probability P / M, and then (r - 1) (P - 1) / (M - 1) of the places before
  /// it are right too on average.
  double average_precision(std::int64_t k) const {
    double mean = 0.0;
    for (const auto& [positives, share] : queries_with_) {
      const auto p = static_cast<double>(positives);
      const auto m = static_cast<double>(candidates_);
      double sum = 0.0;
      for (std::int64_t rank = 1; rank <= std::min(k, candidates_); ++rank) {
        const auto before = static_cast<double>(rank - 1);
        const double hits = 1.0 + (positives > 1 ? before * (p - 1.0) / (m - 1.0) : 0.0);
        sum += p / m * hits / static_cast<double>(rank);
      }
      mean += share * sum / static_cast<double>(std::min(positives, k));
    }
    return mean;
  }

  double median() const {
    return 0.5 * static_cast<double>(first_reaching(0.5 - rounding) + first_reaching(0.5 + rounding));
  }

 private:
  static constexpr double rounding = 1e-9;

  /// C(M - P, k) / C(M, k) = C(M - k, P) / C(M, P), as a product of the smaller number of factors
  double miss(std::int64_t positives, std::int64_t k) const {
    const auto [few, many] = std::minmax(positives, k);
    double product = 1.0;
    for (std::int64_t i = 0; i < few && product > 0; ++i) {
      product *=
          static_cast<double>(std::max<std::int64_t>(0, candidates_ - many - i)) / static_cast<double>(candidates_ - i);
    }
    return product;
  }

  /// The smallest rank r with P(rank <= r) >= probability.
  std::int64_t first_reaching(double probability) const {
    std::int64_t low = 1;
    std::int64_t high = candidates_;
    while (low < high) {
      const auto middle = low + (high - low) / 2;
      if (within(middle) >= probability) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

  std::int64_t candidates_;
  std::map<std::int64_t, double> queries_with_;
};

}  // namespace

RecallScores chance_scores(std::span<const std::int64_t> positives, std::int64_t candidates) {
  check(!positives.empty(), "[chance_scores] positives: expected at least one");
  const RandomRanks ranks(positives, candidates);
  return {.recall_at_1 = ranks.within(1),
          .recall_at_5 = ranks.within(5),
          .recall_at_10 = ranks.within(10),
          .median_rank = ranks.median(),
          .map_at_10 = ranks.average_precision(10)};
}

}  // namespace vlalign
