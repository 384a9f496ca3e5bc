// Checks of what fusions and heads are given. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>

namespace vlalign::vla {

constexpr std::int64_t any = -1;  ///< a size that may be anything from 1 on

/// Whether x is a floating tensor of that shape.
bool has_shape(const at::Tensor& x, at::IntArrayRef shape);
/// Throws Error unless it is.
///   where, what: "FilmLayer", "condition"
void check_shape(const at::Tensor& x, at::IntArrayRef shape, std::string_view where, std::string_view what);
/// For messages: "[3, 4]", "Long [3, 4]" for what isn't floating, or "nothing".
std::string shape_of(const at::Tensor& x);

/// Of widths and other sizes of a layer, which is some gigabytes where all are so large.
constexpr std::int64_t largest_size = 1 << 14;
/// Throws Error unless a size is 1 (or `least`) to largest_size.
void check_size(std::int64_t size, std::string_view where, std::string_view what, std::int64_t least = 1);
/// Throws Error unless there are 0 to 256.
void check_layers(std::int64_t layers, std::string_view where);

}  // namespace vlalign::vla
