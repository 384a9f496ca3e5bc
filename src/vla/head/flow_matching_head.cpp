#include "vlalign/vla/head/flow_matching_head.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linspace.h>

#include <array>
#include <cmath>
#include <numbers>

#include "core/check.hpp"
#include "vla/check_shape.hpp"

namespace vlalign::vla {
namespace {

constexpr double shortest_period = 4e-3, longest_period = 4.0;  // pi0's, for times in [0, 1]
constexpr std::int64_t time_width = 64;
constexpr double beta_a = 1.5, smallest_time = 0.001;

/// Sines, then cosines of t at periods in geometric progression: [B] to [B, time_width].
Tensor time_features(const Tensor& t) {
  const auto exponents = at::linspace(std::log(shortest_period), std::log(longest_period), time_width / 2, t.options());
  const auto angles = t.unsqueeze(1) * (2 * std::numbers::pi) / exponents.exp();
  return at::cat({angles.sin(), angles.cos()}, 1);
}

void check_generator(const at::Generator& generator) {
  check(generator.defined() && generator.device().is_cpu(),
        "[FlowMatchingHead] generator: expected one on the CPU, since this head draws noise");
}

}  // namespace

FlowMatchingHead::FlowMatchingHead(std::int64_t width, const ActionShape& shape, const Options& options,
                                   nn::Initializer& initializer)
    : ActionHead("FlowMatchingHead", width, shape), steps_(options.steps) {
  check_size(steps_, "FlowMatchingHead", "steps");
  const auto chunk = shape.horizon * shape.dims;
  mlp = register_module("mlp", std::make_shared<ResidualMlp>(width + chunk + time_width, options.hidden, options.layers,
                                                             chunk, initializer));
}

Tensor FlowMatchingHead::velocity(const Tensor& features, const Tensor& x, const Tensor& t) const {
  check_shape(features, {any, width()}, "FlowMatchingHead", "features");
  check_shape(x, {features.size(0), shape().horizon, shape().dims}, "FlowMatchingHead", "x");
  check_shape(t, {features.size(0)}, "FlowMatchingHead", "t");
  return mlp->forward(at::cat({features, x.flatten(1), time_features(t)}, 1)).view_as(x);
}

Tensor FlowMatchingHead::predict_from(const Tensor& given, const Tensor& noise) const {
  const at::NoGradGuard no_graph;
  check_shape(given, {any, width()}, "FlowMatchingHead", "features");
  if (!has_shape(noise, {given.size(0), shape().horizon, shape().dims}))
    fail("[FlowMatchingHead] noise: expected [{}, {}, {}], got {}", given.size(0), shape().horizon, shape().dims,
         shape_of(noise));
  const auto features = given.scalar_type() == at::kDouble ? given : given.to(at::kFloat);
  auto x = noise.to(features.options());
  for (std::int64_t i = 0; i < steps_; ++i) {
    const double time = 1.0 - static_cast<double>(i) / static_cast<double>(steps_);
    x = x - velocity(features, x, at::full({x.size(0)}, time, x.options())) / static_cast<double>(steps_);
  }
  return x;
}

Tensor FlowMatchingHead::loss_at(const Tensor& features, const Tensor& actions, const Tensor& mask, const Tensor& noise,
                                 const Tensor& t) const {
  check_shape(features, {any, width()}, "FlowMatchingHead", "features");
  const std::array chunk{features.size(0), shape().horizon, shape().dims};
  check_shape(actions, chunk, "FlowMatchingHead", "actions");
  check_shape(noise, chunk, "FlowMatchingHead", "noise");
  check_shape(t, {features.size(0)}, "FlowMatchingHead", "t");
  const auto time = t.view({-1, 1, 1});
  const auto x = time * noise + (1 - time) * actions;
  return mean_over_steps((velocity(features, x, t) - (noise - actions)).square().mean(2), mask);
}

Tensor FlowMatchingHead::draw_noise(std::int64_t batch, const at::Generator& generator) const {
  check_generator(generator);
  check(batch > 0, "[FlowMatchingHead] batch: expected at least 1, got {}", batch);
  return at::empty({batch, shape().horizon, shape().dims}).normal_(0, 1, generator);
}

Tensor FlowMatchingHead::draw_times(std::int64_t batch, const at::Generator& generator) {
  check_generator(generator);
  check(batch > 0, "[FlowMatchingHead] batch: expected at least 1, got {}", batch);
  const auto uniform = at::empty({batch}).uniform_(0, 1, generator);
  return uniform.pow(1 / beta_a) * (1 - smallest_time) + smallest_time;  // Beta(a, 1) has the distribution u^a
}

Tensor FlowMatchingHead::loss_of(const Tensor& features, const Target& target, const at::Generator& generator) const {
  const auto options = features.options().requires_grad(false);
  const auto noise = draw_noise(features.size(0), generator).to(options);
  const auto t = draw_times(features.size(0), generator).to(options);
  return loss_at(features, target.actions, target.mask, noise, t);
}

Tensor FlowMatchingHead::prediction(const Tensor& features, const at::Generator& generator) const {
  return predict_from(features, draw_noise(features.size(0), generator));
}

}  // namespace vlalign::vla
