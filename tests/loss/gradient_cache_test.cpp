#include "vlalign/loss/gradient_cache.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/normalize.hpp"
#include "vlalign/loss/filip.hpp"
#include "vlalign/loss/info_nce.hpp"

namespace vlalign::gradient_cache_test {
namespace {

/// Six pairs in pieces of two, through a tower of one number.
std::string refusal(const AnyLoss& loss) {
  const auto inputs = at::randn({6, 4}), tower = at::ones({}).requires_grad_();
  ContrastiveBatch whole{{}, {}, at::ones({})};
  return test::message_of<Error>([&] {
    backward_in_pieces(
        *loss, 3,
        [&](std::int64_t k) {
          const auto rows = l2_normalize(tower * inputs.narrow(0, 2 * k, 2));
          return ContrastiveBatch{rows, rows, {}};
        },
        whole);
  });
}

TEST(BackwardInPieces, RefusesALossWithoutAGradient) {
  EXPECT_EQ(
      refusal([](const ContrastiveBatch& b) { return InfoNCE().forward(b).detach(); }),
      "[backward_in_pieces] the loss has no gradient: expected a scalar computed from the batch, got a constant or "
      "a detached tensor");
}

TEST(BackwardInPieces, RefusesALossThatIsNoScalar) {
  EXPECT_EQ(refusal([](const ContrastiveBatch& b) { return b.image.sum(1); }),
            "[backward_in_pieces] the loss is not a floating scalar [], but Float [6]");
}

TEST(BackwardInPieces, SaysThatGradientsAreSwitchedOff) {
  const at::NoGradGuard no_graph;
  EXPECT_EQ(refusal(InfoNCE()), "[backward_in_pieces] gradients are switched off, as by at::NoGradGuard");
}

/// Words of three images and captions in the joint space, cut to `length`, the rest of which is padding.
TokenFeatures words_of(const at::Tensor& words, const std::vector<std::int64_t>& counts, std::int64_t length) {
  const auto places = at::arange(length), real = at::tensor(counts).unsqueeze(1);
  return {.features = l2_normalize(words.narrow(1, 0, length)), .mask = places.unsqueeze(0) < real};
}

TEST(BackwardInPieces, TakesTokensOfOtherLengthsAndPassesOverEmptyPieces) {
  const auto image = at::randn({3, 4, 5}, at::kDouble).requires_grad_();
  const auto words = at::randn({3, 6, 5}, at::kDouble).requires_grad_();
  const std::vector<std::int64_t> counts{2, 6, 3};
  const auto piece_of = [&](std::int64_t begin, std::int64_t count, std::int64_t length) {
    ContrastiveBatch piece;
    piece.image = l2_normalize(image.narrow(0, begin, count).mean(1));
    piece.text = l2_normalize(words.narrow(0, begin, count).mean(1));
    piece.image_tokens.features = l2_normalize(image.narrow(0, begin, count));
    piece.text_tokens = words_of(words.narrow(0, begin, count), {&counts[begin], &counts[begin] + count}, length);
    return piece;
  };
  const auto gradients = [&] {
    std::vector<at::Tensor> results{image.grad().clone(), words.grad().clone()};
    for (const auto& leaf : {image, words}) leaf.mutable_grad().reset();
    return results;
  };
  const auto scale = at::full({}, 5.0, at::kDouble);
  auto batch = piece_of(0, 3, 6);
  batch.logit_scale = scale;
  const auto expected = FILIP().forward(batch);
  expected.backward();
  const auto expected_gradients = gradients();

  ContrastiveBatch whole{{}, {}, scale};
  const auto value = backward_in_pieces(
      FILIP(), 5,
      [&](std::int64_t k) {  // of lengths 2, 6 and 3, behind and beside pieces of nothing
        return k == 0 || k == 3 ? ContrastiveBatch() : k == 4 ? piece_of(2, 1, 3) : piece_of(k - 1, 1, k == 1 ? 2 : 6);
      },
      whole);
  EXPECT_NEAR(value.item<double>(), expected.item<double>(), 1e-12);
  const auto got = gradients();
  for (std::size_t i = 0; i < 2; ++i) EXPECT_TRUE(got[i].allclose(expected_gradients[i], 1e-9, 1e-12)) << i;
}

}  // namespace
}  // namespace vlalign::gradient_cache_test
