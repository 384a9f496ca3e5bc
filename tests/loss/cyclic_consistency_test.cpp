#include "vlalign/loss/cyclic_consistency.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "support/finite_differences.hpp"
#include "support/rows.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::cyclic_consistency_test {
namespace {

using test::scalar, test::unit_rows;

double by_hand(const at::Tensor& image, const at::Tensor& text, double in_modal, double cross_modal) {
  const auto of_images = test::products(image, image), of_texts = test::products(text, text);
  const auto across = test::products(image, text);
  const auto size = across.size();
  double sum = 0;
  for (std::size_t j = 0; j < size; ++j) {
    for (std::size_t k = 0; k < size; ++k) {
      const double within = of_images[j][k] - of_texts[j][k], between = across[j][k] - across[k][j];
      sum += in_modal * within * within + cross_modal * between * between;
    }
  }
  return sum / static_cast<double>(size);
}

double loss_of(const at::Tensor& image, const at::Tensor& text, CyclicConsistency::Options options) {
  return CyclicConsistency(options).forward({image, text, scalar(50)}).item<double>();
}

TEST(CyclicConsistency, EqualsItsFormulaInDouble) {
  for (const std::int64_t size : {1, 2, 7}) {
    const auto image = unit_rows(size, 4), text = unit_rows(size, 4);
    EXPECT_NEAR(loss_of(image, text, {}), by_hand(image, text, 0.25, 0.25), 1e-12);
    EXPECT_NEAR(loss_of(image, text, {.in_modal = 2, .cross_modal = 3}), by_hand(image, text, 2, 3), 1e-12);
  }
}

TEST(CyclicConsistency, EqualsItsFormulaOverSeveralBlocks) {
  const auto image = unit_rows(2000, 2), text = unit_rows(2000, 2);  // 4 * 2000^2 numbers are two blocks
  EXPECT_NEAR(loss_of(image, text, {.in_modal = 1, .cross_modal = 2}), by_hand(image, text, 1, 2), 1e-8);
}

TEST(CyclicConsistency, HasTheSlopesOfFiniteDifferences) {
  const auto image = unit_rows(5, 4), text = unit_rows(5, 4);
  const auto loss = [&] {
    return CyclicConsistency({.in_modal = 1, .cross_modal = 2}).forward({image, text, scalar(1)});
  };
  EXPECT_LT(test::gradient_error({image, text}, loss), 1e-7);
}

TEST(CyclicConsistency, IsZeroWhereImagesEqualTexts) {
  const auto same = unit_rows(7, 4);
  EXPECT_EQ(loss_of(same, same, {}), 0.0);
}

TEST(CyclicConsistency, LooksAtShapesWithinAModalityWhateverTheirRotation) {
  const auto image = unit_rows(7, 4), text = unit_rows(7, 4);
  const auto turned = at::matmul(image, std::get<0>(at::linalg_qr(at::randn({4, 4}, at::kDouble))));
  const CyclicConsistency::Options in_modal{.in_modal = 1, .cross_modal = 0},
      cross_modal{.in_modal = 0, .cross_modal = 1};
  EXPECT_NEAR(loss_of(turned, text, in_modal), loss_of(image, text, in_modal), 1e-12);
  EXPECT_GT(std::abs(loss_of(turned, text, cross_modal) - loss_of(image, text, cross_modal)), 1e-3);
}

TEST(CyclicConsistency, NamesTheShapeThatDoesNotFit) {
  EXPECT_EQ(test::message_of<Error>([] { loss_of(unit_rows(4, 8), unit_rows(4, 6), {}); }),
            "[CyclicConsistency] text: expected [4, 8], got [4, 6]");
}

}  // namespace
}  // namespace vlalign::cyclic_consistency_test
