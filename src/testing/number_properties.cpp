// What holds in the dtypes and on the devices of towers: edges, bfloat16, cuda.
#include <ATen/TensorOperators.h>
#include <ATen/ops/scalar_tensor.h>
#include <fmt/format.h>

#include <cmath>

#include "testing/property_check.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::kit {
namespace {

constexpr double largest_scale = 100;  // what the trainer lets a logit scale become

ContrastiveBatch at_largest_scale(ContrastiveBatch batch) {
  batch.logit_scale = at::scalar_tensor(largest_scale, at::kDouble);
  if (batch.teacher_logit_scale.defined()) batch.teacher_logit_scale = batch.logit_scale;
  return batch;
}

Finding not_finite(const Subject& subject, const ContrastiveBatch& batch) {
  auto [value, gradients] = value_and_gradients(subject.loss, batch);
  if (!std::isfinite(value)) return fmt::format("the value is {}", value);
  for (const auto& part : batch_tensors())
    if (const auto& gradient = part.of(gradients);
        part.is(BatchTensor::gradient) && gradient.defined() && !gradient.isfinite().all().item<bool>())
      return fmt::format("the gradient of {} is not finite", part.name);
  return {};
}

Finding not_finite_at_an_edge(const Subject& subject, const Case& one) {
  if (auto found = not_finite(subject, converted(one.batch, at::kFloat, at::kFloat))) return found;
  for (const auto& [name, batch] : extremes(at_largest_scale(one.batch)))
    if (auto found = not_finite(subject, converted(batch, at::kFloat, at::kFloat)))
      return fmt::format("{} in float32 at logit scale {:g}, {}", *found, largest_scale, name);
  return {};
}

Finding took_too_small_a_batch(const Subject& subject, const Case& one) {
  double value = 0;
  try {
    value = value_of(subject.loss, one.batch);
  } catch (const Error&) {
    return {};
  }
  return fmt::format("a batch below the smallest, {}, should throw vlalign::Error, but gave {}",
                     subject.claims.smallest_batch, value);
}

ContrastiveBatch moved_to(ContrastiveBatch batch, c10::Device device) {
  for (const auto& part : batch_tensors())
    if (auto& tensor = part.of(batch); tensor.defined()) tensor = tensor.to(device);
  if (auto& soft = batch.soft_targets; soft.defined()) soft = soft.dense().to(device);
  return batch;
}

Finding different_on_cuda(const Subject& subject, const ContrastiveBatch& batch, double allowed) {
  auto [value, gradients] = value_and_gradients(subject.loss, moved_to(batch, c10::kCUDA));
  return difference({value, moved_to(gradients, c10::kCPU)}, value_and_gradients(subject.loss, batch), allowed);
}

}  // namespace

std::optional<Violation> check_edges(const Subject& subject) {
  for (std::int64_t size = 1; size < subject.claims.smallest_batch; ++size) {
    const auto small = random_case(size, 8, 0, TargetKind::none, subject.uses());
    if (auto found = examine(subject, small, [&](const Case& one) { return took_too_small_a_batch(subject, one); }))
      return found;
  }
  auto grid = all_cases(subject);
  grid.sizes = {1, 2, 3, 8};
  grid.dims = {1, 2, 8};
  grid.seeds = 2;
  return first_violation(subject, grid, not_finite_at_an_edge);
}

std::optional<Violation> check_bfloat16(const Subject& subject) {
  auto grid = all_cases(subject);
  grid.dims = {8};
  return first_violation(subject, grid, [&](const Case& one) {
    const auto rounded = converted(at_largest_scale(one.batch), at::kBFloat16, at::kFloat);
    return difference(fmt::format("the value of bfloat16 embeddings at logit scale {:g}", largest_scale),
                      value_of(subject.loss, rounded),
                      value_of(subject.loss, converted(rounded, at::kFloat, at::kFloat)), tolerance::bfloat16);
  });
}

std::optional<Violation> check_cuda(const Subject& subject) {
  auto grid = all_cases(subject);
  grid.sizes = {1, 2, 8};
  grid.dims = {8};
  grid.seeds = 2;
  return first_violation(subject, grid, [&](const Case& one) -> Finding {
    if (auto found = different_on_cuda(subject, one.batch, tolerance::rounding)) return found;
    auto found = different_on_cuda(subject, converted(one.batch, at::kFloat, at::kFloat), tolerance::float32);
    return found ? fmt::format("in float32, {}", *found) : found;
  });
}

}  // namespace vlalign::kit
