#include "image/resize.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/check.hpp"
#include "core/foreign_errors.hpp"
#include "image/codecs.hpp"

namespace vlalign {
namespace {

struct Filter {
  double support;
  double (*value)(double);
};

// Keys 1981, a = -1/2.
double cubic(double x) {
  x = std::abs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

double triangle(double x) { return std::max(0.0, 1 - std::abs(x)); }

Filter filter_of(Interpolation interpolation) {
  return interpolation == Interpolation::bicubic ? Filter{2, cubic} : Filter{1, triangle};
}

/// The filter around an output pixel's centre: input pixels begin to end - 1.
struct Window {
  double center;
  int begin;
  int end;
};

Window window_at(double center, double radius, int size) {
  return {center, std::max(0, static_cast<int>(std::lround(center - radius))),
          std::min(size, static_cast<int>(std::lround(center + radius)))};
}

std::int32_t fixed_point(double weight) {
  return static_cast<std::int32_t>(std::lround(weight * (1 << Taps::weight_bits)));
}

/// How outputs first to first + count - 1 come from `in` inputs, when all of them would give `out` outputs.
Taps make_taps(int in, std::int64_t out, std::int64_t first, int count, const Filter& filter) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double stretch = std::max(scale, 1.0);
  std::vector<Window> windows;
  Taps taps;
  for (int i = 0; i < count; ++i) {
    windows.push_back(window_at((static_cast<double>(first + i) + 0.5) * scale, filter.support * stretch, in));
    taps.count = std::max(taps.count, windows.back().end - windows.back().begin);
  }

  taps.weight.assign(static_cast<std::size_t>(count) * static_cast<std::size_t>(taps.count), 0);
  std::int32_t* weight = taps.weight.data();
  std::vector<double> values(static_cast<std::size_t>(taps.count));
  for (const auto& window : windows) {
    const auto size = static_cast<std::size_t>(window.end - window.begin);
    for (std::size_t j = 0; j < size; ++j) {
      values[j] = filter.value((window.begin + static_cast<double>(j) - window.center + 0.5) * (1 / stretch));
    }
    const double sum = std::accumulate(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(size), 0.0);
    taps.first.push_back(std::min(window.begin, in - taps.count));
    std::int32_t* used = weight + window.begin - taps.first.back();
    for (std::size_t j = 0; j < size; ++j) used[j] = fixed_point(values[j] / sum);
    weight += taps.count;
  }
  return taps;
}

struct Range {
  int first;
  int count;
};

/// The inputs that any output needs; the taps then count from the first of them.
Range shift_to_used(Taps& taps) {
  const auto [lowest, highest] = std::minmax_element(taps.first.begin(), taps.first.end());
  const Range used{*lowest, *highest - *lowest + taps.count};
  for (auto& first : taps.first) first -= used.first;
  return used;
}

/// Pillow's choice of the cheaper order, since its version 13. Each pass rounds and cuts to 8 bits, so the order
/// matters.
bool columns_first(const RgbView& image, std::int64_t width, std::int64_t height) {
  const std::int64_t rows_lost = image.height - height, columns_lost = image.width - width;
  return rows_lost > 0 && rows_lost > 2 * columns_lost;
}

Image black(int width, int height) {
  return without_foreign_errors("[resize]", [&] {
    const auto pixels = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
    return Image{width, height, std::vector<std::uint8_t>(3 * pixels)};
  });
}

}  // namespace

RgbView view_of(const Image& image) {
  return {image.rgb.data(), image.width, image.height, 3 * std::ptrdiff_t{image.width}};
}

RgbView crop(const RgbView& image, const Box& box) {
  return {image.rgb + box.top * image.stride + 3 * box.left, box.width, box.height, image.stride};
}

void Resizer::prepare(const Sizes& sizes) {
  const Filter filter = filter_of(interpolation_);
  along_rows_ = make_taps(sizes.from_width, sizes.width, sizes.part.left, sizes.part.width, filter);
  along_columns_ = make_taps(sizes.from_height, sizes.height, sizes.part.top, sizes.part.height, filter);
  const Range x = shift_to_used(along_rows_), y = shift_to_used(along_columns_);
  used_ = {x.first, y.first, x.count, y.count};
  const bool lower = columns_first({nullptr, sizes.from_width, sizes.from_height}, sizes.width, sizes.height);
  between_ = lower ? black(used_.width, sizes.part.height) : black(sizes.part.width, used_.height);
  sizes_ = sizes;
}

void Resizer::operator()(const RgbView& image, std::int64_t width, std::int64_t height, const Box& part,
                         std::uint8_t* out) {
  if (const Sizes sizes{image.width, image.height, width, height, part}; sizes != sizes_) prepare(sizes);
  const RgbView used = crop(image, used_);
  if (columns_first(image, width, height)) {
    kernels_.columns(used, along_columns_, between_.rgb.data());
    kernels_.rows(view_of(between_), along_rows_, out);
  } else {
    kernels_.rows(used, along_rows_, between_.rgb.data());
    kernels_.columns(view_of(between_), along_columns_, out);
  }
}

Image resize_part(const RgbView& image, std::int64_t width, std::int64_t height, const Box& part,
                  Interpolation interpolation, const ResampleKernels& kernels) {
  Image resized = black(part.width, part.height);
  Resizer(interpolation, kernels)(image, width, height, part, resized.rgb.data());
  return resized;
}

Image resize(const Image& image, int width, int height, Interpolation interpolation) {
  check_image(image, "resize");
  check(width > 0 && height > 0, "[resize] size: expected at least 1x1, got {}x{}", width, height);
  check(width <= max_pixels / height, "[resize] size: expected at most 2^28 pixels, got {}x{}", width, height);
  return resize_part(view_of(image), width, height, {0, 0, width, height}, interpolation);
}

}  // namespace vlalign
