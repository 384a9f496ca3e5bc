// The library's losses have every property that they should.
#include "vlalign/testing/loss_properties.hpp"

#include <ATen/TensorOperators.h>

#include "vlalign/core/normalize.hpp"
#include "vlalign/loss/info_nce.hpp"
#include "vlalign/loss/sigmoid.hpp"

namespace vlalign {
namespace {

VLALIGN_TEST_LOSS(InfoNCEProperties, InfoNCE(), {.lower_bound = 0.0});

VLALIGN_TEST_LOSS(SmoothedInfoNCEProperties, InfoNCE({.label_smoothing = 0.1}),
                  {.lower_bound = 0.0,
                   .declined = {{Property::scale_sharpens, "label smoothing punishes logits that are too sure"}}});

VLALIGN_TEST_LOSS(LogOfMeanInfoNCEProperties, InfoNCE({.positives = Positives::log_of_mean}), {.lower_bound = 0.0});

VLALIGN_TEST_LOSS(SigmoidLossProperties, SigmoidLoss(), {.lower_bound = 0.0});

VLALIGN_TEST_LOSS(LambdaProperties, [](const ContrastiveBatch& batch) {
  return (l2_normalize(batch.image) - l2_normalize(batch.text)).square().sum(1).mean();
});

}  // namespace
}  // namespace vlalign
