// What changes nothing: the order of the pairs, the two modalities' names, rotation, lengths, padding, and the same
// targets said otherwise.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <fmt/format.h>

#include "core/random_permutation.hpp"
#include "testing/property_check.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::kit {
namespace {

Finding differs(const Subject& subject, std::string_view when, const ContrastiveBatch& changed_batch,
                const ContrastiveBatch& batch) {
  return difference(fmt::format("the value {}", when), value_of(subject.loss, changed_batch),
                    value_of(subject.loss, batch), tolerance::rounding);
}

/// The batch with the rows of one of its tensors scaled by 0.5 to 2 each, not so near 1 that rounding could explain it.
ContrastiveBatch with_other_lengths(ContrastiveBatch batch, const BatchTensor& part, Rng& rng) {
  auto& tensor = part.of(batch);
  auto lengths = at::empty(tensor.sizes().slice(0, tensor.dim() - 1), at::kDouble).unsqueeze_(-1);
  for (std::int64_t i = 0; i < lengths.numel(); ++i)
    lengths.mutable_data_ptr<double>()[i] = rng.chance(0.5) ? rng.uniform(0.5, 0.9) : rng.uniform(1.1, 2);
  tensor = tensor * lengths;
  return batch;
}

Finding leaked_length(const Subject& subject, const Case& one) {
  auto rng = case_rng(one);
  const auto expected = value_of(subject.loss, one.batch);
  auto batch = one.batch;
  for (const auto& part : batch_tensors()) {
    if (!part.is(BatchTensor::unit) || !part.of(batch).defined()) continue;
    try {
      const auto value = value_of(subject.loss, with_other_lengths(batch, part, rng));
      const auto what = fmt::format("the value with {} of other lengths", part.name);
      if (auto found = difference(what, value, expected, tolerance::rounding)) return found;
    } catch (const Error&) {
      // An error that says so is as good.
    }
  }
  return {};
}

/// The features of hidden tokens replaced by others.
TokenFeatures with_other_padding(TokenFeatures tokens, Rng& rng) {
  if (!tokens.mask.defined()) return tokens;
  tokens.features = at::where(tokens.mask.unsqueeze(-1), tokens.features, unit_rows(tokens.features.sizes(), rng));
  return tokens;
}

Finding counted_padding(const Subject& subject, const ContrastiveBatch& batch, Rng& rng) {
  auto refilled = batch;
  refilled.image_tokens = with_other_padding(batch.image_tokens, rng);
  refilled.text_tokens = with_other_padding(batch.text_tokens, rng);
  if (auto found = differs(subject, "with other features in the hidden tokens", refilled, batch)) return found;
  auto unmasked = batch;
  unmasked.image_tokens.mask.reset();
  unmasked.text_tokens.mask.reset();
  auto all_real = batch;
  for (auto* tokens : {&all_real.image_tokens, &all_real.text_tokens})
    tokens->mask = at::ones_like(tokens->features.select(-1, 0), at::kBool);
  return differs(subject, "with masks that hide nothing, beside no masks,", all_real, unmasked);
}

/// Two pairs of one group, or a pair and itself.
std::pair<std::int64_t, std::int64_t> two_of_a_group(const at::Tensor& groups) {
  for (std::int64_t i = 0; i < groups.size(0); ++i)
    for (std::int64_t j = i + 1; j < groups.size(0); ++j)
      if (groups[i].item<std::int64_t>() == groups[j].item<std::int64_t>()) return {i, j};
  return {0, 0};
}

Finding misread_groups(const Subject& subject, const Case& one) {
  auto none = one.batch, distinct = one.batch, renamed = one.batch;
  none.groups.reset();
  distinct.groups = 5 - 3 * at::arange(one.size, at::kLong);
  if (auto found = differs(subject, "with a group for each pair, beside no groups,", distinct, none)) return found;
  renamed.groups = -500'000'000'000 - one.batch.groups;  // no indices, and float32 can't tell them apart
  if (auto found = differs(subject, "with other names for the groups", renamed, one.batch)) return found;
  const auto [i, j] = two_of_a_group(one.batch.groups);
  auto rows = at::arange(one.size, at::kLong);
  rows[i].fill_(j);
  rows[j].fill_(i);
  return differs(subject, "with the texts of two pairs of a group exchanged", with_texts_in(one.batch, rows),
                 one.batch);
}

Finding misread_soft_targets(const Subject& subject, const Case& one) {
  auto none = one.batch, identity = one.batch;
  none.soft_targets = {};
  identity.soft_targets = at::eye(one.size, at::kDouble);
  if (auto found = differs(subject, "with the identity as soft targets, beside no targets,", identity, none))
    return found;
  const auto rows = at::arange(one.size, at::kLong).roll(1, 0);
  auto moved = with_texts_in(one.batch, rows);
  moved.soft_targets = one.batch.soft_targets.dense().index_select(1, rows);
  return differs(subject, "with the texts and the soft targets' columns moved on by one", moved, one.batch);
}

}  // namespace

std::optional<Violation> check_pair_order(const Subject& subject) {
  return first_violation(subject, all_cases(subject), [&](const Case& one) {
    const auto order = as_order(random_permutation(one.size, {case_rng(one).next()}));
    return differs(subject, "with the pairs in another order", with_pairs_in(one.batch, order), one.batch);
  });
}

std::optional<Violation> check_modality_symmetry(const Subject& subject) {
  return first_violation(subject, all_cases(subject), [&](const Case& one) {
    return differs(subject, "with images and texts exchanged", with_modalities_exchanged(one.batch), one.batch);
  });
}

std::optional<Violation> check_rotation(const Subject& subject) {
  return first_violation(subject, all_cases(subject), [&](const Case& one) {
    auto rng = case_rng(one);
    const auto rotation = orthogonal_matrix(one.dim, rng);
    const auto rotated =
        changed(one.batch, BatchTensor::space, [&](const at::Tensor& t) { return at::matmul(t, rotation); });
    return differs(subject, "in a rotated space", rotated, one.batch);
  });
}

std::optional<Violation> check_unit_length(const Subject& subject) {
  return first_violation(subject, plain_cases(), leaked_length);
}

std::optional<Violation> check_padding(const Subject& subject) {
  return first_violation(subject, plain_cases(), [&](const Case& one) {
    auto rng = case_rng(one);
    auto found = counted_padding(subject, one.batch, rng);
    return found ? found : counted_padding(subject, with_modalities_exchanged(one.batch), rng);
  });
}

std::optional<Violation> check_custom_targets(const Subject& subject) {
  auto grid = all_cases(subject);
  grid.targets.erase(grid.targets.begin());
  return first_violation(subject, grid, [&](const Case& one) {
    return one.targets == TargetKind::groups ? misread_groups(subject, one) : misread_soft_targets(subject, one);
  });
}

}  // namespace vlalign::kit
