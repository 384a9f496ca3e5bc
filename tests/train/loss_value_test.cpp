// What a loss must give a trainer, and what the trainer says of one that trains less than it seems to.
#include <ATen/TensorOperators.h>
#include <ATen/ops/scalar_tensor.h>
#include <gtest/gtest.h>

#include "support/captured_log.hpp"
#include "support/colours.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/loss/cyclic_consistency.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::loss_value_test {
namespace {

using test::CapturedLog;
using test::message_of;

class LossValue : public test::Colours {
 protected:
  /// The message with which a loss is refused, in whole batches and in pieces.
  std::vector<std::string> refusals(const AnyLoss& loss) const {
    std::vector<std::string> messages;
    for (const std::int64_t micro_batch : {0, 2}) {
      auto how = options(2);
      how.micro_batch = micro_batch;
      Trainer trainer(model(), loss, how);
      trainer.on_step([](const StepResult&) { ADD_FAILURE() << "a step was taken"; });
      messages.push_back(message_of<Error>([&] { trainer.fit(pairs_); }));
    }
    return messages;
  }
};

std::vector<std::string> both(const std::string& what) {
  return {"[Trainer] the loss " + what, "[backward_in_pieces] the loss " + what};
}

TEST_F(LossValue, MustHaveAGradient) {
  const auto expected = both(
      "has no gradient: expected a scalar computed from the batch, got a constant or a detached "
      "tensor");
  EXPECT_EQ(refusals([](const ContrastiveBatch& b) { return InfoNCE().forward(b).detach(); }), expected);
  EXPECT_EQ(refusals([](const ContrastiveBatch&) { return at::scalar_tensor(0.5); }), expected);
}

TEST_F(LossValue, MustBeAFloatingScalar) {
  EXPECT_EQ(refusals([](const ContrastiveBatch&) { return at::Tensor(); }),
            both("is not a floating scalar [], but none []"));
  EXPECT_EQ(refusals([](const ContrastiveBatch& b) { return (b.image * b.text).sum(1); }),
            both("is not a floating scalar [], but Float [4]"));
  EXPECT_EQ(refusals([](const ContrastiveBatch& b) { return (b.image > 0).sum(); }),
            both("is not a floating scalar [], but Long []"));
}

TEST_F(LossValue, MustReachSomethingThatTrains) {
  auto how = options(2);
  how.micro_batch = 2;
  how.fine_tuning = {.lock_image = 0, .lock_text = 0};  // the scale alone trains, which this loss doesn't use
  EXPECT_EQ(message_of<Error>([&] { Trainer(model(), CyclicConsistency(), how).fit(pairs_); }),
            "[Trainer] the loss gives no gradient to anything that trains");
}

TEST_F(LossValue, ThatLeavesATowerOutIsSaidOnce) {
  const auto of_images = [](const ContrastiveBatch& b) { return (b.image - b.image.roll(1, 0)).square().mean(); };
  for (const std::int64_t micro_batch : {0, 2}) {
    const CapturedLog log;
    auto how = options(3);
    how.micro_batch = micro_batch;
    Trainer(model(), of_images, how).fit(pairs_);
    EXPECT_EQ(log.count("gives the text tower no gradient"), 1);
    EXPECT_EQ(log.count("gives the image tower no gradient"), 0);
  }
  const CapturedLog log;
  auto how = options(2);
  how.fine_tuning.lock_text = 0;
  Trainer(model(), of_images, how).fit(pairs_);
  train(model(), options(2));
  EXPECT_EQ(log.count("no gradient"), 0);
}

TEST_F(LossValue, OfBatchesOfOnePairIsWarnedOfOnce) {
  const CapturedLog log;
  auto how = options(3);
  how.batch_size = 1;
  const auto summary = train(model(), how);
  EXPECT_NEAR(summary.last.loss, 0, 1e-5);  // logsumexp of one logit less that logit
  EXPECT_EQ(log.count("a batch of one pair has no negatives"), 1);
}

}  // namespace
}  // namespace vlalign::loss_value_test
