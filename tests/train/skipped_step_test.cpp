// What a step that is skipped leaves alone.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "support/captured_log.hpp"
#include "support/colours.hpp"
#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::skipped_step_test {
namespace {

using Tensors = std::map<std::string, at::Tensor>;

/// Copies of all parameters and buffers.
Tensors copies_of(const DualEncoder& model) {
  Tensors all;
  for (const auto& item : model.module()->named_parameters()) all[item.key()] = item.value().detach().clone();
  for (const auto& item : model.module()->named_buffers()) all[item.key()] = item.value().clone();
  return all;
}

std::vector<std::string> changed(const Tensors& before, const DualEncoder& model) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : copies_of(model))
    if (!tensor.equal(before.at(name))) names.push_back(name);
  return names;
}

/// InfoNCE, and NaN in the second step.
AnyLoss not_finite_once() {
  const auto calls = std::make_shared<int>(0);
  return [calls](const ContrastiveBatch& b) {
    return InfoNCE().forward(b) * (++*calls == 2 ? std::numeric_limits<double>::quiet_NaN() : 1.0);
  };
}

class SkippedStep : public test::Colours {};

TEST_F(SkippedStep, LeavesWeightsAndStatisticsToTheBit) {
  for (const std::int64_t micro_batch : {0, 2}) {
    const auto trained = model(1, true);
    auto how = options(3);
    how.micro_batch = micro_batch;
    Tensors after_first;
    Trainer trainer(trained, not_finite_once(), how);
    trainer.on_step([&](const StepResult& r) {
      EXPECT_EQ(r.skipped, r.step == 2);
      if (r.step == 1) after_first = copies_of(trained);
      const auto differ = changed(after_first, trained);
      const auto statistics = std::count(differ.begin(), differ.end(), "visual.bn1.running_mean");
      EXPECT_EQ(differ.size() > 0, r.step == 3);
      EXPECT_EQ(statistics, r.step == 3 ? 1 : 0);
    });
    EXPECT_EQ(trainer.fit(pairs_).skipped_steps, 1);
  }
}

/// Activations of 1e22 have a variance that float32 can't hold, though loss and gradient are finite.
TEST_F(SkippedStep, IsOneWhoseStatisticsOverflow) {
  const test::CapturedLog log;
  const test::TempFolder runs;
  const auto trained = model(1, true);
  const auto stem = trained.module()->named_parameters()["visual.conv1.weight"];
  const auto scale_stem = [&](double factor) {
    const at::NoGradGuard no_graph;
    stem.mul_(factor);
  };
  auto how = options(4);
  how.ema_decay = 0.5;
  how.out = runs.path() / "run";
  Tensors before;
  Trainer trainer(trained, InfoNCE(), how);
  trainer.on_step([&](const StepResult& r) {
    EXPECT_EQ(r.skipped, r.step == 2);
    EXPECT_TRUE(std::isfinite(r.loss) && std::isfinite(r.grad_norm));
    if (r.step == 1) {
      scale_stem(1e22);
      before = copies_of(trained);
    }
    if (r.step == 2) {
      EXPECT_EQ(changed(before, trained), std::vector<std::string>{});
      scale_stem(1e-22);
    }
  });
  trainer.fit(pairs_);
  EXPECT_EQ(log.count("step 2: visual.bn1.running_var is no longer finite, the step is skipped"), 1);
  for (const auto* folder : {"model", "model-ema"}) {
    for (const auto& [name, tensor] : read_safetensors(how.out / folder / "open_clip_model.safetensors").tensors)
      EXPECT_TRUE(tensor.isfinite().all().item<bool>()) << folder << " " << name;
  }
}

}  // namespace
}  // namespace vlalign::skipped_step_test
