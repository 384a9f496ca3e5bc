#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <torch/csrc/distributed/c10d/HashStore.hpp>

#include "ranks/nccl_group.hpp"

namespace vlalign::nccl_test {
namespace {

TEST(NcclCuda, OneRankSumsAndGathersThroughIt) {
  if (!at::hasCUDA()) GTEST_SKIP() << "this machine has no CUDA GPU";
  const auto group = make_nccl_group(c10::make_intrusive<c10d::HashStore>(), 0, 1);
  if (!group) GTEST_SKIP() << "this build is without NCCL";
  const auto numbers = at::arange(12, at::TensorOptions(at::kCUDA).dtype(at::kFloat));
  const auto before = numbers.clone();
  std::vector<at::Tensor> all{numbers};
  group->allreduce(all)->wait();
  EXPECT_TRUE(numbers.equal(before));
  auto gathered = at::empty_like(numbers), own = numbers;
  group->_allgather_base(gathered, own)->wait();
  EXPECT_TRUE(gathered.equal(before));
}

}  // namespace
}  // namespace vlalign::nccl_test
