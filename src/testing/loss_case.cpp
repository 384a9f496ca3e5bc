#include "testing/loss_case.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cmath>
#include <numbers>

#include "core/random_permutation.hpp"
#include "vlalign/core/normalize.hpp"
#include "vlalign/core/random.hpp"

namespace vlalign::kit {
namespace {

using B = ContrastiveBatch;

constexpr unsigned embedding = BatchTensor::pairs | BatchTensor::gradient | BatchTensor::space;
constexpr unsigned unit_embedding = embedding | BatchTensor::unit;

constexpr std::array<BatchTensor, 14> tensors{{
    {"image", [](B& b) -> at::Tensor& { return b.image; }, unit_embedding},
    {"text", [](B& b) -> at::Tensor& { return b.text; }, unit_embedding | BatchTensor::text},
    {"image_tokens", [](B& b) -> at::Tensor& { return b.image_tokens.features; }, unit_embedding},
    {"text_tokens", [](B& b) -> at::Tensor& { return b.text_tokens.features; }, unit_embedding | BatchTensor::text},
    {"second_image", [](B& b) -> at::Tensor& { return b.second_image; }, unit_embedding},
    {"frames", [](B& b) -> at::Tensor& { return b.frames; }, embedding},
    {"teacher_image", [](B& b) -> at::Tensor& { return b.teacher_image; }, BatchTensor::pairs | BatchTensor::unit},
    {"teacher_text", [](B& b) -> at::Tensor& { return b.teacher_text; },
     BatchTensor::pairs | BatchTensor::unit | BatchTensor::text},
    {"image_tokens.mask", [](B& b) -> at::Tensor& { return b.image_tokens.mask; }, BatchTensor::pairs},
    {"text_tokens.mask", [](B& b) -> at::Tensor& { return b.text_tokens.mask; },
     BatchTensor::pairs | BatchTensor::text},
    {"groups", [](B& b) -> at::Tensor& { return b.groups; }, BatchTensor::pairs},
    {"logit_scale", [](B& b) -> at::Tensor& { return b.logit_scale; }, BatchTensor::gradient},
    {"logit_bias", [](B& b) -> at::Tensor& { return b.logit_bias; }, BatchTensor::gradient},
    {"teacher_logit_scale", [](B& b) -> at::Tensor& { return b.teacher_logit_scale; }, 0},
}};

constexpr std::int64_t image_tokens = 2, text_tokens = 3;

at::Tensor scalar(double value) { return at::scalar_tensor(value, at::kDouble); }

/// Captions of 1 to N words.
at::Tensor random_mask(std::int64_t size, Rng& rng) {
  auto mask = at::empty({size, text_tokens}, at::kBool);
  for (std::int64_t i = 0; i < size; ++i) {
    const auto words = 1 + rng.below(text_tokens);
    for (std::int64_t t = 0; t < text_tokens; ++t) mask[i][t].fill_(t < words);
  }
  return mask;
}

at::Tensor random_groups(std::int64_t size, Rng& rng) {
  auto groups = at::empty({size}, at::kLong);
  for (std::int64_t i = 0; i < size; ++i) groups[i].fill_(rng.below(1 + size / 2));
  return groups;
}

/// A mixture of permutations: rows and columns sum to 1, so that it is a distribution read either way.
at::Tensor random_soft_targets(std::int64_t size, Rng& rng) {
  const auto identity = at::eye(size, at::kDouble);
  return 0.6 * identity + 0.3 * identity.roll(1, 0) +
         0.1 * identity.index_select(0, as_order(random_permutation(size, {rng.next()})));
}

void add_parts(ContrastiveBatch& b, std::int64_t size, std::int64_t dim, const BatchParts& parts, Rng& rng) {
  if (parts.logit_bias) b.logit_bias = scalar(rng.uniform(-10, 0));
  if (parts.tokens) {
    b.image_tokens.features = unit_rows({size, image_tokens, dim}, rng);
    b.text_tokens = {.features = unit_rows({size, text_tokens, dim}, rng), .mask = random_mask(size, rng)};
  }
  if (parts.second_image) b.second_image = l2_normalize(b.image + 0.3 * normal({size, dim}, rng));
  if (parts.teacher) {
    b.teacher_image = unit_rows({size, dim}, rng);
    b.teacher_text = l2_normalize(b.teacher_image + normal({size, dim}, rng));
    b.teacher_logit_scale = scalar(rng.uniform(5, 30));
  }
  if (parts.frames > 0) b.frames = normal({size, parts.frames, dim}, rng);
}

}  // namespace

std::span<const BatchTensor> batch_tensors() { return tensors; }

std::string Case::describe() const {
  std::vector<std::string> parts;
  auto b = batch;
  for (const auto& part : tensors)
    if (part.of(b).defined()) parts.emplace_back(part.name);
  if (b.soft_targets.defined()) parts.emplace_back("soft_targets");
  return fmt::format("{} pair{} of dimension {}, logit scale {:.4g}, seed {}, with {}{}{}", size, size == 1 ? "" : "s",
                     dim, batch.logit_scale.item<double>(), seed, fmt::join(parts, ", "), note.empty() ? "" : "; ",
                     note);
}

Case random_case(std::int64_t size, std::int64_t dim, std::uint64_t seed, TargetKind targets, const BatchParts& parts) {
  Rng rng({seed, static_cast<std::uint64_t>(size), static_cast<std::uint64_t>(dim)});
  Case made{.size = size, .dim = dim, .seed = seed, .targets = targets, .note = {}, .batch = {}};
  auto& b = made.batch;
  b.image = unit_rows({size, dim}, rng);
  b.text = l2_normalize(normal({size, dim}, rng) + static_cast<double>(seed % 2) * b.image);
  b.logit_scale = scalar(std::pow(30.0, rng.uniform()));
  b.progress = 0.5 * static_cast<double>(rng.below(3));
  add_parts(b, size, dim, parts, rng);
  if (targets == TargetKind::groups) b.groups = random_groups(size, rng);
  if (targets == TargetKind::soft) b.soft_targets = random_soft_targets(size, rng);
  return made;
}

std::vector<TargetKind> target_kinds(const BatchParts& parts) {
  std::vector kinds{TargetKind::none};
  if (parts.groups) kinds.push_back(TargetKind::groups);
  if (parts.soft_targets) kinds.push_back(TargetKind::soft);
  return kinds;
}

Rng case_rng(const Case& from) {
  return Rng({from.seed, static_cast<std::uint64_t>(from.size), static_cast<std::uint64_t>(from.dim), 1});
}

at::Tensor normal(at::IntArrayRef sizes, Rng& rng) {
  auto result = at::empty(sizes, at::kDouble);
  for (auto& x : std::span(result.mutable_data_ptr<double>(), static_cast<std::size_t>(result.numel()))) {
    const auto radius = std::sqrt(-2 * std::log(1 - rng.uniform()));  // Box and Muller
    x = radius * std::cos(2 * std::numbers::pi * rng.uniform());
  }
  return result;
}

at::Tensor unit_rows(at::IntArrayRef sizes, Rng& rng) { return l2_normalize(normal(sizes, rng)); }

at::Tensor orthogonal_matrix(std::int64_t n, Rng& rng) {
  auto product = at::eye(n, at::kDouble);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto mirror = unit_rows({1, n}, rng);
    product = product - 2 * at::matmul(at::matmul(product, mirror.t()), mirror);
  }
  return product;
}

at::Tensor as_order(const std::vector<std::int64_t>& rows) { return at::tensor(rows, at::kLong); }

ContrastiveBatch with_pairs_in(const ContrastiveBatch& batch, const at::Tensor& order) {
  auto result = changed(batch, BatchTensor::pairs, [&](const at::Tensor& t) { return t.index_select(0, order); });
  if (auto& soft = result.soft_targets; soft.defined())
    soft = soft.dense().index_select(0, order).index_select(1, order);
  return result;
}

ContrastiveBatch with_texts_in(const ContrastiveBatch& batch, const at::Tensor& order) {
  return changed(batch, BatchTensor::text, [&](const at::Tensor& t) { return t.index_select(0, order); });
}

ContrastiveBatch with_modalities_exchanged(const ContrastiveBatch& batch) {
  auto result = batch;
  std::swap(result.image, result.text);
  std::swap(result.image_tokens, result.text_tokens);
  std::swap(result.teacher_image, result.teacher_text);
  if (auto& soft = result.soft_targets; soft.defined()) soft = soft.dense().t();
  return result;
}

ContrastiveBatch perfectly_aligned(const ContrastiveBatch& batch) {
  auto result = batch;
  result.text = result.image;
  result.text_tokens = result.image_tokens;
  if (result.second_image.defined()) result.second_image = result.image;
  if (result.teacher_image.defined()) {
    result.teacher_image = result.teacher_text = result.image;
    result.teacher_logit_scale = result.logit_scale;
  }
  if (auto& clips = result.frames; clips.defined()) {
    clips = clips.clone();
    clips.select(1, -1).copy_(result.text);
  }
  return result;
}

ContrastiveBatch identical(const ContrastiveBatch& batch) {
  const auto everywhere = [](const at::Tensor& like, const at::Tensor& row) { return row.expand_as(like).clone(); };
  auto result =
      changed(batch, BatchTensor::space, [&](const at::Tensor& t) { return everywhere(t, batch.image.select(0, 0)); });
  for (auto* teacher : {&result.teacher_image, &result.teacher_text})
    if (teacher->defined()) *teacher = everywhere(*teacher, teacher->select(0, 0));
  return result;
}

std::vector<std::pair<const char*, ContrastiveBatch>> extremes(const ContrastiveBatch& batch) {
  const auto size = batch.image.size(0);
  std::vector<std::int64_t> rows(static_cast<std::size_t>(size));
  for (std::int64_t i = 2; i < size; ++i) rows[static_cast<std::size_t>(i)] = i;
  auto repeated = with_pairs_in(batch, as_order(rows));
  repeated.soft_targets = batch.soft_targets;  // else they were no distributions any more
  auto opposite = batch;
  opposite.text = -opposite.image;
  if (auto& tokens = opposite.text_tokens; tokens.features.defined())
    tokens = {.features = -opposite.image_tokens.features, .mask = {}};
  if (opposite.second_image.defined()) opposite.second_image = -opposite.image;
  auto some_zero = changed(batch, BatchTensor::space, [](const at::Tensor& t) { return t.clone(); });
  for (const auto& part : tensors)
    if (auto& tensor = part.of(some_zero); part.is(BatchTensor::space) && tensor.defined())
      tensor.select(0, part.is(BatchTensor::text) ? size - 1 : 0).zero_();
  const auto all_zero = changed(batch, BatchTensor::space, [](const at::Tensor& t) { return at::zeros_like(t); });
  return {{"as it came", batch},
          {"a pair that is there twice", repeated},
          {"perfectly aligned", perfectly_aligned(batch)},
          {"all embeddings identical", identical(batch)},
          {"texts opposite to their images", opposite},
          {"an image and a text of zeros", some_zero},
          {"all embeddings zero", all_zero}};
}

ContrastiveBatch converted(const ContrastiveBatch& batch, at::ScalarType embeddings, at::ScalarType rest) {
  auto result = batch;
  for (const auto& part : tensors) {
    auto& tensor = part.of(result);
    if (tensor.defined() && tensor.is_floating_point())
      tensor = tensor.to(part.is(BatchTensor::pairs) ? embeddings : rest);
  }
  if (auto& soft = result.soft_targets; soft.defined()) soft = soft.dense().to(rest);
  return result;
}

ContrastiveBatch as_leaves(const ContrastiveBatch& batch) {
  auto result = batch;
  for (const auto& part : tensors)
    if (auto& tensor = part.of(result); tensor.defined())
      tensor = tensor.detach().clone().set_requires_grad(part.is(BatchTensor::gradient));
  if (auto& soft = result.soft_targets; soft.defined()) soft = soft.dense().clone();
  return result;
}

ContrastiveBatch gradients_of(const ContrastiveBatch& leaves) {
  return changed(leaves, BatchTensor::gradient,
                 [](const at::Tensor& leaf) { return leaf.grad().defined() ? leaf.grad() : at::zeros_like(leaf); });
}

}  // namespace vlalign::kit
