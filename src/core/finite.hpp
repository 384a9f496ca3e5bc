// Numbers that are numbers: neither NaN nor infinite. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <string_view>

namespace vlalign {

/// Whether all are. One pass without a copy; waits where the tensor lies on a GPU. Integers always are, and so is what
/// is undefined or empty.
bool all_finite(const at::Tensor& x);
bool all_finite(std::span<const float> x);

/// The first of a tensor's rows (along its first dimension) that holds one that isn't finite. Only for tensors for
/// which all_finite() says no.
std::int64_t first_bad_row(const at::Tensor& x);

/// Copies a tensor's numbers, floating and on any device, as floats. Throws Error unless there are as many as `out` has
/// place for.
///   where: for messages, as in "[LiveEncoder] embedding"
void copy_numbers(const at::Tensor& from, std::span<float> out, std::string_view where);

}  // namespace vlalign
