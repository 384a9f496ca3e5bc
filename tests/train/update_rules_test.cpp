// Each optimizer beside its peer and beside its paper's formula in double precision.
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "support/job.hpp"
#include "train/worked_optimizers.hpp"
#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/nn/layers.hpp"
#include "vlalign/train/optimizer.hpp"
#include "vlalign/train/schedule.hpp"

namespace vlalign::update_rules_test {
namespace {

using test::Numbers;
using test::Worked;

constexpr int steps = 100;
constexpr double peak = 1e-3;

double rate_at(int step) { return peak * learning_rate_factor({.warmup = 8}, step, steps); }

Numbers numbers_of(const at::Tensor& tensor) {
  const auto flat = tensor.detach().to(at::kDouble).contiguous();
  return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

/// The largest difference, relative to the largest number.
double difference(const at::Tensor& tensor, const Numbers& expected) {
  const auto numbers = numbers_of(tensor);
  double largest = 0, scale = 1e-30;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(numbers[i] - expected[i]));
    scale = std::max(scale, std::abs(expected[i]));
  }
  return largest / scale;
}

class UpdateRule : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Of, UpdateRule, testing::Values("adamw", "lamb", "lion", "muon"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(UpdateRule, FollowsThePeerForAHundredSteps) {
  const auto figures =
      read_safetensors(std::filesystem::path(VLALIGN_FIXTURES) / "train" / "optimizers.safetensors").tensors;
  Optimizer::NamedParameters parameters;
  for (const auto* name : {"tall.weight", "wide.weight", "attn.in_proj_weight", "tall.bias"})
    parameters.emplace_back(name, figures.at(std::string("start.") + name).clone().requires_grad_());
  Optimizer optimizer(parameters, parse_optimizer(GetParam()));
  for (int step = 0; step < steps; ++step) {
    for (auto& item : parameters)
      item.second.mutable_grad() =
          figures.at("gradient." + item.first + "." + std::to_string(step % 10)) * (1 + step / 10);
    optimizer.step(rate_at(step));
    for (const auto& item : parameters) {
      const auto found = figures.find(GetParam() + ("." + item.first) + "." + std::to_string(step + 1));
      if (found == figures.end()) continue;
      EXPECT_LT(difference(item.second, numbers_of(found->second)), 1e-6) << item.first << ", step " << step + 1;
    }
  }
}

/// Parameters of all kinds, with their gradients at each step: one that has none at times, one whose gradient is zero,
/// one that begins at zero, a table with a sparse gradient, vectors, a scalar, and a slower rate.
class Everything {
 public:
  Everything() {
    add("visual.mlp.c_fc.weight", at::randn({6, 4}), {.rows = 6, .columns = 4, .matrices = 1, .decayed = true});
    add("visual.attn.in_proj_weight", at::randn({9, 3}), {.rows = 3, .columns = 3, .matrices = 3, .decayed = true});
    add("visual.slow.weight", at::randn({4, 7}), {.rows = 4, .columns = 7, .matrices = 1, .decayed = true});
    add("visual.rare.weight", at::randn({5, 5}), {.rows = 5, .columns = 5, .matrices = 1, .decayed = true});
    add("visual.still.weight", at::randn({3, 4}), {.rows = 3, .columns = 4, .matrices = 1, .decayed = true});
    add("visual.zero.weight", at::zeros({4, 3}), {.rows = 4, .columns = 3, .matrices = 1, .decayed = true});
    add("visual.conv1.weight", at::randn({4, 3, 2, 2}), {.decayed = true});
    add("text.token_embedding.weight", at::randn({200, 3}), {.decayed = true});
    add("text.positional_embedding", at::randn({5, 3}), {});
    add("text_projection.weight", at::randn({3, 3}), {.decayed = true});
    add("visual.mlp.c_fc.bias", at::randn({6}), {});
    add("logit_scale", at::full({}, 2.5), {});
  }

  void add_large(const char* name) { add(name, at::randn({64, 33}), {.rows = 64, .columns = 33, .matrices = 1}); }

  static std::vector<std::map<std::string, at::Tensor>> gradients(const Optimizer::NamedParameters& parameters) {
    std::vector<std::map<std::string, at::Tensor>> all(steps);
    for (int step = 0; step < steps; ++step) {
      for (const auto& item : parameters) {
        if (item.first == "visual.rare.weight" && step % 3 != 1) continue;
        auto& gradient = all[static_cast<std::size_t>(step)][item.first];
        gradient = item.first == "visual.still.weight" ? at::zeros_like(item.second) : at::randn(item.second.sizes());
      }
      all[static_cast<std::size_t>(step)]["text.token_embedding.weight"] = of_rows(at::randint(0, 200, {2, 3}));
    }
    return all;
  }

  const Optimizer::NamedParameters& parameters() const { return parameters_; }
  Optimizer::NamedParameters copies() const {
    Optimizer::NamedParameters all;
    for (const auto& item : parameters_) all.emplace_back(item.first, item.second.detach().clone().requires_grad_());
    return all;
  }
  std::map<std::string, Worked> worked() const { return worked_; }
  static std::map<std::string, double> factors() { return {{"visual.slow.weight", 0.25}, {"logit_scale", 3.0}}; }

 private:
  void add(const char* name, const at::Tensor& start, Worked worked) {
    parameters_.emplace_back(name, start.requires_grad_());
    const auto weights = numbers_of(start);
    worked.weights = weights;
    worked.first = worked.second = Numbers(weights.size());
    worked_[name] = worked;
  }

  static at::Tensor of_rows(const at::Tensor& tokens) {
    const auto table = at::zeros({200, 3}).requires_grad_();
    nn::look_up(table, tokens).backward(at::randn({2, 3, 3}));
    EXPECT_TRUE(table.grad().is_sparse());
    return table.grad();
  }

  Optimizer::NamedParameters parameters_;
  std::map<std::string, Worked> worked_;
};

using Gradients = std::map<std::string, at::Tensor>;

void step_with(Optimizer& optimizer, const Optimizer::NamedParameters& parameters, const Gradients& gradients,
               int step) {
  optimizer.zero_grad();
  for (const auto& item : parameters) {
    const auto found = gradients.find(item.first);
    if (found != gradients.end()) item.second.mutable_grad() = found->second.clone();
  }
  optimizer.step(rate_at(step));
}

TEST_P(UpdateRule, FollowsThePapersFormulaInDoublePrecision) {
  const Everything all;
  const auto factors = Everything::factors();
  const auto gradients = Everything::gradients(all.parameters());
  const auto options = parse_optimizer(GetParam());
  auto worked = all.worked();
  Optimizer optimizer(all.parameters(), options, factors);
  for (int step = 0; step < steps; ++step) {
    const auto& given = gradients[static_cast<std::size_t>(step)];
    step_with(optimizer, all.parameters(), given, step);
    for (const auto& item : all.parameters()) {
      const auto found = given.find(item.first);
      auto& expected = worked.at(item.first);
      if (found != given.end()) {
        const auto gradient = numbers_of(found->second.is_sparse() ? found->second.to_dense() : found->second);
        const double rate = rate_at(step) * (factors.count(item.first) > 0 ? factors.at(item.first) : 1.0);
        std::visit([&](const auto& own) { test::work(own, expected, gradient, rate); }, options);
      }
      EXPECT_LT(difference(item.second, expected.weights), 1e-6) << item.first << ", step " << step + 1;
    }
  }
}

TEST_P(UpdateRule, GoesOnFromItsStateToTheSameBits) {
  const Everything all;
  const auto gradients = Everything::gradients(all.parameters());
  const auto options = parse_optimizer(GetParam());
  const auto through = all.copies();
  Optimizer whole(through, options, Everything::factors());
  const auto half = all.copies();
  auto first = std::make_unique<Optimizer>(half, options, Everything::factors());
  for (int step = 0; step < steps; ++step) {
    step_with(whole, through, gradients[static_cast<std::size_t>(step)], step);
    if (step == steps / 2) {
      NamedTensors kept;
      for (const auto& item : first->state()) kept[item.first] = item.second.collect().clone();
      first = std::make_unique<Optimizer>(half, options, Everything::factors());
      for (auto& item : first->state()) Shard(item.second).distribute(kept.at(item.first));
    }
    step_with(*first, half, gradients[static_cast<std::size_t>(step)], step);
  }
  for (std::size_t i = 0; i < half.size(); ++i) EXPECT_TRUE(half[i].second.equal(through[i].second)) << half[i].first;
}

// ---- in the processes of a job ----

TEST(RankWithOptimizer, DISABLED_KeepsAPartOfTheMoments) {
  const auto ranks = Ranks::from_environment();
  for (const auto* name : {"adamw", "lamb", "lion", "muon"}) {
    Everything all;                        // every process draws the same numbers
    all.add_large("visual.large.weight");  // of which all ranks have a part
    const auto gradients = Everything::gradients(all.parameters());
    const auto shared = all.copies(), alone = all.copies();
    Optimizer in_parts(shared, parse_optimizer(name), Everything::factors(), ranks);
    Optimizer whole(alone, parse_optimizer(name), Everything::factors());
    for (int step = 0; step < steps; ++step) {
      step_with(in_parts, shared, gradients[static_cast<std::size_t>(step)], step);
      step_with(whole, alone, gradients[static_cast<std::size_t>(step)], step);
    }
    for (std::size_t i = 0; i < alone.size(); ++i)
      EXPECT_TRUE(shared[i].second.equal(alone[i].second)) << name << ": " << alone[i].first;
    for (const auto& item : in_parts.state())
      EXPECT_TRUE(item.second.own().numel() < 64 * 33 || item.second.on_each()) << item.first;
  }
}

// ---- who starts them ----

TEST(ShardedOptimizer, IsOneAlone) {
  for (const int size : {2, 3})
    for (const auto& end : test::run_job(size, "RankWithOptimizer.DISABLED_KeepsAPartOfTheMoments"))
      EXPECT_EQ(end.status, 0) << end.said;
}

}  // namespace
}  // namespace vlalign::update_rules_test
