#include "vlalign/eval/hubness.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/random.hpp"

namespace {

using vlalign::hubness;
using vlalign::k_occurrences;
using Counts = std::vector<std::int64_t>;

at::Tensor random_rows(std::int64_t n, std::int64_t d, std::uint64_t seed) {
  vlalign::Rng rng({seed});
  auto x = at::zeros({n, d}, at::kFloat);
  for (std::int64_t i = 0; i < n * d; ++i) x.mutable_data_ptr<float>()[i] = static_cast<float>(rng.uniform(-1.0, 1.0));
  return x;
}

/// Sorts all candidates of each query.
Counts by_sorting(const at::Tensor& queries, const at::Tensor& candidates, std::int64_t k) {
  const auto n = queries.size(0), m = candidates.size(0), d = queries.size(1);
  Counts counts(static_cast<std::size_t>(m), 0);
  for (std::int64_t i = 0; i < n; ++i) {
    std::vector<double> product(static_cast<std::size_t>(m), 0.0);
    Counts order(static_cast<std::size_t>(m));
    std::iota(order.begin(), order.end(), 0);
    for (std::int64_t j = 0; j < m; ++j) {
      for (std::int64_t c = 0; c < d; ++c)
        product[static_cast<std::size_t>(j)] +=
            double{queries.const_data_ptr<float>()[i * d + c]} * double{candidates.const_data_ptr<float>()[j * d + c]};
    }
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
      return product[static_cast<std::size_t>(a)] > product[static_cast<std::size_t>(b)];
    });
    for (std::int64_t place = 0; place < std::min(k, m); ++place)
      ++counts[static_cast<std::size_t>(order[static_cast<std::size_t>(place)])];
  }
  return counts;
}

TEST(KOccurrences, EqualSortingAllCandidates) {
  const auto queries = random_rows(80, 5, 1);
  const auto candidates = random_rows(130, 5, 2);
  for (const std::int64_t k : {1, 10, 129, 500})
    EXPECT_EQ(k_occurrences(queries, candidates, k), by_sorting(queries, candidates, k)) << k;
}

TEST(KOccurrences, DoNotDependOnTheBlockSize) {
  const auto queries = random_rows(50, 4, 3);
  const auto candidates = random_rows(70, 4, 4);
  const auto whole = k_occurrences(queries, candidates);
  for (const std::int64_t block : {1, 7, 64}) EXPECT_EQ(k_occurrences(queries, candidates, 10, block), whole) << block;
}

TEST(KOccurrences, GiveTiesToTheEarlierRow) {
  const auto queries = at::ones({6, 4}, at::kFloat);
  const auto candidates = at::eye(4, at::kFloat).repeat({2, 1});  // every product is 1
  for (const std::int64_t block : {1, 3, 100})
    EXPECT_EQ(k_occurrences(queries, candidates, 3, block), (Counts{6, 6, 6, 0, 0, 0, 0, 0})) << block;
}

TEST(Hubness, FindsAHubThatWasPlanted) {
  // All pictures lie around e0; one caption is e0 itself, twenty are each a picture's own direction less e0.
  const std::int64_t n = 20;
  const auto own = at::eye(n, n + 1, at::kFloat).roll(1, 1);
  auto centre = at::zeros({1, n + 1}, at::kFloat);
  centre[0][0] = 1.0;
  const auto pictures = centre + 0.5 * own;
  const auto captions = at::zeros({n + 1, n + 1}, at::kFloat);
  captions.slice(0, 0, n).copy_(own);
  captions[n].copy_(centre[0]);
  const auto occurrences = k_occurrences(pictures, captions, 2);
  EXPECT_EQ(occurrences, (Counts{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 20}));
  const auto found = hubness(occurrences);
  EXPECT_EQ(found.largest, 20);
  EXPECT_EQ(found.antihubs, 0.0);
  // one of m values apart from the others: (m - 2) / sqrt(m - 1)
  EXPECT_NEAR(found.skewness, 19.0 / std::sqrt(20.0), 1e-12);
  EXPECT_EQ(hubness(k_occurrences(pictures, captions, 1)).antihubs, 20.0 / 21.0);
}

TEST(Hubness, OfFourCountsIsWorkedByHand) {
  // mean 1, variance (3 * 1 + 9) / 4 = 3, third moment (3 * -1 + 27) / 4 = 6
  const auto found = hubness(Counts{0, 4, 0, 0});
  EXPECT_NEAR(found.skewness, 6.0 / std::pow(3.0, 1.5), 1e-12);
  EXPECT_EQ(found.antihubs, 0.75);
  EXPECT_EQ(found.largest, 4);
}

TEST(Hubness, IsZeroWhenAllAreRetrievedAlike) {
  EXPECT_EQ(hubness(Counts{3, 3, 3}).skewness, 0.0);
  EXPECT_EQ(hubness(Counts{3}).skewness, 0.0);
  EXPECT_EQ(hubness(k_occurrences(at::eye(6, at::kFloat), at::eye(6, at::kFloat), 1)).skewness, 0.0);
}

TEST(Hubness, IsExtremeForACollapsedModel) {
  const auto found = hubness(k_occurrences(at::ones({50, 4}, at::kFloat), at::ones({101, 4}, at::kFloat), 1));
  EXPECT_EQ(found.largest, 50);
  EXPECT_EQ(found.antihubs, 100.0 / 101.0);
  EXPECT_NEAR(found.skewness, 99.0 / 10.0, 1e-9);
}

TEST(Hubness, SaysWhichArgumentIsWrong) {
  const auto x = at::ones({3, 2}, at::kFloat);
  EXPECT_EQ(vlalign::test::message_of<vlalign::Error>([&] {
              k_occurrences(x, at::ones({3, 4}, at::kFloat));
            }),
            "[k_occurrences] candidates: expected 2 columns as queries, got 4");
  EXPECT_EQ(vlalign::test::message_of<vlalign::Error>([&] { k_occurrences(x, x, 0); }),
            "[k_occurrences] k: expected at least 1, got 0");
  EXPECT_EQ(vlalign::test::message_of<vlalign::Error>([&] { k_occurrences(x, x, 1, 0); }),
            "[k_occurrences] block: expected at least 1, got 0");
  EXPECT_EQ(vlalign::test::message_of<vlalign::Error>([&] { k_occurrences(x, x / 0.0); }),
            "[k_occurrences] candidates: row 0 is not finite");
  EXPECT_EQ(vlalign::test::message_of<vlalign::Error>([] { hubness({}); }),
            "[hubness] occurrences: expected at least one");
}

}  // namespace
