#include <ATen/TensorOperators.h>
#include <ATen/ops/randint.h>
#include <gtest/gtest.h>

#include "vlalign/core/error.hpp"
#include "vlalign/loss/info_nce.hpp"

namespace vlalign::batch_accuracy_test {
namespace {

/// Of whole numbers, so that products are exact and ties are many.
double by_hand(const at::Tensor& image, const at::Tensor& text) {
  const auto size = image.size(0), dim = image.size(1);
  const auto product = [&](std::int64_t i, std::int64_t j) {
    float sum = 0;
    for (std::int64_t d = 0; d < dim; ++d)
      sum += image.const_data_ptr<float>()[i * dim + d] * text.const_data_ptr<float>()[j * dim + d];
    return sum;
  };
  std::int64_t right = 0;
  for (std::int64_t i = 0; i < size; ++i) {
    bool nearest = true;
    for (std::int64_t j = 0; j < size && nearest; ++j) nearest = j == i || product(i, j) < product(i, i);
    right += nearest ? 1 : 0;
  }
  return static_cast<double>(right) / static_cast<double>(size);
}

/// The largest of them doesn't fit the space for one block of cosines.
TEST(BatchAccuracy, CountsEveryRowOfBatchesOfAnySize) {
  for (const std::int64_t size : {1, 2, 7, 300, 3001}) {
    const auto image = at::randint(-3, 4, {size, 12}).to(at::kFloat);
    auto text = image + at::randint(-2, 3, {size, 12});
    if (size > 4) text[3] = text[2].clone();  // equally near to either image
    EXPECT_DOUBLE_EQ(batch_accuracy(image, text), by_hand(image, text)) << size;
  }
}

TEST(BatchAccuracy, CountsTiesInEveryBlockAgainstTheQuery) {
  const auto image = at::randint(-3, 4, {3001, 12}).to(at::kFloat);
  auto text = image.clone();
  text[3000] = text[0].clone();  // a tie with the very last
  EXPECT_DOUBLE_EQ(batch_accuracy(image, text), by_hand(image, text));
}

}  // namespace
}  // namespace vlalign::batch_accuracy_test
