#include "vlalign/loss/filip.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "support/by_hand.hpp"
#include "support/finite_differences.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/loss/info_nce.hpp"

namespace vlalign::filip_test {
namespace {

using test::scalar, test::unit_rows;

TokenFeatures random_tokens(std::int64_t size, std::int64_t length, std::int64_t dimension) {
  auto mask = at::rand({size, length}) < 0.6;
  mask.select(1, length - 1).fill_(true);
  return {l2_normalize(at::randn({size, length, dimension}, at::kDouble)), mask};
}

ContrastiveBatch batch_of(const TokenFeatures& image, const TokenFeatures& text, const at::Tensor& scale) {
  const auto unused = at::zeros({image.features.size(0), 2}, at::kDouble);
  return {.image = unused, .text = unused, .logit_scale = scale, .image_tokens = image, .text_tokens = text};
}

double loss_of(const TokenFeatures& image, const TokenFeatures& text, double scale = 14.3) {
  return FILIP().forward(batch_of(image, text, scalar(scale))).item<double>();
}

std::vector<bool> real_ones(const TokenFeatures& tokens, std::int64_t item) {
  std::vector<bool> real(tokens.features.size(1), true);
  if (!tokens.mask.defined()) return real;
  const auto mask = tokens.mask.accessor<bool, 2>();
  for (std::int64_t k = 0; k < mask.size(1); ++k) real[k] = mask[item][k];
  return real;
}

/// How similar item i of x is to item j of y, from their tokens one by one.
double similarity_by_hand(const TokenFeatures& x, std::int64_t i, const TokenFeatures& y, std::int64_t j) {
  const auto cosines = test::products(x.features[i], y.features[j]);
  const auto real_of_x = real_ones(x, i), real_of_y = real_ones(y, j);
  double sum = 0, count = 0;
  for (std::size_t k = 0; k < cosines.size(); ++k) {
    if (!real_of_x[k]) continue;
    double best = -std::numeric_limits<double>::infinity();
    for (std::size_t r = 0; r < cosines[k].size(); ++r)
      if (real_of_y[r]) best = std::max(best, cosines[k][r]);
    sum += best, ++count;
  }
  return sum / count;
}

double by_hand(const TokenFeatures& image, const TokenFeatures& text, double scale = 14.3) {
  const auto size = image.features.size(0);
  double sum = 0;
  for (std::int64_t i = 0; i < size; ++i) {
    std::vector<double> to_texts, to_images;
    for (std::int64_t j = 0; j < size; ++j) {
      to_texts.push_back(scale * similarity_by_hand(image, i, text, j));
      to_images.push_back(scale * similarity_by_hand(text, i, image, j));
    }
    sum += test::log_sum_exp(to_texts) - to_texts[i] + test::log_sum_exp(to_images) - to_images[i];
  }
  return sum / (2.0 * static_cast<double>(size));
}

TEST(FILIP, EqualsItsFormulaInDouble) {
  for (const std::int64_t size : {1, 2, 5}) {
    const auto image = random_tokens(size, 4, 3), text = random_tokens(size, 6, 3);
    EXPECT_NEAR(loss_of(image, text), by_hand(image, text), 1e-10);
    const TokenFeatures all_real{image.features};
    EXPECT_NEAR(loss_of(all_real, text), by_hand(all_real, text), 1e-10);
  }
}

TEST(FILIP, EqualsItsFormulaOverSeveralBlocks) {
  const auto image = random_tokens(3, 1024, 4), text = random_tokens(3, 1024, 4);  // a block holds two items' cosines
  EXPECT_NEAR(loss_of(image, text), by_hand(image, text), 1e-9);
}

TEST(FILIP, EqualsItsFormulaForTextsOfManyLengths) {
  const std::int64_t size = 40, longest = 9;
  const TokenFeatures image{unit_rows(size * 3, 4).unflatten(0, {size, 3})};
  const auto lengths = at::randint(1, longest + 1, {size, 1}, at::kLong);
  const TokenFeatures text{unit_rows(size * longest, 4).unflatten(0, {size, longest}), at::arange(longest) < lengths};
  EXPECT_NEAR(loss_of(image, text), by_hand(image, text), 1e-12);
}

TEST(FILIP, HasTheSlopesOfFiniteDifferences) {
  const auto image = random_tokens(4, 3, 5), text = random_tokens(4, 6, 5);
  const auto scale = scalar(3.7);
  const auto loss = [&] { return FILIP().forward(batch_of(image, text, scale)); };
  EXPECT_LT(test::gradient_error({image.features, text.features, scale}, loss), 1e-7);
}

TEST(FILIP, IsInfoNCEForOneTokenEach) {
  const auto image = unit_rows(6, 4), text = unit_rows(6, 4);
  EXPECT_NEAR(loss_of({image.unsqueeze(1)}, {text.unsqueeze(1)}),
              InfoNCE().forward({image, text, scalar(14.3)}).item<double>(), 1e-12);
}

TEST(FILIP, DoesNotSeeTheOrderOfTokens) {
  const auto image = random_tokens(4, 7, 3), text = random_tokens(4, 6, 3);
  const auto order = at::randperm(7, at::kLong);
  const TokenFeatures shuffled{image.features.index_select(1, order), image.mask.index_select(1, order)};
  EXPECT_NEAR(loss_of(shuffled, text), loss_of(image, text), 1e-12);
}

TEST(FILIP, DoesNotSeePaddingInValueOrGradient) {
  const auto image = random_tokens(3, 3, 5), text = random_tokens(3, 6, 5);
  image.features.requires_grad_(), text.features.requires_grad_();
  const auto short_loss = FILIP().forward(batch_of(image, text, scalar(14.3)));
  short_loss.backward();
  for (const std::int64_t length : {2, 1100}) {  // as long as the second, it runs over several blocks
    const auto padded = [&](const TokenFeatures& tokens) {
      const auto nothing = at::full({3, length, 5}, std::numeric_limits<double>::quiet_NaN(), at::kDouble);
      return TokenFeatures{at::cat({tokens.features.detach(), nothing}, 1).requires_grad_(),
                           at::cat({tokens.mask, at::zeros({3, length}, at::kBool)}, 1)};
    };
    const auto long_image = padded(image), long_text = padded(text);
    const auto loss = FILIP().forward(batch_of(long_image, long_text, scalar(14.3)));
    loss.backward();
    EXPECT_NEAR(loss.item<double>(), short_loss.item<double>(), 1e-12);
    for (const auto& [given, padding] : {std::pair{image, long_image}, {text, long_text}}) {
      const auto gradient = padding.features.grad();
      const auto real = given.features.size(1);
      EXPECT_TRUE(gradient.narrow(1, 0, real).allclose(given.features.grad(), 1e-10, 1e-12)) << length;
      EXPECT_EQ(gradient.narrow(1, real, length).abs().max().item<double>(), 0.0) << length;
    }
  }
}

TEST(FILIP, IsTheLogOfTheBatchWhenNothingIsTold) {
  const TokenFeatures same{at::full({8, 3, 4}, 0.5, at::kDouble)};
  EXPECT_NEAR(loss_of(same, same, 100), std::log(8.0), 1e-12);
}

TEST(FILIP, NamesWhatDoesNotFit) {
  const auto image = random_tokens(4, 3, 5);
  EXPECT_EQ(test::message_of<Error>([&] { loss_of(image, {}); }),
            "[FILIP] text_tokens: expected floating [4, N, D], got []");
  EXPECT_EQ(test::message_of<Error>([&] { loss_of(image, random_tokens(3, 3, 5)); }),
            "[FILIP] text_tokens: expected floating [4, N, D], got [3, 3, 5]");
  EXPECT_EQ(test::message_of<Error>([&] { loss_of(image, random_tokens(4, 3, 6)); }),
            "[FILIP] text_tokens: expected tokens of dimension 5 as the images', got 6");
  EXPECT_EQ(test::message_of<Error>([&] {
              loss_of({image.features, at::ones({4, 2}, at::kBool)}, image);
            }),
            "[FILIP] image_tokens: expected a mask bool [4, 3], got Bool [4, 2]");
  image.mask[2].fill_(false);
  EXPECT_EQ(test::message_of<Error>([&] { loss_of(image, image); }),
            "[FILIP] image_tokens: every token of item 2 is masked");
}

}  // namespace
}  // namespace vlalign::filip_test
