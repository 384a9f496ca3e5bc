#include "vlalign/loss/cloob.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/by_hand.hpp"
#include "support/finite_differences.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/loss/decoupled_info_nce.hpp"

namespace vlalign::cloob_test {
namespace {

using test::scalar, test::unit_rows;

/// norm(softmax(beta q k^T) k), one number at a time.
at::Tensor retrieved_by_hand(const at::Tensor& queries, const at::Tensor& stored, double beta) {
  const auto scores = test::scaled(beta, test::products(queries, stored));
  const auto k = stored.accessor<double, 2>();
  const auto out = at::empty({queries.size(0), stored.size(1)}, at::kDouble);
  auto u = out.accessor<double, 2>();
  for (std::int64_t i = 0; i < queries.size(0); ++i) {
    const double largest = test::log_sum_exp(scores[i]);
    double length = 0;
    for (std::int64_t d = 0; d < stored.size(1); ++d) {
      u[i][d] = 0;
      for (std::int64_t j = 0; j < stored.size(0); ++j) u[i][d] += std::exp(scores[i][j] - largest) * k[j][d];
      length += u[i][d] * u[i][d];
    }
    for (std::int64_t d = 0; d < stored.size(1); ++d) u[i][d] /= std::sqrt(length);
  }
  return out;
}

double by_hand(const at::Tensor& image, const at::Tensor& text, double scale, double beta) {
  const auto leave_one_out = [&](const at::Tensor& a, const at::Tensor& b) {
    return test::sum_of_decoupled(test::scaled(scale, test::products(a, b))) / (scale * static_cast<double>(a.size(0)));
  };
  return leave_one_out(retrieved_by_hand(image, image, beta), retrieved_by_hand(text, image, beta)) +
         leave_one_out(retrieved_by_hand(text, text, beta), retrieved_by_hand(image, text, beta));
}

TEST(CLOOB, EqualsItsFormulaInDouble) {
  for (const std::int64_t size : {2, 3, 7, 40}) {
    const auto image = unit_rows(size, 4), text = unit_rows(size, 4);
    for (const double beta : {0.5, 8.0, 30.0}) {
      EXPECT_NEAR(CLOOB({.beta = beta}).forward({image, text, scalar(30)}).item<double>(),
                  by_hand(image, text, 30, beta), 1e-10)
          << size << " " << beta;
    }
  }
}

TEST(CLOOB, KeepsItsPrecisionInFloat32) {
  const auto image = unit_rows(64, 32, at::kFloat), text = unit_rows(64, 32, at::kFloat);
  EXPECT_NEAR(CLOOB().forward({image, text, scalar(30, at::kFloat)}).item<double>(),
              by_hand(image.to(at::kDouble), text.to(at::kDouble), 30, 8), 1e-5);
}

TEST(CLOOB, HasTheSlopesOfFiniteDifferences) {
  const auto image = unit_rows(5, 4), text = unit_rows(5, 4), scale = scalar(3.7);
  for (const bool retrieval : {true, false}) {
    const auto loss = [&] { return CLOOB({.retrieval = retrieval}).forward({image, text, scale}); };
    EXPECT_LT(test::gradient_error({image, text, scale}, loss), 1e-7);
  }
}

TEST(CLOOB, IsTheDecoupledLossOverItsScaleWithoutRetrieval) {
  const auto image = unit_rows(6, 4), text = unit_rows(6, 4);
  const ContrastiveBatch batch{image, text, scalar(14.3)};
  EXPECT_NEAR(CLOOB({.retrieval = false}).forward(batch).item<double>(),
              2 / 14.3 * DecoupledInfoNCE().forward(batch).item<double>(), 1e-12);
}

TEST(CLOOB, IsTheLogOfTheNegativesOverItsScaleWhenNothingIsTold) {
  const auto same = at::ones({8, 4}, at::kDouble) / 2.0;
  EXPECT_NEAR(CLOOB().forward({same, same, scalar(20)}).item<double>(), 2 / 20.0 * std::log(7.0), 1e-12);
}

TEST(CLOOB, NamesWhatDoesNotFit) {
  EXPECT_EQ(test::message_of<Error>([] { CLOOB({.beta = 0}); }), "[CLOOB] beta: expected more than 0, got 0");
  EXPECT_EQ(test::message_of<Error>([] {
              CLOOB().forward({unit_rows(1, 4), unit_rows(1, 4), scalar(1)});
            }),
            "[CLOOB] image: 1 pair has no negatives; expected at least 2");
}

}  // namespace
}  // namespace vlalign::cloob_test
