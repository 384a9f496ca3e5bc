// Which batches must score no worse than which: perfect_alignment, scale_sharpens, batch_growth, lower_bound.
#include <ATen/TensorOperators.h>
#include <ATen/ops/scalar_tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "testing/property_check.hpp"

namespace vlalign::kit {
namespace {

bool exceeds(double a, double b) { return !(a <= b + tolerance::rounding * (1 + std::abs(b))); }

void set_scale(ContrastiveBatch& batch, double scale) { batch.logit_scale = at::scalar_tensor(scale, at::kDouble); }

Finding better_permutation(const Subject& subject, const Case& one) {
  const auto batch = perfectly_aligned(one.batch);
  const auto perfect = value_of(subject.loss, batch);
  std::vector<std::int64_t> order(static_cast<std::size_t>(one.size));
  std::iota(order.begin(), order.end(), 0);
  do {
    const auto permuted = value_of(subject.loss, with_texts_in(batch, as_order(order)));
    if (exceeds(perfect, permuted))
      return fmt::format("equal images and texts score {:.10g}, with the texts in the order {} they score {:.10g}",
                         perfect, order, permuted);
  } while (std::next_permutation(order.begin(), order.end()));
  return {};
}

/// Orthonormal images, their tokens as they are, the texts equal.
ContrastiveBatch orthonormal(const Case& one) {
  auto rng = case_rng(one);
  auto batch = one.batch;
  batch.image = orthogonal_matrix(one.dim, rng).narrow(0, 0, one.size);
  if (auto& tokens = batch.image_tokens.features; tokens.defined())
    tokens = batch.image.unsqueeze(1).expand_as(tokens).clone();
  return perfectly_aligned(batch);
}

Finding blunted(const Subject& subject, const Case& one) {
  constexpr std::array scales{1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0};
  auto batch = orthonormal(one);
  if (batch.teacher_logit_scale.defined()) batch.teacher_logit_scale = at::scalar_tensor(scales.back(), at::kDouble);
  std::vector<double> values;
  for (const auto scale : scales) {
    set_scale(batch, scale);
    values.push_back(value_of(subject.loss, batch));
  }
  for (std::size_t i = 1; i < scales.size(); ++i)
    if (exceeds(values[i], values[i - 1]))
      return fmt::format("a perfect, orthonormal batch scores {:.10g} at logit scale {} and {:.10g} at {}",
                         values[i - 1], scales[i - 1], values[i], scales[i]);
  return {};
}

ContrastiveBatch first_pairs(const ContrastiveBatch& batch, std::int64_t count) {
  return changed(batch, BatchTensor::pairs, [&](const at::Tensor& t) { return t.narrow(0, 0, count); });
}

/// The loss of identical pairs, one.size of them, against that of the next smaller batch.
Finding shrunk(const Subject& subject, const Case& one, std::int64_t fewer) {
  auto batch = identical(one.batch);
  for (const double scale : {1.0, 10.0, 30.0}) {
    set_scale(batch, scale);
    const auto less = value_of(subject.loss, first_pairs(batch, fewer)), more = value_of(subject.loss, batch);
    if (exceeds(less, more))
      return fmt::format("{} identical pairs score {:.10g}, {} of them {:.10g}, both at logit scale {}", fewer, less,
                         one.size, more, scale);
  }
  return {};
}

Finding too_low(const Subject& subject, const ContrastiveBatch& batch) {
  const auto bound = *subject.claims.lower_bound, value = value_of(subject.loss, batch);
  if (!exceeds(bound, value)) return {};
  return fmt::format("it is {:.10g}, where {} is claimed to be the least", value, bound);
}

/// The loss, while it is made as low as some steps can make it.
Finding too_low_downhill(const Subject& subject, ContrastiveBatch batch) {
  for (int step = 1; step <= 20; ++step) {
    const auto next = stepped_down(subject.loss, batch);
    if (!next) break;
    batch = *next;
    if (auto found = too_low(subject, batch)) return fmt::format("after {} steps of descent {}", step, *found);
  }
  return {};
}

}  // namespace

std::optional<Violation> check_perfect_alignment(const Subject& subject) {
  auto grid = plain_cases();
  grid.sizes = {2, 3, 4};
  return first_violation(subject, grid, better_permutation);
}

std::optional<Violation> check_scale_sharpens(const Subject& subject) {
  auto grid = plain_cases();
  grid.dims = {8};
  return first_violation(subject, grid, blunted);
}

std::optional<Violation> check_batch_growth(const Subject& subject) {
  constexpr std::array<std::int64_t, 4> sizes{2, 3, 4, 8};
  auto grid = plain_cases();
  for (std::size_t i = 1; i < sizes.size(); ++i) {
    if (sizes[i - 1] < subject.claims.smallest_batch) continue;
    grid.sizes = {sizes[i]};
    if (auto found =
            first_violation(subject, grid, [&](const Case& one) { return shrunk(subject, one, sizes[i - 1]); }))
      return found;
  }
  return {};
}

std::optional<Violation> check_lower_bound(const Subject& subject) {
  auto grid = all_cases(subject);
  grid.sizes = {1, 2, 3, 8};
  grid.dims = {2, 8};
  grid.seeds = 2;
  return first_violation(subject, grid, [&](const Case& one) -> Finding {
    for (auto [name, batch] : extremes(one.batch)) {
      for (const double scale : {1.0, 10.0, 100.0}) {
        set_scale(batch, scale);
        if (auto found = too_low(subject, batch)) return fmt::format("{} ({}, at logit scale {})", *found, name, scale);
      }
    }
    return too_low_downhill(subject, one.batch);
  });
}

}  // namespace vlalign::kit
