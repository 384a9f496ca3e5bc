#include "vlalign/loss/interactive_contrast.hpp"

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "support/by_hand.hpp"
#include "support/finite_differences.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/loss/info_nce.hpp"

namespace vlalign::interactive_contrast_test {
namespace {

using test::unit_rows;

ContrastiveBatch random_batch(std::int64_t size, std::int64_t teacher_dimension = 4) {
  return {.image = unit_rows(size, 4),
          .text = unit_rows(size, 4),
          .logit_scale = test::scalar(9.5),
          .teacher_image = unit_rows(size, teacher_dimension),
          .teacher_text = unit_rows(size, teacher_dimension)};
}

TEST(InteractiveContrast, EqualsItsFormulaInDouble) {
  for (const std::int64_t size : {1, 2, 7, 600}) {
    const auto batch = random_batch(size);
    const auto of_images = test::scaled(9.5, test::products(batch.image, batch.teacher_text));
    const auto of_texts = test::scaled(9.5, test::products(batch.text, batch.teacher_image));
    const double by_hand = (test::sum_of_cross_entropies(of_images) + test::sum_of_cross_entropies(of_texts)) /
                           (2.0 * static_cast<double>(size));
    EXPECT_NEAR(InteractiveContrast().forward(batch).item<double>(), by_hand, 1e-10);
  }
}

TEST(InteractiveContrast, HasTheSlopesOfFiniteDifferences) {
  const auto batch = random_batch(5);
  EXPECT_LT(test::gradient_error({batch.image, batch.text, batch.logit_scale},
                                 [&] { return InteractiveContrast().forward(batch); }),
            1e-7);
}

TEST(InteractiveContrast, IsInfoNCEForAStudentThatIsItsTeacher) {
  auto batch = random_batch(6);
  batch.teacher_image = batch.image, batch.teacher_text = batch.text;
  EXPECT_NEAR(InteractiveContrast().forward(batch).item<double>(), InfoNCE().forward(batch).item<double>(), 1e-12);
}

TEST(InteractiveContrast, NeedsATeacherOfTheSameDimension) {
  EXPECT_EQ(test::message_of<Error>([] { InteractiveContrast().forward(random_batch(3, 6)); }),
            "[InteractiveContrast] teacher_image: expected the student's dimension 4, got 6; give the student a "
            "projection to the teacher's");
}

}  // namespace
}  // namespace vlalign::interactive_contrast_test
