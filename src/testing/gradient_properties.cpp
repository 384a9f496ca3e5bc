// purity, gradients, descent: what a loss is as a function of its batch.
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <fmt/format.h>

#include <cmath>

#include "testing/property_check.hpp"

namespace vlalign::kit {
namespace {

bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  return a.defined() == b.defined() && (!a.defined() || at::equal(a, b));
}

/// The first tensor that differs, or nullptr.
const char* first_changed(ContrastiveBatch a, ContrastiveBatch b) {
  for (const auto& part : batch_tensors())
    if (!same_bits(part.of(a), part.of(b))) return part.name;
  return same_bits(a.soft_targets.dense(), b.soft_targets.dense()) ? nullptr : "soft_targets";
}

Finding impurity(const Subject& subject, const Case& one) {
  auto given = as_leaves(one.batch);
  given = changed(given, BatchTensor::gradient, [](const at::Tensor& leaf) { return leaf.detach(); });
  const auto value = value_of(subject.loss, given);
  if (const auto* part = first_changed(given, one.batch)) return fmt::format("the loss changed the batch's {}", part);
  const auto first = value_and_gradients(subject.loss, one.batch);
  const auto second = value_and_gradients(subject.loss, one.batch);
  if (auto found = difference("the value with a graph, after that without one,", first.value, value, 0)) return found;
  if (auto found = difference("the value of a second call", second.value, first.value, 0)) return found;
  if (const auto* part = first_changed(first.gradients, second.gradients))
    return fmt::format("the gradient of {} is another in a second call", part);
  return {};
}

/// The slopes of a function of one coordinate on both sides of where it is.
struct Slopes {
  double left, right;
  double central() const { return (left + right) / 2; }
};

template <typename Function>
Slopes slopes_of(Function value, double& coordinate, double step) {
  const auto here = coordinate;
  const auto middle = value();
  coordinate = here + step;
  const auto above = value();
  coordinate = here - step;
  const auto below = value();
  coordinate = here;
  return {(middle - below) / step, (above - middle) / step};
}

/// Whether a gradient is what smaller and smaller steps give; true at a kink, where there is none.
template <typename Function>
Finding wrong_slope(Function value, double& coordinate, double gradient, const std::string& what) {
  constexpr double kink = 1e-3;  // far above the curvature that is left at the smallest step
  Finding found;
  for (const double step : {1e-5, 1e-6, 1e-7}) {
    const auto slopes = slopes_of(value, coordinate, step);
    found = difference(what, gradient, slopes.central(), tolerance::finite_difference);
    if (!found) return {};
    if (step < 2e-7 && std::abs(slopes.right - slopes.left) > kink * (1 + std::abs(slopes.central()))) return {};
  }
  return found;
}

Finding wrong_gradient(const Subject& subject, const Case& one) {
  auto gradients = value_and_gradients(subject.loss, one.batch).gradients;
  auto batch = changed(one.batch, BatchTensor::gradient, [](const at::Tensor& t) { return t.clone(); });
  const auto value = [&] { return value_of(subject.loss, batch); };
  for (const auto& part : batch_tensors()) {
    const auto& tensor = part.of(batch);
    if (!part.is(BatchTensor::gradient) || !tensor.defined()) continue;
    const auto gradient = part.of(gradients).contiguous();
    for (std::int64_t i = 0; i < tensor.numel(); ++i) {
      const auto what = fmt::format("entry {} of the gradient of {}, beside central differences,", i, part.name);
      if (auto found =
              wrong_slope(value, tensor.mutable_data_ptr<double>()[i], gradient.const_data_ptr<double>()[i], what))
        return found;
    }
  }
  return {};
}

}  // namespace

std::optional<Violation> check_purity(const Subject& subject) {
  return first_violation(subject, all_cases(subject), impurity);
}

std::optional<Violation> check_gradients(const Subject& subject) {
  auto grid = all_cases(subject);
  grid.sizes = {1, 2, 3, 5};
  grid.dims = {2, 3};
  return first_violation(subject, grid, wrong_gradient);
}

std::optional<Violation> check_descent(const Subject& subject) {
  return first_violation(subject, all_cases(subject), [&](const Case& one) -> Finding {
    if (stepped_down(subject.loss, one.batch)) return {};
    return "no step against the gradient of the embeddings lowers it, of lengths 0.1 to 0.000001";
  });
}

}  // namespace vlalign::kit
