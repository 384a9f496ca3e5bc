// Every number that a loss is made with: within its range it is taken, outside it is an Error that names it.
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "vlalign/core/error.hpp"
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

namespace vlalign::bad_options_test {
namespace {

constexpr auto nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();

/// An option, how to make its loss with a value of it, and values outside its range.
struct Option {
  std::string name;
  void (*make)(double);
  double good;
  std::vector<double> bad;
};

const std::vector<double> positive{0.0, -0.0, -1.0, nan, infinity, -infinity, 1e300, 1e-300};
const std::vector<double> not_negative{-1e-9, -1.0, nan, infinity, -infinity, 1e300};
const std::vector<double> below_one{-1e-9, 1.0, 2.0, nan, infinity, -infinity};

const std::vector<Option> options{
    {"[AlignmentUniformity] weight", [](double x) { AlignmentUniformity({.weight = x}); }, 1e-6, positive},
    {"[AlignmentUniformity] t", [](double x) { AlignmentUniformity({.t = x}); }, 2, positive},
    {"[CLOOB] beta", [](double x) { CLOOB({.beta = x}); }, 8, positive},
    {"[CyclicConsistency] in_modal", [](double x) { CyclicConsistency({.in_modal = x}); }, 0, not_negative},
    {"[CyclicConsistency] cross_modal", [](double x) { CyclicConsistency({.cross_modal = x}); }, 0, not_negative},
    {"[HardNegativeInfoNCE] beta", [](double x) { HardNegativeInfoNCE({.beta = x}); }, 0, not_negative},
    {"[HardNegativeInfoNCE] tau_plus", [](double x) { HardNegativeInfoNCE({.tau_plus = x}); }, 0, below_one},
    {"[InfoNCE] label_smoothing", [](double x) { InfoNCE({.label_smoothing = x}); }, 0, below_one},
    {"[LIV] gamma", [](double x) { LIV({.gamma = x}); }, 0, below_one},
    {"[VIP] gamma", [](double x) { VIP({.gamma = x}); }, 0.98, below_one},
    {"[SemiHardTriplet] margin", [](double x) { SemiHardTriplet({.margin = x}); }, 0.2, positive},
    {"[SimCLR] temperature", [](double x) { SimCLR({.temperature = x}); }, 0.1, positive},
    {"[TimeContrastive] l1", [](double x) { TimeContrastive({.l1 = x}); }, 0, not_negative},
    {"[TimeContrastive] l2", [](double x) { TimeContrastive({.l2 = x}); }, 0, not_negative},
    {"[TimeContrastive] language_weight", [](double x) { TimeContrastive({.language_weight = x}); }, 0, not_negative},
};

TEST(BadOptions, AreNamed) {
  for (const auto& option : options) {
    EXPECT_NO_THROW(option.make(option.good)) << option.name;
    for (const auto value : option.bad) {
      try {
        option.make(value);
        ADD_FAILURE() << option.name << " " << value << " was taken";
      } catch (const Error& error) {
        EXPECT_EQ(std::string(error.what()).find(option.name + ": expected"), 0U) << error.what();
      }
    }
  }
}

TEST(BadOptions, ALossThatIsZeroWhateverTheBatchIsRefused) {
  EXPECT_THROW(CyclicConsistency({.in_modal = 0, .cross_modal = 0}), Error);
}

}  // namespace
}  // namespace vlalign::bad_options_test
