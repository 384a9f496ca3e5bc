// Losses that are right have every property.
#include "vlalign/testing/loss_properties.hpp"

#include <ATen/TensorOperators.h>

#include "testing/dense_losses.hpp"
#include "vlalign/core/normalize.hpp"

namespace vlalign::loss_properties_test {
namespace {

using namespace kit;

VLALIGN_TEST_LOSS(LambdaProperties, [](const ContrastiveBatch& batch) {
  return (l2_normalize(batch.image) - l2_normalize(batch.text)).square().sum(1).mean();
});

VLALIGN_TEST_LOSS(HardestNegativeProperties, test::hardest_negative(), {.lower_bound = 0.0, .smallest_batch = 2});

// Losses that use the other parts of a batch.
VLALIGN_TEST_LOSS(LateInteractionProperties, test::late_interaction(), {.lower_bound = 0.0});
VLALIGN_TEST_LOSS(DistillationProperties, test::distillation(), {.lower_bound = 0.0});
VLALIGN_TEST_LOSS(TwoViewsProperties, test::two_views(), {.lower_bound = 0.0});
VLALIGN_TEST_LOSS(TimeContrastProperties, test::time_contrast(), {.lower_bound = 0.0});

}  // namespace
}  // namespace vlalign::loss_properties_test
