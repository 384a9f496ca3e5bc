// GoogleTests of a loss, in a line. Needs GoogleTest 1.10 or later, which the project that includes this has to find
// and link itself: find_package(GTest), GTest::gtest_main. violation.hpp has the same checks for other frameworks.
// A loss takes about a second; run many at once with OMP_NUM_THREADS=1, as batches are too small for threads:
//     gtest_discover_tests(my_loss_test PROPERTIES ENVIRONMENT OMP_NUM_THREADS=1)
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "vlalign/core/export.hpp"
#include "vlalign/testing/violation.hpp"

namespace vlalign::kit {

/// A loss and what it promises.
struct LossUnderTest {
  AnyLoss loss;
  LossClaims claims = {};
};

/// One test of one loss; VLALIGN_TEST_LOSS makes them.
class LossPropertyTest : public ::testing::Test {
 public:
  LossPropertyTest(Property property, const char* file, int line, LossUnderTest (*make)())
      : property_(property), file_(file), line_(line), make_(make) {}

  void TestBody() override {
    const auto [loss, claims] = make_();
    if (const auto reason = reason_to_skip(property_, loss, claims)) GTEST_SKIP() << *reason;
    if (const auto violation = find_violation(property_, loss, claims))
      ADD_FAILURE_AT(file_, line_) << violation->message;
  }

  static bool add(const char* suite, const char* file, int line, LossUnderTest (*make)()) {
    for (const auto property : all_properties()) {
      ::testing::RegisterTest(suite, std::string(to_string(property)).c_str(), nullptr, nullptr, file, line,
                              [=]() { return new LossPropertyTest(property, file, line, make); });
    }
    return true;
  }

 private:
  Property property_;
  const char* file_;
  int line_;
  LossUnderTest (*make_)();
};

}  // namespace vlalign::kit

/// VLALIGN_TEST_LOSS(Suite, loss) or VLALIGN_TEST_LOSS(Suite, loss, claims), at namespace scope, adds a test for each
/// Property, e.g. Suite.GradientsEqualFiniteDifferences. loss: an expression for anything AnyLoss takes, evaluated when
/// a test runs.
///
///     VLALIGN_TEST_LOSS(InfoNCE, vlalign::InfoNCE(), {.lower_bound = 0.0});
///     VLALIGN_TEST_LOSS(Triplet, ImageTriplet(), {.smallest_batch = 2, .declined = {
///         {vlalign::kit::Property::modality_symmetry, "it looks for negatives among the images only"}}});
#define VLALIGN_TEST_LOSS(Suite, ...)                                                                    \
  [[maybe_unused]] static const bool vlalign_loss_tests_##Suite = ::vlalign::kit::LossPropertyTest::add( \
      #Suite, __FILE__, __LINE__, [] { return ::vlalign::kit::LossUnderTest{__VA_ARGS__}; })
