// A batch in pieces: over time (micro_batches) and over processes.
#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/matmul.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "testing/property_check.hpp"
#include "vlalign/core/normalize.hpp"
#include "vlalign/loss/gradient_cache.hpp"

namespace vlalign::kit {
namespace {

/// A linear tower for each kind of embedding, its weights [D, D] in the embedding's place, near the identity. The scale
/// and the bias are leaves too.
ContrastiveBatch random_towers(const Case& one) {
  auto rng = case_rng(one);
  return as_leaves(changed(one.batch, BatchTensor::space, [&](const at::Tensor& t) {
    return at::eye(t.size(-1), at::kDouble) + 0.3 * normal({t.size(-1), t.size(-1)}, rng);
  }));
}

/// The rows that towers make of some of the inputs.
ContrastiveBatch encoded(const ContrastiveBatch& inputs, ContrastiveBatch towers, tiles::RowRange rows) {
  auto result =
      changed(inputs, BatchTensor::pairs, [&](const at::Tensor& t) { return t.narrow(0, rows.begin, rows.count); });
  for (const auto& part : batch_tensors()) {
    auto& tensor = part.of(result);
    if (!part.is(BatchTensor::space) || !tensor.defined()) continue;
    tensor = at::matmul(tensor, part.of(towers));
    if (part.is(BatchTensor::unit)) tensor = l2_normalize(tensor);
  }
  return result;
}

/// What belongs to the whole batch, the scale and the bias those of the towers.
ContrastiveBatch of_the_whole(const ContrastiveBatch& batch, const ContrastiveBatch& towers) {
  ContrastiveBatch whole{{}, {}, towers.logit_scale};
  whole.logit_bias = towers.logit_bias;
  whole.groups = batch.groups;
  whole.soft_targets = batch.soft_targets;
  whole.teacher_logit_scale = batch.teacher_logit_scale;
  whole.progress = batch.progress;
  return whole;
}

ValueAndGradients at_once(const Subject& subject, const Case& one) {
  const auto towers = random_towers(one);
  auto batch = encoded(one.batch, towers, {0, one.size});
  batch.logit_scale = towers.logit_scale;
  batch.logit_bias = towers.logit_bias;
  const auto value = forward(subject.loss, batch);
  value.backward();
  return {value.item<double>(), gradients_of(towers)};
}

ValueAndGradients in_pieces(const Subject& subject, const Case& one, std::int64_t piece) {
  const auto towers = random_towers(one);
  const auto encode = [&](std::int64_t k) {
    return encoded(one.batch, towers, {k * piece, std::min(piece, one.size - k * piece)});
  };
  auto whole = of_the_whole(one.batch, towers);
  const auto value = backward_in_pieces(subject.loss, (one.size + piece - 1) / piece, encode, whole);
  return {value.item<double>(), gradients_of(towers)};
}

ValueAndGradients over_processes(const Subject& subject, const Case& one, std::int64_t processes) {
  auto leaves = as_leaves(one.batch);
  at::Tensor sum;
  for (std::int64_t rank = 0; rank < processes; ++rank) {
    auto gathered = leaves;
    gathered.own = tiles::RowRange{rank * one.size / processes, one.size / processes};
    const auto value = forward(subject.loss, gathered);
    sum = sum.defined() ? sum + value : value;
  }
  const auto mean = sum / static_cast<double>(processes);
  mean.backward();
  return {mean.item<double>(), gradients_of(leaves)};
}

/// The loss of two parts, each by itself and then against the other's texts.
ValueAndGradients part_by_part(const Subject& subject, const Case& one, const SumOverTexts& over_others) {
  const auto leaves = as_leaves(one.batch);
  at::Tensor sum;
  const std::int64_t half = one.size / 2;
  const tiles::RowRange first{0, half}, second{half, one.size - half};
  for (const auto& [own, others] : {std::pair{first, second}, {second, first}}) {
    const auto rows = changed(leaves, BatchTensor::pairs,
                              [&, &range = own](const at::Tensor& t) { return t.narrow(0, range.begin, range.count); });
    const auto texts = leaves.text.narrow(0, others.begin, others.count);
    const auto part = forward(subject.loss, rows) * static_cast<double>(own.count) + over_others(rows, texts);
    sum = sum.defined() ? sum + part : part;
  }
  const auto mean = sum / static_cast<double>(one.size);
  mean.backward();
  return {mean.item<double>(), gradients_of(leaves)};
}

}  // namespace

std::optional<Violation> check_other_texts(const Subject& subject) {
  const auto over_others = subject.loss.over_other_texts();
  if (!over_others) return {};
  auto grid = plain_cases();
  grid.sizes = {2, 3, 8};
  return first_violation(subject, grid, [&](const Case& one) -> Finding {
    if (one.size / 2 < subject.claims.smallest_batch) return {};
    auto found = difference(part_by_part(subject, one, over_others), value_and_gradients(subject.loss, one.batch),
                            tolerance::rounding);
    return found ? fmt::format("in two parts with over_other_texts(), {}", *found) : found;
  });
}

std::optional<Violation> check_micro_batches(const Subject& subject) {
  auto grid = all_cases(subject);
  return first_violation(subject, grid, [&](const Case& one) -> Finding {
    auto found = difference(in_pieces(subject, one, 2), at_once(subject, one), tolerance::rounding);
    return found ? fmt::format("in pieces of 2, {}", *found) : found;
  });
}

std::optional<Violation> check_processes(const Subject& subject) {
  auto grid = all_cases(subject);
  grid.sizes = {2, 4, 8};
  return first_violation(subject, grid, [&](const Case& one) -> Finding {
    const auto whole = value_and_gradients(subject.loss, one.batch);
    for (const std::int64_t processes : {2, 4}) {
      if (one.size < processes) continue;
      if (auto found = difference(over_processes(subject, one, processes), whole, tolerance::rounding))
        return fmt::format("with {} processes, {}", processes, *found);
    }
    return {};
  });
}

}  // namespace vlalign::kit
