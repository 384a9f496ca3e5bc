#include "testing/property_check.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <cmath>
#include <exception>

#include "loss/checked_value.hpp"
#include "vlalign/core/normalize.hpp"

namespace vlalign::kit {
namespace {

constexpr double steepest_step = 0.1, least_gradient = 1e-6;
constexpr int step_sizes = 6;

/// The part of a gradient that moves unit rows along the sphere.
at::Tensor tangential(const at::Tensor& gradient, const at::Tensor& rows) {
  return gradient - (gradient * rows).sum(-1, /*keepdim=*/true) * rows;
}

/// The batch moved by -length along the direction, unit rows kept so.
ContrastiveBatch moved(const ContrastiveBatch& batch, ContrastiveBatch direction, double length) {
  auto result = batch;
  for (const auto& part : batch_tensors()) {
    auto& tensor = part.of(result);
    if (!part.is(BatchTensor::space) || !tensor.defined()) continue;
    tensor = tensor - length * part.of(direction);
    if (part.is(BatchTensor::unit)) tensor = l2_normalize(tensor);
  }
  return result;
}

}  // namespace

at::Tensor forward(const ContrastiveLoss& loss, const ContrastiveBatch& batch) { return checked_value(loss, batch); }

double value_of(const ContrastiveLoss& loss, const ContrastiveBatch& batch) {
  const at::NoGradGuard no_graph;
  return forward(loss, batch).item<double>();
}

ValueAndGradients value_and_gradients(const ContrastiveLoss& loss, const ContrastiveBatch& batch) {
  const auto leaves = as_leaves(batch);
  const auto value = forward(loss, leaves);
  value.backward();
  return {value.item<double>(), gradients_of(leaves)};
}

Finding difference(std::string_view what, double got, double expected, double allowed) {
  const auto off = std::abs(got - expected) / (1 + std::abs(expected));
  if (off <= allowed) return {};
  return fmt::format("{} is {:.10g}, expected {:.10g}: off by {:.2g} of 1 + |expected|, where {:.2g} is allowed", what,
                     got, expected, off, allowed);
}

Finding difference(const ValueAndGradients& got, const ValueAndGradients& expected, double allowed) {
  if (auto found = difference("the value", got.value, expected.value, allowed)) return found;
  auto got_gradients = got.gradients, expected_gradients = expected.gradients;
  for (const auto& part : batch_tensors()) {
    if (!part.is(BatchTensor::gradient) || !part.of(expected_gradients).defined()) continue;
    const auto is = part.of(got_gradients).flatten(), should = part.of(expected_gradients).flatten();
    const auto worst = ((is - should).abs() / (1 + should.abs())).argmax().item<std::int64_t>();
    if (auto found = difference(fmt::format("an entry of the gradient of {}", part.name), is[worst].item<double>(),
                                should[worst].item<double>(), allowed))
      return found;
  }
  return {};
}

std::optional<ContrastiveBatch> stepped_down(const ContrastiveLoss& loss, const ContrastiveBatch& batch) {
  auto [start, direction] = value_and_gradients(loss, batch);
  auto from = batch;
  double squares = 0;
  for (const auto& part : batch_tensors()) {
    auto& gradient = part.of(direction);
    if (!part.is(BatchTensor::space) || !gradient.defined()) continue;
    if (part.is(BatchTensor::unit)) gradient = tangential(gradient, part.of(from));
    squares += gradient.square().sum().item<double>();
  }
  const auto steepness = std::sqrt(squares);
  if (steepness < least_gradient) return batch;
  for (double step = steepest_step; step > steepest_step * std::pow(10.0, -step_sizes); step /= 10) {
    auto next = moved(batch, direction, step / steepness);
    if (value_of(loss, next) < start) return next;
  }
  return {};
}

std::optional<Violation> examine(const Subject& subject, const Case& one,
                                 const std::function<Finding(const Case&)>& check) {
  Finding found;
  try {
    found = check(one);
  } catch (const c10::Error& error) {
    found = fmt::format("it threw \"{}\"", error.what_without_backtrace());
  } catch (const std::exception& error) {
    found = fmt::format("it threw \"{}\"", error.what());
  }
  if (!found) return {};
  return Violation{
      .property = subject.property,
      .batch_size = one.size,
      .dim = one.dim,
      .seed = one.seed,
      .message = fmt::format("{}: {} does not hold: {}\nsmallest case found: {}", subject.loss.name(),
                             to_string(subject.property), *found, one.describe()),
  };
}

Grid plain_cases() { return {.targets = {TargetKind::none}}; }

Grid all_cases(const Subject& subject) { return {.targets = target_kinds(subject.uses())}; }

std::optional<Violation> first_violation(const Subject& subject, const Grid& grid,
                                         const std::function<Finding(const Case&)>& check) {
  for (const auto size : grid.sizes) {
    if (size < subject.claims.smallest_batch) continue;
    for (const auto dim : grid.dims) {
      for (std::uint64_t seed = 0; seed < grid.seeds; ++seed) {
        for (const auto targets : grid.targets) {
          if (auto found = examine(subject, random_case(size, dim, seed, targets, subject.uses()), check)) return found;
        }
      }
    }
  }
  return {};
}

std::optional<Violation> first_violation(const Subject& subject, const Grid& grid,
                                         Finding (*check)(const Subject&, const Case&)) {
  return first_violation(subject, grid, [&](const Case& one) { return check(subject, one); });
}

}  // namespace vlalign::kit
