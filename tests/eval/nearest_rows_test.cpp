#include "eval/nearest_rows.hpp"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "vlalign/core/error.hpp"
#include "vlalign/core/normalize.hpp"

namespace vlalign::test::nearest_rows_test {
namespace {

using Query = std::vector<double>;

Query query_of(const at::Tensor& row) {
  const auto numbers = row.to(at::kDouble).contiguous();
  return {numbers.const_data_ptr<double>(), numbers.const_data_ptr<double>() + numbers.numel()};
}

/// Every product in long double, one number after the other.
std::vector<long double> all_products(const at::Tensor& rows, const Query& query) {
  std::vector<long double> scores;
  for (std::int64_t i = 0; i < rows.size(0); ++i) {
    long double sum = 0;
    const auto* row = rows.const_data_ptr<float>() + i * rows.size(1);
    for (std::size_t j = 0; j < query.size(); ++j)
      sum += static_cast<long double>(row[j]) * static_cast<long double>(query[j]);
    scores.push_back(sum);
  }
  return scores;
}

/// Random unit rows of the kinds that codes find hard.
std::vector<at::Tensor> hard_rows(std::int64_t n, std::int64_t dim) {
  const auto plain = l2_normalize(at::randn({n, dim}));
  auto outlier = at::randn({n, dim});
  outlier.select(1, 0).mul_(40).add_(200);
  auto tied = plain.clone();
  tied.slice(0, n / 2, n).copy_(tied.slice(0, 0, n - n / 2));
  auto some_zero = plain.clone();
  some_zero.slice(0, 3, n / 2).zero_();
  auto wide = plain * at::randn({n, 1}).mul(20).exp();
  return {plain,
          l2_normalize(outlier),
          tied,
          some_zero,
          wide,
          plain * 1e-30,
          plain * 1e-42,
          at::zeros({n, dim}),
          at::full({n, dim}, 0.25),
          at::randint(-3, 4, {n, dim}).to(at::kFloat)};
}

TEST(NearestRows, AreThoseOfBruteForce) {
  const auto rows = l2_normalize(at::randn({3000, 37}));
  const auto query = query_of(l2_normalize(at::randn({1, 37})));
  const auto scores = all_products(rows, query);
  std::vector<std::int64_t> order(scores.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) {
    return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
  });
  for (const std::int64_t k : {1, 5, 100, 3000, 4000}) {
    for (const auto& found : {nearest_rows(rows, query, k), nearest_rows(rows, coded_rows(rows), query, k)}) {
      ASSERT_EQ(std::ssize(found), std::min<std::int64_t>(k, 3000));
      for (std::size_t i = 0; i < found.size(); ++i) {
        EXPECT_EQ(found[i].row, order[i]);
        EXPECT_NEAR(found[i].score, static_cast<double>(scores[static_cast<std::size_t>(order[i])]), 1e-14);
      }
    }
  }
}

TEST(NearestRows, FromCodesAreThePlainOnesBitForBit) {
  for (const std::int64_t dim : {1, 8, 33, 512}) {
    for (const auto& rows : hard_rows(2500, dim)) {
      const auto coded = coded_rows(rows);
      const auto far = at::randn({1, dim});
      for (const auto& query :
           {query_of(l2_normalize(far)), query_of(rows[7]), query_of(far * 1e-20), query_of(far * 0)})
        for (const std::int64_t k : {1, 5, 150})
          EXPECT_EQ(nearest_rows(rows, coded, query, k), nearest_rows(rows, query, k)) << dim << " " << k;
    }
  }
}

TEST(NearestRows, AreTheSameOnAnyNumberOfThreads) {
  const auto rows = hard_rows(9000, 64)[2];
  const auto coded = coded_rows(rows);
  const auto query = query_of(rows[4]);
  const auto threads = at::get_num_threads();
  const auto expected = nearest_rows(rows, query, 9);
  EXPECT_EQ(expected[0].row, 4);
  EXPECT_EQ(expected[1].row, 4504);  // the same row again
  for (const int count : {1, 3}) {
    at::set_num_threads(count);
    EXPECT_EQ(nearest_rows(rows, query, 9), expected);
    EXPECT_EQ(nearest_rows(rows, coded, query, 9), expected);
  }
  at::set_num_threads(threads);
}

/// Of each row, worked out in double.
TEST(CodedRows, AreAsFarOffAsTheySay) {
  const auto kinds = hard_rows(200, 48);
  for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
    const auto& rows = kinds[kind];
    const auto coded = coded_rows(rows);
    EXPECT_NO_THROW(check_coded(coded, rows));
    const auto scale = coded.row_scale.to(at::kDouble).unsqueeze(1) * coded.column_scale.to(at::kDouble);
    const auto left = (rows.to(at::kDouble) - scale * coded.codes.to(at::kDouble)).norm(2, {1}, false);
    EXPECT_TRUE((left <= coded.error.to(at::kDouble)).all().item<bool>()) << kind;
    const double most = kind < 4 ? 0.05 : std::numeric_limits<double>::infinity();  // of unit rows: it is close too
    EXPECT_LE(coded.error.max().item<double>(), most) << kind;
  }
}

TEST(CodedRows, OfOtherShapesAndTypesAreRefused) {
  const auto rows = l2_normalize(at::randn({20, 8}));
  const auto coded = coded_rows(rows);
  const auto refused = [&](const auto& change) {
    auto other = coded;
    change(other);
    EXPECT_THROW(check_coded(other, rows), Error);
  };
  refused([](CodedRows& c) { c.codes = c.codes.slice(0, 1); });
  refused([](CodedRows& c) { c.codes = c.codes.to(at::kShort); });
  refused([](CodedRows& c) { c.row_scale = -c.row_scale; });
  refused([](CodedRows& c) { c.error = at::full({20}, std::numeric_limits<float>::quiet_NaN()); });
  refused([](CodedRows& c) { c.column_scale = at::Tensor(); });
}

}  // namespace
}  // namespace vlalign::test::nearest_rows_test
