// What the measures allocate beside the embeddings they are given.
#include <ATen/TensorOperators.h>
#include <ATen/ops/rand.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>

#include "vlalign/eval/hubness.hpp"
#include "vlalign/eval/retrieval.hpp"
#include "vlalign/eval/space.hpp"
#include "vlalign/eval/zero_shot.hpp"

namespace {

constexpr double megabyte = 1e6;

/// Counts what LibTorch's CPU allocator gives out.
class AllocationCounter : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, std::int64_t size, std::size_t, std::size_t, c10::Device) override {
    const std::lock_guard lock(mutex_);
    now_ += size;
    peak_ = std::max(peak_, now_);
  }
  bool memoryProfilingEnabled() const override { return true; }
  double peak() const { return static_cast<double>(peak_) / megabyte; }

 private:
  std::mutex mutex_;
  std::int64_t now_ = 0, peak_ = 0;
};

double peak_megabytes(const std::function<void()>& measure) {
  const auto counter = std::make_shared<AllocationCounter>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, counter);
  measure();
  return counter->peak();
}

TEST(Memory, IsCountedByTheTestsCounter) {
  EXPECT_NEAR(peak_megabytes([] { at::rand({1000, 1000}); }), 4.0, 0.1);
}

TEST(Memory, OfMeasuresOverRowsDoesNotGrowWithTheRows) {
  const auto x = at::rand({1'000'000, 64}), y = at::rand({1'000'000, 64});  // 256 MB each
  const std::vector<std::pair<const char*, std::function<void(const at::Tensor&, const at::Tensor&)>>> measures = {
      {"alignment", [](const auto& a, const auto& b) { vlalign::alignment(a, b); }},
      {"modality_gap", [](const auto& a, const auto& b) { vlalign::modality_gap(a, b); }},
      {"linear_cka", [](const auto& a, const auto& b) { vlalign::linear_cka(a, b); }},
      {"effective_rank", [](const auto& a, const auto&) { vlalign::effective_rank(a); }},
  };
  for (const auto& [name, measure] : measures) {
    EXPECT_LT(peak_megabytes([&, &of = measure] { of(x, y); }), 100.0) << name;
    const auto half_x = x.to(at::kBFloat16), half_y = y.to(at::kBFloat16);
    EXPECT_LT(peak_megabytes([&, &of = measure] { of(half_x, half_y); }), 100.0) << name << " of bfloat16";
  }
}

TEST(Memory, OfMeasuresOverAllPairsIsThatOfTiles) {
  const std::int64_t n = 12'000;  // an [N, N] matrix takes 576 MB, its comparison with a bar another 144 MB
  vlalign::Embeddings e;
  e.image = at::rand({n, 8});
  e.text = at::rand({n, 8});
  for (std::int64_t i = 0; i < n; ++i) e.image_of_text.push_back(i);
  EXPECT_LT(peak_megabytes([&] { vlalign::uniformity(e.image); }), 100.0);
  EXPECT_LT(peak_megabytes([&] { vlalign::k_occurrences(e.image, e.text); }), 100.0);
  EXPECT_LT(peak_megabytes([&] { vlalign::retrieval_ranks(e); }), 100.0);
  EXPECT_LT(peak_megabytes([&] { vlalign::evaluate_retrieval(e); }), 100.0);
}

TEST(Memory, OfZeroShotScoresIsThatOfBlocks) {
  const auto image = at::rand({50'000, 16}), classes = at::rand({1'000, 16});  // all scores take 200 MB, 400 in double
  const std::vector<std::int64_t> labels(50'000, 3);
  EXPECT_LT(peak_megabytes([&] { vlalign::score_classes(image, classes, labels, 10.0); }), 100.0);
}

}  // namespace
