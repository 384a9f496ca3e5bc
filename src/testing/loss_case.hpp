// The batches that losses are tested on. Internal.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vlalign/core/random.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign::kit {

/// A tensor of a batch and what may be done with it; the soft targets, which have pairs both ways, are not one.
struct BatchTensor {
  enum Flag : unsigned {
    pairs = 1,     ///< one row a pair
    gradient = 2,  ///< a loss is differentiable with respect to it
    space = 4,     ///< vectors of the joint space
    unit = 8,      ///< vectors of length 1
    text = 16,     ///< belongs to the texts
  };
  const char* name;
  at::Tensor& (*of)(ContrastiveBatch&);
  unsigned flags;

  bool is(Flag flag) const { return (flags & flag) != 0; }
};
std::span<const BatchTensor> batch_tensors();

/// The batch with `change` of each of its tensors that are `flag`.
template <typename Change>
ContrastiveBatch changed(ContrastiveBatch batch, BatchTensor::Flag flag, Change change) {
  for (const auto& part : batch_tensors())
    if (auto& tensor = part.of(batch); part.is(flag) && tensor.defined()) tensor = change(tensor);
  return batch;
}

enum class TargetKind { none, groups, soft };

/// A batch in float64 and how it was made.
struct Case {
  std::int64_t size = 1, dim = 2;
  std::uint64_t seed = 0;
  TargetKind targets = TargetKind::none;
  std::string note;  // what is special about it
  ContrastiveBatch batch;

  std::string describe() const;
};

/// A random batch of unit rows with the parts a loss uses: the scale is between 1 and 30, the bias between -10 and 0,
/// the text's tokens have padding, and the texts of some seeds are near their images.
Case random_case(std::int64_t size, std::int64_t dim, std::uint64_t seed, TargetKind targets, const BatchParts& parts);

/// Those of the three that the loss uses; `none` is always among them.
std::vector<TargetKind> target_kinds(const BatchParts& parts);

/// A generator for choices beside the batch itself.
Rng case_rng(const Case& from);

at::Tensor normal(at::IntArrayRef sizes, Rng& rng);      // float64
at::Tensor unit_rows(at::IntArrayRef sizes, Rng& rng);   // float64
at::Tensor orthogonal_matrix(std::int64_t n, Rng& rng);  // float64 [n, n]
at::Tensor as_order(const std::vector<std::int64_t>& rows);

/// Row i becomes row order[i] of what was, targets included.
ContrastiveBatch with_pairs_in(const ContrastiveBatch& batch, const at::Tensor& order);
/// The same for what belongs to the texts alone; targets stay.
ContrastiveBatch with_texts_in(const ContrastiveBatch& batch, const at::Tensor& order);
/// Images become texts and the other way round, targets included.
ContrastiveBatch with_modalities_exchanged(const ContrastiveBatch& batch);
/// Everything about a text becomes its image's, and so do the second image, the teacher and the last frame.
ContrastiveBatch perfectly_aligned(const ContrastiveBatch& batch);
/// All embeddings are those of the first image, the teacher's those of its first image and text.
ContrastiveBatch identical(const ContrastiveBatch& batch);
/// The batch, and what it becomes at the ends of what embeddings can be: each with its name.
std::vector<std::pair<const char*, ContrastiveBatch>> extremes(const ContrastiveBatch& batch);
/// Embeddings in one dtype, the scale, the bias and the targets in another.
ContrastiveBatch converted(const ContrastiveBatch& batch, at::ScalarType embeddings, at::ScalarType rest);
/// Copies of all tensors; those a loss is differentiable in are leaves that require gradients.
ContrastiveBatch as_leaves(const ContrastiveBatch& batch);
/// The gradients of leaves in their places; zeros where a leaf has none.
ContrastiveBatch gradients_of(const ContrastiveBatch& leaves);

}  // namespace vlalign::kit
