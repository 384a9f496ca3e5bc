#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <vector>

#include "support/rows.hpp"
#include "vlalign/loss/affinity_distillation.hpp"
#include "vlalign/loss/alignment_uniformity.hpp"
#include "vlalign/loss/cloob.hpp"
#include "vlalign/loss/cyclic_consistency.hpp"
#include "vlalign/loss/decoupled_info_nce.hpp"
#include "vlalign/loss/feature_distillation.hpp"
#include "vlalign/loss/filip.hpp"
#include "vlalign/loss/hard_negative_info_nce.hpp"
#include "vlalign/loss/info_nce.hpp"
#include "vlalign/loss/interactive_contrast.hpp"
#include "vlalign/loss/semi_hard_triplet.hpp"
#include "vlalign/loss/sigmoid.hpp"
#include "vlalign/loss/simclr.hpp"
#include "vlalign/loss/temperature_free.hpp"

namespace vlalign::own_rows_test {
namespace {

std::vector<AnyLoss> losses() {
  return {AffinityDistillation(),
          AlignmentUniformity(),
          CLOOB(),
          CyclicConsistency(),
          DecoupledInfoNCE(),
          FeatureDistillation(),
          FILIP(),
          HardNegativeInfoNCE(),
          InfoNCE(),
          InteractiveContrast(),
          SemiHardTriplet(),
          SigmoidLoss(),
          SimCLR(),
          TemperatureFree()};
}

at::Tensor leaf(at::Tensor values) { return values.requires_grad_(); }

ContrastiveBatch whole_batch() {
  const auto tokens = [](std::int64_t length) {
    return TokenFeatures{leaf(l2_normalize(at::randn({6, length, 4}, at::kDouble)))};
  };
  return {.image = leaf(test::unit_rows(6, 4)),
          .text = leaf(test::unit_rows(6, 4)),
          .logit_scale = leaf(test::scalar(9.5)),
          .logit_bias = leaf(test::scalar(-3)),
          .image_tokens = tokens(3),
          .text_tokens = tokens(5),
          .second_image = leaf(test::unit_rows(6, 4)),
          .teacher_image = test::unit_rows(6, 4),
          .teacher_text = test::unit_rows(6, 4),
          .teacher_logit_scale = test::scalar(7)};
}

std::vector<at::Tensor> taken_gradients(const ContrastiveBatch& batch) {
  std::vector<at::Tensor> gradients;
  for (auto part : {batch.image, batch.text, batch.logit_scale, batch.image_tokens.features, batch.second_image}) {
    gradients.push_back(part.grad());
    part.mutable_grad().reset();
  }
  return gradients;
}

TEST(OwnRows, GiveTheWholeBatchesLossAndGradientAsTheirMean) {
  for (const auto& loss : losses()) {
    auto batch = whole_batch();
    const auto whole = loss->forward(batch);
    whole.backward();
    const auto expected = taken_gradients(batch);

    double mean = 0;
    for (const std::int64_t begin : {0, 2, 4}) {
      batch.own = tiles::RowRange{begin, 2};
      const auto part = loss->forward(batch) / 3.0;
      part.backward();
      mean += part.item<double>();
    }
    EXPECT_NEAR(mean, whole.item<double>(), 1e-12) << loss->name();
    const auto sums = taken_gradients(batch);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(expected[i].defined(), sums[i].defined()) << loss->name();
      if (!expected[i].defined()) continue;  // the loss doesn't use it
      EXPECT_TRUE(sums[i].allclose(expected[i], 1e-10, 1e-12)) << loss->name();
    }
  }
}

}  // namespace
}  // namespace vlalign::own_rows_test
