// Part of every test program: LibTorch's default generator starts from the clock, a test from the same numbers each
// time.
#include <ATen/Context.h>
#include <gtest/gtest.h>

namespace {

class SeedEachTest : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo&) override { at::manual_seed(1); }
};

[[maybe_unused]] const bool added = [] {
  testing::UnitTest::GetInstance()->listeners().Append(new SeedEachTest);  // which owns it
  return true;
}();

}  // namespace
