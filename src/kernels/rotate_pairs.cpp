#include "kernels/rotate_pairs.hpp"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "core/traced.hpp"

namespace vlalign {
namespace {

/// How the pairs of a row of `width` channels lie.
struct PairLayout {
  std::int64_t width;
  bool halves;
  float sign;  ///< of the sines
};

template <typename Number>
void rotate_row(const Number* x, const float* cosines, const float* sines, Number* out, const PairLayout& layout) {
  const auto pairs = layout.width / 2;
  const auto turn = [&](std::int64_t i, std::int64_t j) {
    const auto u = static_cast<float>(x[i]), v = static_cast<float>(x[j]);
    const auto c = cosines[i], s = layout.sign * sines[i];
    out[i] = static_cast<Number>(u * c - v * s);
    out[j] = static_cast<Number>(v * c + u * s);
  };
  if (layout.halves) {
    for (std::int64_t i = 0; i < pairs; ++i) turn(i, i + pairs);
  } else {
    for (std::int64_t i = 0; i < pairs; ++i) turn(2 * i, 2 * i + 1);
  }
}

template <typename Number>
void rotate_all(const at::Tensor& x, const at::Tensor& cosines, const at::Tensor& sines, const at::Tensor& out,
                const PairLayout& layout) {
  const auto heads = x.size(1), length = x.size(2);
  const auto per_sequence = cosines.dim() == 2 || cosines.size(0) == 1 ? 0 : length * layout.width;
  const auto* from = x.const_data_ptr<Number>();
  auto* to = out.mutable_data_ptr<Number>();
  const auto *c = cosines.const_data_ptr<float>(), *s = sines.const_data_ptr<float>();
  constexpr std::int64_t few = 1 << 14;  // numbers: less isn't worth another thread
  const auto grain = std::max<std::int64_t>(1, few / std::max<std::int64_t>(1, length * layout.width));
  at::parallel_for(0, x.size(0) * heads, grain, [&](std::int64_t begin, std::int64_t end) {
    for (auto each = begin; each < end; ++each) {
      const auto b = each / heads, h = each % heads;
      const auto* rows = from + b * x.stride(0) + h * x.stride(1);
      auto* turned = to + each * length * layout.width;
      for (std::int64_t l = 0; l < length; ++l) {
        const auto table = b * per_sequence + l * layout.width;
        rotate_row(rows + l * x.stride(2), c + table, s + table, turned + l * layout.width, layout);
      }
    }
  });
}

}  // namespace

bool can_rotate_pairs(const at::Tensor& x) {
  return !is_traced() && x.is_cpu() && x.dim() == 4 &&
         (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

at::Tensor rotate_pairs(const at::Tensor& x, const at::Tensor& cosines, const at::Tensor& sines, bool halves,
                        bool back) {
  const auto rows = x.stride(-1) == 1 ? x : x.contiguous();
  const auto out = at::empty(x.sizes(), x.options());
  const PairLayout layout{x.size(-1), halves, back ? -1.0F : 1.0F};
  const auto c = cosines.contiguous(), s = sines.contiguous();
  if (x.scalar_type() == at::kFloat) {
    rotate_all<float>(rows, c, s, out, layout);
  } else {
    rotate_all<at::BFloat16>(rows, c, s, out, layout);
  }
  return out;
}

}  // namespace vlalign
