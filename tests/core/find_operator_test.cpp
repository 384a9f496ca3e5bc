#include "core/find_operator.hpp"

#include <ATen/core/Tensor.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

namespace vlalign::find_operator_test {
namespace {

TEST(FindOperator, FindsOneByItsNameAndSignature) {
  const auto relu = find_operator<at::Tensor(const at::Tensor&)>("aten::relu");
  ASSERT_TRUE(relu);
  EXPECT_EQ(relu->call(-at::ones({2})).sum().item<double>(), 0);
}

TEST(FindOperator, FindsNothingWhereTheNameOrTheSignatureIsAnother) {
  EXPECT_FALSE(find_operator<at::Tensor(const at::Tensor&)>("aten::no_such_operator"));
  EXPECT_FALSE(find_operator<at::Tensor(std::int64_t)>("aten::relu"));
  EXPECT_FALSE((find_operator<at::Tensor(const at::Tensor&, const at::Tensor&)>("aten::relu")));
}

}  // namespace
}  // namespace vlalign::find_operator_test
