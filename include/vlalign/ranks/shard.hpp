#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/ranks/ranks.hpp"

namespace vlalign {

/// A tensor of which each rank holds a part: the ranks' runs of its numbers follow each other in memory, all equally
/// long but the last ones. A run begins at a multiple of 16 numbers, so that vector code rounds each number as it would
/// in the whole tensor. On a rank alone the part is the tensor.
class VLALIGN_EXPORT Shard {
 public:
  /// Zeros. Throws Error for a tensor with gaps in its memory.
  static Shard zeros_like(const at::Tensor& tensor, const Ranks& ranks);
  /// A tensor that every rank has whole; the memory is the tensor's.
  static Shard of_each(at::Tensor tensor, const Ranks& ranks);

  /// This rank's numbers, [n] in the order of memory, n may be 0; all of them, in their shape, where it has them all.
  const at::Tensor& own() const noexcept { return own_; }
  /// Whether every rank has the whole tensor.
  bool on_each() const noexcept { return on_each_; }
  /// The same numbers of another tensor: a view. Throws Error unless it has the whole tensor's sizes and strides.
  at::Tensor own_of(const at::Tensor& tensor) const;
  /// Shape and type of the whole tensor, without numbers.
  at::Tensor like() const;

  /// The whole tensor on rank 0, an undefined one elsewhere. Where each rank has it whole it is that tensor itself:
  /// clone it to keep its numbers. Collective.
  at::Tensor collect() const;
  /// Every rank takes its part of rank 0's tensor, which becomes this one's type; the others' is not looked at.
  /// Collective. Throws Error on rank 0 for other sizes, while the others wait: let it tell them with Ranks::fail().
  void distribute(const at::Tensor& whole);

 private:
  Shard(at::Tensor own, const at::Tensor& whole, const Ranks& ranks, bool on_each);

  at::Tensor own_;
  Ranks ranks_;
  bool on_each_;
  std::vector<std::int64_t> sizes_, strides_;
};

using NamedShards = std::map<std::string, Shard>;

/// In each of these tensors, which lie alike on all ranks, the parts of the other ranks become what those have there.
/// Collective.
VLALIGN_EXPORT void share_parts(const Ranks& ranks, const std::vector<at::Tensor>& tensors);

}  // namespace vlalign
