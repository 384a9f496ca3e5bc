// Every loss of the library through the kit that it offers for others.
#include <ATen/TensorOperators.h>

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
#include "vlalign/loss/liv.hpp"
#include "vlalign/loss/semi_hard_triplet.hpp"
#include "vlalign/loss/sigmoid.hpp"
#include "vlalign/loss/simclr.hpp"
#include "vlalign/loss/temperature_free.hpp"
#include "vlalign/loss/time_contrastive.hpp"
#include "vlalign/loss/vip.hpp"
#include "vlalign/loss/weighted_sum.hpp"
#include "vlalign/testing/loss_properties.hpp"

namespace vlalign::library_losses_test {
namespace {

using namespace kit;

VLALIGN_TEST_LOSS(InfoNCEProperties, InfoNCE(), {.lower_bound = 0.0});

VLALIGN_TEST_LOSS(SmoothedInfoNCEProperties, InfoNCE({.label_smoothing = 0.1}),
                  {.lower_bound = 0.0,
                   .declined = {{Property::scale_sharpens, "label smoothing punishes logits that are too sure"}}});

VLALIGN_TEST_LOSS(LogOfMeanInfoNCEProperties, InfoNCE({.positives = Positives::log_of_mean}), {.lower_bound = 0.0});

VLALIGN_TEST_LOSS(DecoupledInfoNCEProperties, DecoupledInfoNCE(), {.smallest_batch = 2});

VLALIGN_TEST_LOSS(HardNegativeInfoNCEProperties, HardNegativeInfoNCE(), {.lower_bound = 0.0, .smallest_batch = 2});

VLALIGN_TEST_LOSS(SigmoidLossProperties, SigmoidLoss(), {.lower_bound = 0.0});

VLALIGN_TEST_LOSS(CLOOBProperties, CLOOB(), {.smallest_batch = 2});

VLALIGN_TEST_LOSS(CyclicConsistencyProperties, CyclicConsistency(), {.lower_bound = 0.0});

VLALIGN_TEST_LOSS(FILIPProperties, FILIP(), {.lower_bound = 0.0});

VLALIGN_TEST_LOSS(SimCLRProperties, SimCLR(), {.lower_bound = 0.0});

VLALIGN_TEST_LOSS(AffinityDistillationProperties, AffinityDistillation(), {.lower_bound = 0.0});

VLALIGN_TEST_LOSS(FeatureDistillationProperties, FeatureDistillation(),
                  {.lower_bound = 0.0, .declined = {{Property::rotation, "the teacher's space stays as it is"}}});

VLALIGN_TEST_LOSS(InteractiveContrastProperties, InteractiveContrast(),
                  {.lower_bound = 0.0, .declined = {{Property::rotation, "the teacher's space stays as it is"}}});

VLALIGN_TEST_LOSS(SemiHardTripletProperties, SemiHardTriplet(),
                  {.lower_bound = 0.0,
                   .smallest_batch = 2,
                   .declined = {{Property::perfect_alignment,
                                 "negatives nearer than the own text are passed over, however wrong it is"},
                                {Property::custom_targets,
                                 "a group's members are no negatives, but the positive stays the own text"}}});

VLALIGN_TEST_LOSS(AlignmentUniformityProperties, AlignmentUniformity(), {.smallest_batch = 2});

VLALIGN_TEST_LOSS(TemperatureFreeProperties, TemperatureFree(), {.lower_bound = 0.0});

VLALIGN_TEST_LOSS(TimeContrastiveProperties, TimeContrastive(),
                  {.lower_bound = 0.0, .declined = {{Property::rotation, "its L1 penalty is along the axes"}}});

VLALIGN_TEST_LOSS(VIPProperties, VIP());

VLALIGN_TEST_LOSS(LIVProperties, LIV(),
                  {.declined = {
                       {Property::perfect_alignment, "texts belong to goals, the last frames, not to images"}}});

VLALIGN_TEST_LOSS(WeightedSumProperties, WeightedSum({{InfoNCE(), {0.5}}, {SigmoidLoss(), {.from = 0.1, .to = 0.2}}}),
                  {.lower_bound = 0.0});

}  // namespace
}  // namespace vlalign::library_losses_test
