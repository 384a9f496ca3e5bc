#include "vlalign/loss/gradient_cache.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/normalize.hpp"
#include "vlalign/loss/info_nce.hpp"

namespace vlalign {
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

}  // namespace
}  // namespace vlalign
