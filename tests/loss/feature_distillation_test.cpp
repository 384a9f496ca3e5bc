#include "vlalign/loss/feature_distillation.hpp"

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "support/finite_differences.hpp"
#include "support/rows.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::feature_distillation_test {
namespace {

using test::unit_rows;

ContrastiveBatch random_batch(std::int64_t size, std::int64_t teacher_dimension = 4) {
  return {.image = unit_rows(size, 4),
          .text = unit_rows(size, 4),
          .logit_scale = test::scalar(1),
          .teacher_image = unit_rows(size, teacher_dimension),
          .teacher_text = unit_rows(size, teacher_dimension)};
}

double squared_distances(const at::Tensor& a, const at::Tensor& b) {
  const auto x = a.accessor<double, 2>(), y = b.accessor<double, 2>();
  double sum = 0;
  for (std::int64_t i = 0; i < a.size(0); ++i) {
    for (std::int64_t d = 0; d < a.size(1); ++d) sum += (x[i][d] - y[i][d]) * (x[i][d] - y[i][d]);
  }
  return sum;
}

TEST(FeatureDistillation, EqualsItsFormulaInDouble) {
  for (const std::int64_t size : {1, 2, 7}) {
    const auto batch = random_batch(size);
    const double by_hand =
        (squared_distances(batch.image, batch.teacher_image) + squared_distances(batch.text, batch.teacher_text)) /
        static_cast<double>(size);
    EXPECT_NEAR(FeatureDistillation().forward(batch).item<double>(), by_hand, 1e-12);
  }
}

TEST(FeatureDistillation, HasTheSlopesOfFiniteDifferences) {
  const auto batch = random_batch(5);
  EXPECT_LT(test::gradient_error({batch.image, batch.text}, [&] { return FeatureDistillation().forward(batch); }),
            1e-8);
}

TEST(FeatureDistillation, NeedsATeacherOfTheSameDimension) {
  EXPECT_EQ(test::message_of<Error>([] { FeatureDistillation().forward(random_batch(3, 6)); }),
            "[FeatureDistillation] teacher_image: expected the student's dimension 4, got 6; give the student a "
            "projection to the teacher's");
}

}  // namespace
}  // namespace vlalign::feature_distillation_test
