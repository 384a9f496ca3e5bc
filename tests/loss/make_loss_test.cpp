#include "vlalign/loss/make_loss.hpp"

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "support/rows.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/loss/info_nce.hpp"
#include "vlalign/loss/sigmoid.hpp"

namespace vlalign::make_loss_test {
namespace {

TEST(MakeLoss, KnowsEachName) {
  for (const auto& name : loss_names()) EXPECT_NO_THROW(make_loss(name)) << name;
}

TEST(MakeLoss, SumsWithWeights) {
  ContrastiveBatch batch{test::unit_rows(5, 3), test::unit_rows(5, 3), test::scalar(10)};
  batch.logit_bias = test::scalar(-3);
  const auto expected = InfoNCE().forward(batch) + 0.25 * SigmoidLoss().forward(batch);
  EXPECT_DOUBLE_EQ(make_loss("infonce+0.25*siglip")->forward(batch).item<double>(), expected.item<double>());
}

TEST(MakeLoss, TakesEachLossesOwnName) {
  auto names = loss_names();
  names.insert(names.end(), {"vip", "liv", "r3m", "0.5*vip", "infonce+-0.25*siglip", "1e+20*cyclip+2e-07*infonce",
                             "infonce+0:0.5@0:0.1*cyclip", "2*(infonce+0.5*(dcl+hcl))", "1:0@0.25:0.75*(cloob+filip)"});
  for (const auto& name : names) EXPECT_EQ(make_loss(name)->name(), name);
}

TEST(MakeLoss, WeightsInSumsOfSumsMultiply) {
  const ContrastiveBatch batch{test::unit_rows(5, 3), test::unit_rows(5, 3), test::scalar(10), test::scalar(-3)};
  const auto expected = 2 * (InfoNCE().forward(batch) + 0.25 * SigmoidLoss().forward(batch));
  EXPECT_DOUBLE_EQ(make_loss("2*(infonce+0.25*siglip)")->forward(batch).item<double>(), expected.item<double>());
}

TEST(MakeLoss, WeightsFollowTheRun) {
  ContrastiveBatch batch{test::unit_rows(5, 3), test::unit_rows(5, 3), test::scalar(10)};
  const auto whole = InfoNCE().forward(batch).item<double>();
  const auto loss = make_loss("1:3@0.2:0.6*infonce");
  for (const auto& [progress, weight] :
       {std::pair{0.0, 1.0}, {0.2, 1.0}, {0.3, 1.5}, {0.5, 2.5}, {0.6, 3.0}, {1.0, 3.0}}) {
    batch.progress = progress;
    EXPECT_NEAR(loss->forward(batch).item<double>(), weight * whole, 1e-12 * whole);
  }
}

TEST(MakeLoss, NamesWhatItDoesNotKnow) {
  EXPECT_EQ(test::message_of<Error>([] {
              make_loss("infonce+nonsense");
            }).find("unknown loss \"nonsense\": there are infonce,"),
            0U);
  EXPECT_EQ(test::message_of<Error>([] { make_loss("x*infonce"); }),
            "loss term \"x*infonce\": expected a number before *, e.g. 0.5*cyclip, or from:to@begin:end");
  EXPECT_EQ(test::message_of<Error>([] { make_loss(""); }).find("unknown loss \"\""), 0U);
}

TEST(MakeLoss, RefusesWhatIsNoSum) {
  for (const auto* text : {"*",
                           "0*",
                           "+",
                           "infonce+",
                           "+infonce",
                           "infonce++siglip",
                           "0*infonce",
                           "-0*infonce",
                           "0*infonce+0*siglip",
                           "nan*infonce",
                           "inf*infonce",
                           "1e999*infonce",
                           "-1e999*infonce",
                           "1e300*infonce",
                           "0x1*infonce",
                           "1,5*infonce",
                           "2 *infonce",
                           "2* infonce",
                           " infonce",
                           "2*3*infonce",
                           "INFONCE",
                           "infonce\n",
                           "infonce*2",
                           "\xff",
                           "1e*infonce",
                           "1:2*infonce",
                           "1:2@*infonce",
                           "1:2@0*infonce",
                           "1:2@0:1:1*infonce",
                           "1:2@0.5:0.25*infonce",
                           "1:2@0:1@0:1*infonce",
                           "()",
                           "(infonce",
                           "infonce)",
                           "(infonce)(infonce)",
                           "((((((((((((((((((infonce))))))))))))))))))"})
    EXPECT_THROW(make_loss(text), Error) << text;
  EXPECT_THROW(make_loss(std::string_view("infonce\0", 8)), Error);
  EXPECT_EQ(test::message_of<Error>([] { make_loss("0*infonce"); }), "loss \"0*infonce\": every weight is 0");
}

}  // namespace
}  // namespace vlalign::make_loss_test
