#include "vlalign/loss/affinity_distillation.hpp"

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/by_hand.hpp"
#include "support/finite_differences.hpp"
#include "support/loss_figures.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::affinity_distillation_test {
namespace {

using test::scalar, test::unit_rows;

ContrastiveBatch random_batch(std::int64_t size) {
  return {.image = unit_rows(size, 4),
          .text = unit_rows(size, 4),
          .logit_scale = scalar(9.5),
          .teacher_image = unit_rows(size, 6),
          .teacher_text = unit_rows(size, 6),
          .teacher_logit_scale = scalar(7.1)};
}

double loss_of(const ContrastiveBatch& batch, bool subtract_entropy = false) {
  return AffinityDistillation({.subtract_entropy = subtract_entropy}).forward(batch).item<double>();
}

/// One direction: sum_i -sum_j p_ij log q_ij, and, with entropy subtracted, + p_ij log p_ij.
double sum_by_hand(const test::Matrix& student, const test::Matrix& teacher, bool subtract_entropy) {
  double sum = 0;
  for (std::size_t i = 0; i < student.size(); ++i) {
    const double student_total = test::log_sum_exp(student[i]), teacher_total = test::log_sum_exp(teacher[i]);
    for (std::size_t j = 0; j < student.size(); ++j) {
      const double log_q = student[i][j] - student_total, log_p = teacher[i][j] - teacher_total;
      sum += std::exp(log_p) * ((subtract_entropy ? log_p : 0.0) - log_q);
    }
  }
  return sum;
}

double by_hand(const ContrastiveBatch& b, bool subtract_entropy) {
  const auto student = test::scaled(b.logit_scale.item<double>(), test::products(b.image, b.text));
  const auto teacher =
      test::scaled(b.teacher_logit_scale.item<double>(), test::products(b.teacher_image, b.teacher_text));
  return (sum_by_hand(student, teacher, subtract_entropy) +
          sum_by_hand(test::transposed(student), test::transposed(teacher), subtract_entropy)) /
         (2.0 * static_cast<double>(student.size()));
}

TEST(AffinityDistillation, EqualsItsFormulaInDouble) {
  for (const std::int64_t size : {1, 2, 7}) {
    const auto batch = random_batch(size);
    EXPECT_NEAR(loss_of(batch), by_hand(batch, false), 1e-10);
    EXPECT_NEAR(loss_of(batch, true), by_hand(batch, true), 1e-10);
  }
}

TEST(AffinityDistillation, EqualsItsFormulaOverSeveralBlocks) {
  const auto batch = random_batch(2500);  // 2 * 2500^2 numbers are two blocks
  EXPECT_NEAR(loss_of(batch), by_hand(batch, false), 1e-9);
}

TEST(AffinityDistillation, EqualsThePeersLossAndGradients) {
  const auto figures = test::loss_figures();
  const auto batch = test::batch_of_figures();
  const auto loss = AffinityDistillation().forward(batch);
  loss.backward();
  const auto value = figures.at("distill.value").item<double>();
  EXPECT_NEAR(loss.item<double>(), value, 1e-6 * value);
  EXPECT_TRUE(batch.image.grad().allclose(figures.at("distill.image_grad"), 1e-5, 1e-6));
  EXPECT_TRUE(batch.text.grad().allclose(figures.at("distill.text_grad"), 1e-5, 1e-6));
  EXPECT_TRUE(batch.logit_scale.grad().allclose(figures.at("distill.scale_grad"), 1e-4, 1e-7));
}

TEST(AffinityDistillation, HasTheSlopesOfFiniteDifferences) {
  const auto batch = random_batch(5);
  for (const bool subtract_entropy : {false, true}) {
    const auto loss = [&] { return AffinityDistillation({.subtract_entropy = subtract_entropy}).forward(batch); };
    EXPECT_LT(test::gradient_error({batch.image, batch.text, batch.logit_scale}, loss), 1e-7);
  }
}

TEST(AffinityDistillation, IsLeastForAStudentThatTellsApartWhatTheTeacherDoes) {
  auto batch = random_batch(6);
  batch.image = batch.teacher_image.clone().requires_grad_();
  batch.text = batch.teacher_text.clone();
  batch.logit_scale = batch.teacher_logit_scale.clone();
  const auto loss = AffinityDistillation().forward(batch);
  loss.backward();
  EXPECT_LT(batch.image.grad().abs().max().item<double>(), 1e-12);
  EXPECT_GT(loss.item<double>(), 0.01);  // the teacher's entropy
  EXPECT_NEAR(loss_of(batch, true), 0.0, 1e-12);
}

TEST(AffinityDistillation, SendsNothingToTheTeacher) {
  auto batch = random_batch(4);
  batch.image.requires_grad_();
  batch.teacher_image.requires_grad_();
  AffinityDistillation().forward(batch).backward();
  EXPECT_FALSE(batch.teacher_image.grad().defined());
}

TEST(AffinityDistillation, NamesWhatDoesNotFit) {
  const auto message_of = [](auto change) {
    auto batch = random_batch(4);
    change(batch);
    return test::message_of<Error>([&] { loss_of(batch); });
  };
  EXPECT_EQ(message_of([](auto& b) { b.teacher_image.reset(); }),
            "[AffinityDistillation] teacher_image: the batch has none");
  EXPECT_EQ(message_of([](auto& b) { b.teacher_image = unit_rows(3, 6); }),
            "[AffinityDistillation] teacher_image: expected 4 rows, got 3");
  EXPECT_EQ(message_of([](auto& b) { b.teacher_text = unit_rows(4, 5); }),
            "[AffinityDistillation] teacher_text: expected [4, 6], got [4, 5]");
  EXPECT_EQ(message_of([](auto& b) { b.teacher_logit_scale.reset(); }),
            "[AffinityDistillation] teacher_logit_scale: expected a scalar []");
}

}  // namespace
}  // namespace vlalign::affinity_distillation_test
