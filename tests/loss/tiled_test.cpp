#include "vlalign/loss/tiled.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softplus.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include "support/rows.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::tiled_test {
namespace {

using test::scalar;
using test::unit_rows;
using Keep = tiles::PairFilter::Keep;

/// A leaf with the same numbers.
at::Tensor leaf(const at::Tensor& x) { return x.detach().clone().requires_grad_(); }

/// What a tiled sum is compared with: the whole matrix of logits, by ATen's own operators.
tiles::LogSumExp dense(const at::Tensor& x, const at::Tensor& y, const at::Tensor& scale,
                       const tiles::PairFilter& filter) {
  auto logits = scale * at::matmul(x, y.t());
  if (filter.keep != Keep::all) {
    const auto equal = filter.row_ids.unsqueeze(1) == filter.column_ids.unsqueeze(0);
    logits = logits.masked_fill(filter.keep == Keep::equal ? equal.logical_not() : equal, -INFINITY);
  }
  return {at::logsumexp(logits, 1), at::logsumexp(logits, 0), (scale * at::matmul(x, y.t())).diagonal()};
}

struct Case {
  std::int64_t rows, columns;
  double scale;
  Keep keep = Keep::all;
};

class TiledLogSumExp : public testing::TestWithParam<Case> {};

/// More than one tile each way, sizes that no tile divides, scales on either side of the range of one exponential.
TEST_P(TiledLogSumExp, EqualsTheDenseFormAndItsGradients) {
  const auto& [rows, columns, scale_value, keep] = GetParam();
  const auto x = unit_rows(rows, 7), y = unit_rows(columns, 7);
  tiles::PairFilter filter{.keep = keep};
  if (keep != Keep::all)
    filter.row_ids = at::arange(rows, at::kLong) % 5, filter.column_ids = at::arange(columns, at::kLong) % 5;
  const auto row_weight = at::randn({rows}, at::kDouble), column_weight = at::randn({columns}, at::kDouble),
             diagonal_weight = at::randn({std::min(rows, columns)}, at::kDouble);

  const auto run = [&, factor = scale_value](auto function) {
    std::vector<at::Tensor> in{leaf(x), leaf(y), leaf(scalar(factor))};
    const tiles::LogSumExp sums = function(in[0], in[1], in[2], filter);
    ((sums.rows * row_weight).sum() + (sums.columns * column_weight).sum() - (sums.diagonal * diagonal_weight).sum())
        .backward();
    return std::vector<at::Tensor>{sums.rows.detach(), sums.columns.detach(), sums.diagonal.detach(),
                                   in[0].grad(),       in[1].grad(),          in[2].grad()};
  };
  const auto tiled = run(tiles::log_sum_exp), plain = run(dense);
  for (std::size_t i = 0; i < plain.size(); ++i) EXPECT_TRUE(tiled[i].allclose(plain[i], 1e-10, 1e-10)) << i;
}

INSTANTIATE_TEST_SUITE_P(Shapes, TiledLogSumExp,
                         testing::Values(Case{3, 3, 10}, Case{1, 5, 100}, Case{700, 30, 10}, Case{30, 5000, 100},
                                         Case{600, 4500, 10}, Case{600, 4500, 100}, Case{513, 40, 10, Keep::different},
                                         Case{513, 40, 100, Keep::different}, Case{40, 513, 10, Keep::equal},
                                         Case{40, 513, 100, Keep::equal}));

TEST(TiledLogSumExp, IsFiniteInFloat32AtTheLargestScale) {
  const auto x = leaf(unit_rows(64, 8, at::kFloat));
  const auto scale = leaf(scalar(100, at::kFloat));
  const auto sums = tiles::log_sum_exp(x, -x, scale);
  (sums.rows.sum() + sums.columns.sum()).backward();
  EXPECT_TRUE(sums.rows.isfinite().all().item<bool>());
  EXPECT_TRUE(x.grad().isfinite().all().item<bool>());
  EXPECT_TRUE(scale.grad().isfinite().all().item<bool>());
}

TEST(TiledLogSumExp, IsMinusInfinityWhereNothingIsKeptAndSendsNoGradientThere) {
  const auto x = leaf(unit_rows(2, 4)), y = leaf(unit_rows(3, 4));
  const tiles::PairFilter filter{
      .keep = Keep::equal, .row_ids = at::arange(2, at::kLong), .column_ids = at::arange(3, at::kLong) + 1};
  const auto sums = tiles::log_sum_exp(x, y, scalar(10), filter);
  EXPECT_EQ(sums.rows[0].item<double>(), -INFINITY);
  EXPECT_NEAR(sums.rows[1].item<double>(), 10 * x[1].dot(y[0]).item<double>(), 1e-12);
  sums.rows[1].backward();
  EXPECT_TRUE(x.grad().isfinite().all().item<bool>());
  EXPECT_EQ(x.grad()[0].abs().sum().item<double>(), 0.0);
}

TEST(SoftplusSum, EqualsTheDenseFormAndItsGradients) {
  for (const auto& [rows, columns] : {std::pair{3, 4}, {600, 4500}}) {
    const auto x = unit_rows(rows, 7), y = unit_rows(columns, 7);
    const auto run = [&](auto function) {
      std::vector<at::Tensor> in{leaf(x), leaf(y), leaf(scalar(12)), leaf(scalar(-9))};
      const at::Tensor sum = function(in[0], in[1], in[2], in[3]);
      (0.25 * sum).backward();
      return std::vector<at::Tensor>{sum.detach(), in[0].grad(), in[1].grad(), in[2].grad(), in[3].grad()};
    };
    const auto tiled = run(tiles::softplus_sum);
    const auto plain =
        run([](const at::Tensor& a, const at::Tensor& b, const at::Tensor& scale, const at::Tensor& bias) {
          return at::softplus(scale * at::matmul(a, b.t()) + bias).sum();
        });
    for (std::size_t i = 0; i < plain.size(); ++i) EXPECT_TRUE(tiled[i].allclose(plain[i], 1e-9, 1e-9)) << i;
  }
}

TEST(SumOverRows, EqualsTheWholeWithManyBlocks) {
  const auto x = unit_rows(11, 5), y = unit_rows(7, 5);
  const auto term = [](const std::vector<at::Tensor>& in, tiles::RowRange r) {
    return at::matmul(in[0].narrow(0, r.begin, r.count), in[1].t()).pow(3).sum();
  };
  const auto run = [&](std::int64_t width) {
    std::vector<at::Tensor> in{leaf(x), leaf(y)};
    const auto sum = tiles::sum_over_rows(in, {0, 11}, width, term);
    (3 * sum).backward();
    return std::vector<at::Tensor>{sum.detach(), in[0].grad(), in[1].grad()};
  };
  const auto one_row_each = run(std::int64_t{1} << 23), three_rows_each = run((std::int64_t{1} << 23) / 3);
  const auto a = leaf(x), b = leaf(y);
  const auto whole = at::matmul(a, b.t()).pow(3).sum();
  (3 * whole).backward();
  const std::vector<at::Tensor> plain{whole.detach(), a.grad(), b.grad()};
  for (std::size_t i = 0; i < plain.size(); ++i) {
    EXPECT_TRUE(one_row_each[i].allclose(plain[i], 1e-12, 1e-12)) << i;
    EXPECT_TRUE(three_rows_each[i].allclose(plain[i], 1e-12, 1e-12)) << i;
  }
}

TEST(SumOverRows, NeedsNoGradient) {
  const auto x = unit_rows(4, 3);
  const auto sum = tiles::sum_over_rows(
      {x}, {0, 4}, 3, [](const auto& in, tiles::RowRange r) { return in[0].narrow(0, r.begin, r.count).sum(); });
  EXPECT_FALSE(sum.requires_grad());
  EXPECT_NEAR(sum.item<double>(), x.sum().item<double>(), 1e-12);
}

TEST(TiledLogSumExp, NamesOperandsThatDoNotFit) {
  EXPECT_EQ(test::message_of<Error>([] {
              tiles::log_sum_exp(at::randn({2, 3}), at::randn({2, 4}), scalar(1));
            }),
            "[log_sum_exp] x, y: expected [N, D] and [M, D], got [2, 3] and [2, 4]");
  EXPECT_EQ(test::message_of<Error>([] {
              tiles::log_sum_exp(at::randn({2, 3}), at::randn({2, 3}, at::kDouble), scalar(1));
            }),
            "[log_sum_exp] x, y: expected both float32 or both float64, got Float and Double");
}

TEST(Tiled, NamesArgumentsThatDoNotFit) {
  const auto x = unit_rows(3, 2), y = unit_rows(4, 2), rows = at::arange(3), columns = at::arange(4),
             two = at::ones({2});
  const auto term = [](const auto& in, tiles::RowRange r) { return in[0].narrow(0, r.begin, r.count).sum(); };
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  const std::vector<std::pair<std::string, std::function<void()>>> calls{
      {"[log_sum_exp] x", [&] { tiles::log_sum_exp({}, y, scalar(1)); }},
      {"[log_sum_exp] y", [&] { tiles::log_sum_exp(x, {}, scalar(1)); }},
      {"[log_sum_exp] y", [&] { tiles::log_sum_exp(x, y.to(at::kMeta), scalar(1)); }},
      {"[log_sum_exp] x, y", [&] { tiles::log_sum_exp(x.narrow(0, 0, 0), y, scalar(1)); }},
      {"[log_sum_exp] x, y", [&] { tiles::log_sum_exp(x.narrow(1, 0, 0), y.narrow(1, 0, 0), scalar(1)); }},
      {"[log_sum_exp] x, y", [&] { tiles::log_sum_exp(x.to(at::kBFloat16), y.to(at::kBFloat16), scalar(1)); }},
      {"[log_sum_exp] x, y", [&] { tiles::log_sum_exp(x.to(at::kLong), y.to(at::kLong), scalar(1)); }},
      {"[log_sum_exp] scale", [&] { tiles::log_sum_exp(x, y, {}); }},
      {"[log_sum_exp] scale", [&] { tiles::log_sum_exp(x, y, two); }},
      {"[log_sum_exp] scale", [&] { tiles::log_sum_exp(x, y, at::ones({}, at::kLong)); }},
      {"[log_sum_exp] filter.row_ids",
       [&] {
         tiles::log_sum_exp(x, y, scalar(1), {Keep::equal, {}, columns});
       }},
      {"[log_sum_exp] filter.row_ids",
       [&] {
         tiles::log_sum_exp(x, y, scalar(1), {Keep::equal, columns, columns});
       }},
      {"[log_sum_exp] filter.column_ids",
       [&] {
         tiles::log_sum_exp(x, y, scalar(1), {Keep::different, rows, {}});
       }},
      {"[log_sum_exp] filter.column_ids",
       [&] {
         tiles::log_sum_exp(x, y, scalar(1), {Keep::equal, rows, columns.to(at::kInt)});
       }},
      {"[log_sum_exp] filter.column_ids",
       [&] {
         tiles::log_sum_exp(x, y, scalar(1), {Keep::equal, rows, columns.to(at::kMeta)});
       }},
      {"[softplus_sum] x", [&] { tiles::softplus_sum({}, y, scalar(1), scalar(0)); }},
      {"[softplus_sum] scale", [&] { tiles::softplus_sum(x, y, two, scalar(0)); }},
      {"[softplus_sum] bias", [&] { tiles::softplus_sum(x, y, scalar(1), {}); }},
      {"[sum_over_rows] inputs",
       [&] {
         tiles::sum_over_rows({}, {0, 3}, 1, term);
       }},
      {"[sum_over_rows] inputs",
       [&] {
         tiles::sum_over_rows({x, {}}, {0, 3}, 1, term);
       }},
      {"[sum_over_rows] rows",
       [&] {
         tiles::sum_over_rows({x}, {0, 0}, 1, term);
       }},
      {"[sum_over_rows] rows",
       [&] {
         tiles::sum_over_rows({x}, {-1, 1}, 1, term);
       }},
      {"[sum_over_rows] rows",
       [&] {
         tiles::sum_over_rows({x}, {most, most}, 1, term);
       }},
      {"[sum_over_rows] term",
       [&] {
         tiles::sum_over_rows({x}, {0, 3}, 1, {});
       }},
      {"[sum_over_rows] term",
       [&] {
         tiles::sum_over_rows({x}, {0, 3}, 1, [](const auto&, auto) { return at::Tensor(); });
       }},
      {"[sum_over_rows] term",
       [&] {
         tiles::sum_over_rows({x}, {0, 3}, 1, [](const auto& in, auto) { return in[0]; });
       }},
  };
  for (const auto& [named, call] : calls) EXPECT_EQ(test::message_of<Error>(call).find(named + ": "), 0U) << named;
}

TEST(Tiled, TakesAScaleOfAnotherDtypeAndGivesItsGradient) {
  const auto x = unit_rows(3, 4, at::kFloat), y = unit_rows(5, 4, at::kFloat);
  const auto scale = leaf(scalar(3));
  tiles::log_sum_exp(x, y, scale).rows.sum().backward();
  const auto expected = leaf(scalar(3, at::kFloat));
  tiles::log_sum_exp(x, y, expected).rows.sum().backward();
  EXPECT_EQ(scale.grad().scalar_type(), at::kDouble);
  EXPECT_EQ(scale.grad().item<double>(), expected.grad().item<double>());
}

}  // namespace
}  // namespace vlalign::tiled_test
