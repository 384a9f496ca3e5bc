#include "vla/check_shape.hpp"

#include "core/check.hpp"

namespace vlalign::vla {

bool has_shape(const at::Tensor& x, at::IntArrayRef shape) {
  if (!x.defined() || !x.is_floating_point() || x.dim() != static_cast<std::int64_t>(shape.size())) return false;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == any ? x.sizes()[i] < 1 : x.sizes()[i] != shape[i]) return false;
  }
  return true;
}

void check_shape(const at::Tensor& x, at::IntArrayRef shape, std::string_view where, std::string_view what) {
  if (!has_shape(x, shape)) fail("[{}] {}: expected {} (-1: any), got {}", where, what, shape, shape_of(x));
}

std::string shape_of(const at::Tensor& x) {
  if (!x.defined()) return "nothing";
  if (x.is_floating_point()) return fmt::format("{}", x.sizes());
  return fmt::format("{} {}", c10::toString(x.scalar_type()), x.sizes());
}

void check_size(std::int64_t size, std::string_view where, std::string_view what, std::int64_t least) {
  check(size >= least && size <= largest_size, "[{}] {}: expected {} to {}, got {}", where, what, least, largest_size,
        size);
}

void check_layers(std::int64_t layers, std::string_view where) {
  constexpr std::int64_t most = 256;
  check(layers >= 0 && layers <= most, "[{}] layers: expected 0 to {}, got {}", where, most, layers);
}

}  // namespace vlalign::vla
