// The settings of the losses: which are taken, and that they are told.
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/loss/affinity_distillation.hpp"
#include "vlalign/loss/alignment_uniformity.hpp"
#include "vlalign/loss/cloob.hpp"
#include "vlalign/loss/cyclic_consistency.hpp"
#include "vlalign/loss/hard_negative_info_nce.hpp"
#include "vlalign/loss/info_nce.hpp"
#include "vlalign/loss/liv.hpp"
#include "vlalign/loss/semi_hard_triplet.hpp"
#include "vlalign/loss/simclr.hpp"
#include "vlalign/loss/time_contrastive.hpp"
#include "vlalign/loss/vip.hpp"
#include "vlalign/loss/weighted_sum.hpp"

namespace vlalign::loss_options_test {
namespace {

std::string told(const ContrastiveLoss& loss) { return loss.name() + "|" + loss.options(); }

TEST(LossOptions, AnyTwoThatDifferAreToldApart) {
  std::vector<std::string> all{
      told(InfoNCE()),
      told(InfoNCE({.label_smoothing = 0.1})),
      told(InfoNCE({.label_smoothing = 0.1 + 1e-15})),
      told(InfoNCE({.positives = Positives::log_of_mean})),
      told(AffinityDistillation()),
      told(AffinityDistillation({.subtract_entropy = true})),
      told(AlignmentUniformity()),
      told(AlignmentUniformity({.weight = 0.5})),
      told(AlignmentUniformity({.t = 1.0})),
      told(CLOOB()),
      told(CLOOB({.beta = 4})),
      told(CLOOB({.retrieval = false})),
      told(CyclicConsistency()),
      told(CyclicConsistency({.in_modal = 0.5})),
      told(CyclicConsistency({.cross_modal = 0.5})),
      told(HardNegativeInfoNCE()),
      told(HardNegativeInfoNCE({.beta = 0.5})),
      told(HardNegativeInfoNCE({.tau_plus = 0.2})),
      told(LIV()),
      told(LIV({.gamma = 0.9})),
      told(SemiHardTriplet()),
      told(SemiHardTriplet({.margin = 0.3})),
      told(SimCLR()),
      told(SimCLR({.temperature = 0.2})),
      told(TimeContrastive()),
      told(TimeContrastive({.l1 = 0})),
      told(TimeContrastive({.l2 = 0})),
      told(TimeContrastive({.reward = [](const at::Tensor& a, const auto&, const auto&) { return a; }})),
      told(TimeContrastive({.language_weight = 2})),
      told(TimeContrastive({.language_negatives = 2})),
      told(VIP()),
      told(VIP({.gamma = 0.9})),
      told(WeightedSum({{InfoNCE()}, {CLOOB(), {0.5}}})),
      told(WeightedSum({{InfoNCE()}, {CLOOB(), {0.25}}})),
      told(WeightedSum({{InfoNCE()}, {CLOOB({.beta = 4}), {0.5}}})),
  };
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(all[i], all[j]) << i << " and " << j;
}

TEST(LossOptions, AreRefusedUnlessTheyAreNumbersInRange) {
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), -1.0}) {
    const std::vector<std::function<void()>> makers{
        [=] { InfoNCE({.label_smoothing = bad}); },
        [=] { AlignmentUniformity({.weight = bad}); },
        [=] { AlignmentUniformity({.t = bad}); },
        [=] { CLOOB({.beta = bad}); },
        [=] { CyclicConsistency({.in_modal = bad}); },
        [=] { CyclicConsistency({.cross_modal = bad}); },
        [=] { HardNegativeInfoNCE({.beta = bad}); },
        [=] { HardNegativeInfoNCE({.tau_plus = bad}); },
        [=] { LIV({.gamma = bad}); },
        [=] { SemiHardTriplet({.margin = bad}); },
        [=] { SimCLR({.temperature = bad}); },
        [=] { TimeContrastive({.l1 = bad}); },
        [=] { TimeContrastive({.l2 = bad}); },
        [=] { TimeContrastive({.language_weight = bad}); },
        [=] { VIP({.gamma = bad}); },
    };
    for (std::size_t i = 0; i < makers.size(); ++i) EXPECT_THROW(makers[i](), Error) << i << " with " << bad;
  }
}

}  // namespace
}  // namespace vlalign::loss_options_test
