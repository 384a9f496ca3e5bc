#include "train/group_norms.hpp"

#include <ATen/ops/mse_loss.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/io/files.hpp"
#include "support/colours.hpp"
#include "train/line_log.hpp"
#include "train/norms_log.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::group_norms_test {
namespace {

using test::message_of;
using test::TempFolder;

class GroupNormsOf : public test::Colours {
 protected:
  /// Leaves gradients, of the token table sparse ones.
  static void run_backward(nn::DualEncoderImpl& towers) {
    const auto image = towers.encode_image(at::rand({4, 3, 32, 32}));
    const auto text = towers.encode_text(at::randint(1, 500, {4, 16}, at::kLong));
    (at::mse_loss(image, text) * towers.logit_scale()).backward();
  }
};

double norm_by_hand(const std::vector<at::Tensor>& tensors) {
  double squares = 0;
  for (const auto& tensor : tensors) {
    const auto dense = (tensor.is_sparse() ? tensor.to_dense() : tensor).detach().contiguous();
    for (std::int64_t i = 0; i < dense.numel(); ++i) {
      const double value = dense.const_data_ptr<float>()[i];
      squares += value * value;
    }
  }
  return std::sqrt(squares);
}

TEST_F(GroupNormsOf, AGroupAreThoseOfALoopInDoublePrecision) {
  const auto trained = model(1, /*resnet=*/false, /*layers=*/2);
  auto& towers = *trained.module();
  // By their names, as a reader of `vlalign inspect --parameters` would sort them.
  const std::map<std::string, std::vector<std::string>> groups{
      {"image.stem", {"visual.conv1.", "visual.class_embedding", "visual.positional_embedding", "visual.ln_pre."}},
      {"text.stem", {"text.token_embedding.", "text.positional_embedding"}},
      {"image.projection", {"image_projection."}},
      {"text.projection", {"text_projection."}},
      {"logit_scale", {"logit_scale"}}};
  GroupNorms norms(towers, {towers, ""});
  run_backward(towers);
  std::map<std::string, std::vector<at::Tensor>> values, gradients, updates;
  std::map<std::string, at::Tensor> before;
  for (const auto& item : towers.named_parameters()) before[item.key()] = item.value().detach().clone();
  norms.before();
  const at::NoGradGuard no_graph;
  for (const auto& parameter : towers.parameters()) parameter.mul_(1.25);
  const auto found = norms.after();

  std::set<std::string> names;
  double all_squares = 0;
  for (const auto& group : found) {
    names.insert(group.group);
    all_squares += group.gradient * group.gradient;
    EXPECT_NEAR(group.update, 0.25 * group.parameter, 1e-6 * group.parameter) << group.group;
    const auto known = groups.find(group.group);
    if (known == groups.end()) continue;
    std::vector<at::Tensor> of_parameters, of_gradients;
    for (const auto& item : towers.named_parameters()) {
      const auto begins = [&](const auto& start) { return item.key().starts_with(start); };
      if (std::none_of(known->second.begin(), known->second.end(), begins)) continue;
      of_parameters.push_back(before[item.key()]);
      if (item.value().grad().defined()) of_gradients.push_back(item.value().grad());
    }
    EXPECT_NEAR(group.parameter, norm_by_hand(of_parameters), 1e-9 * group.parameter) << group.group;
    EXPECT_NEAR(group.gradient, norm_by_hand(of_gradients), 1e-9 * group.gradient) << group.group;
  }
  EXPECT_EQ(names,
            (std::set<std::string>{"image.stem", "image.block.1", "image.block.2", "image.projection", "text.stem",
                                   "text.block.1", "text.block.2", "text.projection", "logit_scale"}));
  std::vector<at::Tensor> all;
  for (const auto& parameter : towers.parameters())
    if (parameter.grad().defined()) all.push_back(parameter.grad());
  EXPECT_NEAR(std::sqrt(all_squares), norm_by_hand(all), 1e-9);
  EXPECT_EQ(norms.histograms().size(), 2 * names.size());
}

/// As a policy holds its towers: behind a prefix, beside parts of its own.
struct AroundTowers : torch::nn::Module {
  explicit AroundTowers(const std::shared_ptr<nn::DualEncoderImpl>& towers) {
    register_module("encoder", towers);
    head = register_module("head", std::make_shared<Head>());
  }
  struct Head : torch::nn::Module {
    at::Tensor weight = register_parameter("weight", at::rand({2, 2})),
               bias = register_parameter("bias", at::rand({2}));
  };
  std::shared_ptr<Head> head;
};

TEST_F(GroupNormsOf, APolicyHaveItsPartsNames) {
  const auto trained = model();
  const AroundTowers policy(trained.module());
  GroupNorms norms(policy, {*trained.module(), "encoder."});
  norms.before();
  std::map<std::string, double> found;
  for (const auto& group : norms.after()) found[group.group] = group.parameter;
  EXPECT_TRUE(found.contains("image.stem"));
  EXPECT_TRUE(found.contains("logit_scale"));
  EXPECT_NEAR(found.at("head"), norm_by_hand(policy.head->parameters()), 1e-9);
}

TEST_F(GroupNormsOf, WhatIsFrozenAreNotThere) {
  const auto trained = model();
  auto& towers = *trained.module();
  for (const auto& item : towers.named_parameters()) item.value().set_requires_grad(item.key().starts_with("text."));
  GroupNorms norms(towers, {towers, ""});
  norms.before();  // without gradients
  for (const auto& group : norms.after()) {
    EXPECT_TRUE(group.group.starts_with("text.")) << group.group;
    EXPECT_EQ(group.gradient, 0);
    EXPECT_EQ(group.update, 0);
  }
}

TEST_F(GroupNormsOf, ADeepModelHaveTwentyHistogramsOfEachKindAtMost) {
  const auto trained = model(1, /*resnet=*/false, /*layers=*/12);
  auto& towers = *trained.module();
  GroupNorms norms(towers, {towers, ""});
  norms.before();
  EXPECT_GT(norms.after().size(), 20U);
  EXPECT_EQ(norms.histograms().size(), 40U);
}

TEST(NormsLog, GoesOnBehindTheStepItIsResumedAt) {
  const TempFolder folder;
  const auto path = folder.path() / "norms.jsonl";
  EventFile events(folder.path(), 0);
  const std::vector<GroupNorm> norms{{.group = "text.stem", .parameter = 3, .gradient = NAN, .update = 0.5}};
  {
    NormsLog log(folder.path(), 0);
    EXPECT_FALSE(is_there(path));
    for (const std::int64_t step : {10, 20, 30}) log.add(step, norms, {}, events);
  }
  NormsLog(folder.path(), 25).add(30, norms, {}, events);
  std::istringstream lines(read_file(path));
  std::vector<std::int64_t> steps;
  for (std::string line; std::getline(lines, line);) {
    const auto parsed = nlohmann::json::parse(line);
    steps.push_back(parsed["step"]);
    EXPECT_EQ(parsed["groups"],
              nlohmann::json::parse(R"({"text.stem": {"parameter": 3.0, "gradient": null, "update": 0.5}})"));
  }
  EXPECT_EQ(steps, (std::vector<std::int64_t>{10, 20, 30}));
}

TEST(StepLines, KeepsWholeLinesUpToAStep) {
  const TempFolder folder;
  const auto path = folder.path() / "lines.jsonl";
  const auto cut = [&](const std::string& text, std::int64_t step) {
    write_file_atomically(path, text);
    return lines_up_to(path, step, /*once=*/true);
  };
  const std::string ten = "{\"step\": 10}\n", twenty = "{\"step\": 20}\n";
  EXPECT_EQ(cut(ten + twenty, 20), ten + twenty);
  EXPECT_EQ(cut(ten + twenty, 19), ten);
  EXPECT_EQ(cut(ten + twenty, 9), "");
  EXPECT_EQ(cut(ten + "{\"step\": 2", 30), ten);
  EXPECT_NE(message_of<Error>([&] { cut(twenty + ten, 30); }).find("lines.jsonl:2"), std::string::npos);
}

}  // namespace
}  // namespace vlalign::group_norms_test
