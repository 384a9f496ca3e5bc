#include "vlalign/image/transform.hpp"

#include <ATen/ops/addcmul.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/ScalarType.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "core/check.hpp"
#include "image/affine.hpp"
#include "image/codecs.hpp"
#include "image/color.hpp"
#include "image/resize.hpp"

namespace vlalign {
namespace {

struct Policy {
  std::string_view name;
  Augmentation augmentation;
};

/// By name; a function, since a program may ask before main() begins.
const std::vector<Policy>& policies() {
  static const std::vector<Policy> all{
      {"none", {}},
      // open_clip, image_transform: RandomResizedCrop(scale=(0.9, 1.0)), and no flip: captions know left from right.
      {"basic", {.crop_scale = {0.9, 1.0}}},
      {"mild", {.rotate = 8, .shift = 0.06, .zoom = {0.9, 1.1}, .brightness = 0.2, .contrast = 0.2, .saturation = 0.2}},
      // MoCo v2 (arXiv 2003.04297), which is SimCLR's with weaker colours; without blur.
      {"strong",
       {.crop_scale = {0.2, 1.0},
        .flip = 0.5,
        .brightness = 0.4,
        .contrast = 0.4,
        .saturation = 0.4,
        .hue = 0.1,
        .grayscale = 0.2}},
  };
  return all;
}

void check_range(std::string_view name, const std::array<double, 2>& range) {
  check(range[0] > 0 && range[0] <= range[1] && std::isfinite(range[1]),
        "[augment] {}: expected 0 < low <= high, got {{{}, {}}}", name, range[0], range[1]);
}

void check_at_most(std::string_view name, double value, double highest) {
  check(value >= 0 && value <= highest, "[augment] {}: expected 0 to {}, got {}", name, highest, value);
}

void check_augmentation(const Augmentation& a) {
  check_range("crop_scale", a.crop_scale);
  check_at_most("crop_scale", a.crop_scale[1], 1);
  check_range("crop_ratio", a.crop_ratio);
  check_at_most("rotate", a.rotate, 180);
  check_at_most("shift", a.shift, 1);
  check_range("zoom", a.zoom);
  check_at_most("flip", a.flip, 1);
  check_at_most("brightness", a.brightness, 1);
  check_at_most("contrast", a.contrast, 1);
  check_at_most("saturation", a.saturation, 1);
  check_at_most("hue", a.hue, 0.5);
  check_at_most("grayscale", a.grayscale, 1);
}

/// One draw of everything random but the crop, which has a generator of its own: so the number of draws never depends
/// on the picture.
struct Draw {
  Rng crop;
  Affine affine;
  bool flip;
  double brightness;
  double contrast;
  double saturation;
  double hue;
  bool grayscale;
};

Draw draw_from(const Augmentation& a, Rng& rng) {
  const auto symmetric = [&](double width) { return rng.uniform(-width, width); };
  return {.crop = Rng({rng.next()}),
          .affine = {.degrees = symmetric(a.rotate),
                     .shift_x = symmetric(a.shift),
                     .shift_y = symmetric(a.shift),
                     .zoom = rng.uniform(a.zoom[0], a.zoom[1])},
          .flip = rng.chance(a.flip),
          .brightness = 1 + symmetric(a.brightness),
          .contrast = 1 + symmetric(a.contrast),
          .saturation = 1 + symmetric(a.saturation),
          .hue = symmetric(a.hue),
          .grayscale = rng.chance(a.grayscale)};
}

bool keeps_whole(const Augmentation& a) { return a.crop_scale[0] == 1 && a.crop_scale[1] == 1; }

// torchvision.transforms.RandomResizedCrop.get_params
Box random_crop(const Image& image, const Augmentation& a, Rng rng) {
  const auto round_to_int = [](double v) { return static_cast<int>(std::lround(v)); };
  const double area = static_cast<double>(image.width) * image.height;
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double part = area * rng.uniform(a.crop_scale[0], a.crop_scale[1]);
    const double ratio = std::exp(rng.uniform(std::log(a.crop_ratio[0]), std::log(a.crop_ratio[1])));
    const double width = std::round(std::sqrt(part * ratio)), height = std::round(std::sqrt(part / ratio));
    if (width < 1 || height < 1 || width > image.width || height > image.height) continue;
    Box box{.width = static_cast<int>(width), .height = static_cast<int>(height)};
    box.top = rng.below(image.height - box.height + 1);
    box.left = rng.below(image.width - box.width + 1);
    return box;
  }
  const double ratio = static_cast<double>(image.width) / image.height;
  Box box{.width = image.width, .height = image.height};
  if (ratio < a.crop_ratio[0]) box.height = std::max(1, round_to_int(image.width / a.crop_ratio[0]));
  if (ratio > a.crop_ratio[1]) box.width = std::max(1, round_to_int(image.height * a.crop_ratio[1]));
  box.top = (image.height - box.height) / 2;
  box.left = (image.width - box.width) / 2;
  return box;
}

/// The shortest side of any crop that random_crop may draw from a picture of this size.
double shortest_crop_side(double width, double height, const Augmentation& a) {
  // An area of at least a.crop_scale[0] and sides that are neither longer than the picture's nor outside the ratios.
  const double least = a.crop_scale[0], area = least * width * height;
  const double narrowest = std::max(least * width, std::sqrt(area * a.crop_ratio[0]));
  const double lowest = std::max(least * height, std::sqrt(area / a.crop_ratio[1]));
  // Its second resort.
  const double central = std::min({width, height, height * a.crop_ratio[1], width / a.crop_ratio[0]});
  return std::min({narrowest, lowest, central});
}

/// The shortest side to which a picture may be reduced without the transform having to enlarge it again.
int needed_side(int width, int height, const Preprocess& how, const Augmentation& a) {
  if (keeps_whole(a)) return needed_side(how);
  const int shorter = std::min(width, height);
  return static_cast<int>(std::ceil(std::min(1.0, how.image_size / shortest_crop_side(width, height, a)) * shorter));
}

Image crop_and_resize(const Image& image, const Preprocess& how, const Augmentation& a, const Rng& rng) {
  if (keeps_whole(a)) return preprocess(image, how);
  const int size = how.image_size;
  return resize_part(crop(view_of(image), random_crop(image, a, rng)), size, size, {0, 0, size, size},
                     how.interpolation);
}

void flip_horizontally(Image& image) {
  for (int y = 0; y < image.height; ++y) {
    std::uint8_t* left = image.rgb.data() + 3 * std::ptrdiff_t{image.width} * y;
    std::uint8_t* right = left + 3 * std::ptrdiff_t{image.width - 1};
    for (; left < right; left += 3, right -= 3) std::swap_ranges(left, left + 3, right);
  }
}

void change_color(Image& image, const Draw& draw) {
  if (draw.brightness != 1) adjust_brightness(image, draw.brightness);
  if (draw.contrast != 1) adjust_contrast(image, draw.contrast);
  if (draw.saturation != 1) adjust_saturation(image, draw.saturation);
  if (draw.hue != 0) adjust_hue(image, draw.hue);
  if (draw.grayscale) to_grayscale(image);
}

bool changes_anything(const Affine& affine) {
  return affine.degrees != 0 || affine.shift_x != 0 || affine.shift_y != 0 || affine.zoom != 1;
}

void check_preprocess(const Preprocess& how, std::string_view where) {
  check(how.image_size > 0 && how.image_size <= 1 << 14, "[{}] image_size: expected 1 to 16384, got {}", where,
        how.image_size);
  check(how.resize_size == 0 || (how.resize_size >= how.image_size && how.resize_size <= 1 << 14),
        "[{}] resize_size: expected 0 or image_size {} to 16384, got {}", where, how.image_size, how.resize_size);
}

}  // namespace

Augmentation augmentation_policy(std::string_view name) {
  for (const auto& policy : policies()) {
    if (policy.name == name) return policy.augmentation;
  }
  fail("[augmentation_policy] name: expected one of {}, got \"{}\"", fmt::join(augmentation_policies(), ", "), name);
}

std::vector<std::string> augmentation_policies() {
  std::vector<std::string> names;
  std::transform(policies().begin(), policies().end(), std::back_inserter(names),
                 [](const Policy& policy) { return std::string(policy.name); });
  return names;
}

int needed_side(const Preprocess& how) { return std::max(how.image_size, how.resize_size); }

Image decode_for_augment(std::span<const std::byte> bytes, std::string_view name, const Preprocess& how,
                         const Augmentation& augmentation) {
  const auto needed = [&](int width, int height) { return needed_side(width, height, how, augmentation); };
  return decode(bytes, name, needed, how.pixels_as);
}

Image preprocess(const Image& image, const Preprocess& how) {
  check_image(image, "preprocess");
  return preprocess(ImageView(image), how);
}

ResizePlan evaluation_plan(int width, int height, const Preprocess& how) {
  check_preprocess(how, "preprocess");
  const int size = how.image_size, resized = how.resize_size > 0 ? how.resize_size : size;
  ResizePlan plan{.width = resized, .height = resized, .part = {}};
  if (how.resize == Preprocess::Resize::shortest) {
    // torchvision.transforms.Resize rounds the longer side down.
    const auto longer =
        static_cast<std::int64_t>(static_cast<double>(resized) * std::max(width, height) / std::min(width, height));
    (width > height ? plan.width : plan.height) = longer;
  }
  // torchvision.transforms.CenterCrop rounds a half to the even number, and so does nearbyint.
  const auto margin = [&](std::int64_t side) {
    const double half = static_cast<double>(side - size) / 2;
    return static_cast<std::int64_t>(how.crop_rounds_down ? std::floor(half) : std::nearbyint(half));
  };
  plan.part = {margin(plan.width), margin(plan.height), size, size};
  return plan;
}

Image preprocess(const ImageView& view, const Preprocess& how) {
  const auto* rows = view.rgb_rows();
  if (!rows) return preprocess(to_image(view), how);
  const auto plan = evaluation_plan(view.width(), view.height(), how);
  const RgbView image{rows, view.width(), view.height(), static_cast<std::ptrdiff_t>(view.row_bytes())};
  return resize_part(image, plan.width, plan.height, plan.part, how.interpolation);
}

Image augment(const Image& image, const Preprocess& how, const Augmentation& augmentation, Rng& rng) {
  check_image(image, "augment");
  check_preprocess(how, "augment");
  check_augmentation(augmentation);
  const Draw draw = draw_from(augmentation, rng);
  Image picture = crop_and_resize(image, how, augmentation, draw.crop);
  if (changes_anything(draw.affine)) picture = transform_affine(picture, draw.affine);
  if (draw.flip) flip_horizontally(picture);
  change_color(picture, draw);
  return picture;
}

at::Tensor normalize_pixels(const at::Tensor& pixels, const Preprocess& how) {
  check(pixels.defined() && pixels.dim() == 4 && pixels.size(1) == 3,
        "[normalize_pixels] pixels: expected [B, 3, H, W], got {}",
        pixels.defined() ? fmt::format("[{}]", fmt::join(pixels.sizes(), ", ")) : "no tensor");
  if (pixels.is_floating_point()) return pixels;
  check(pixels.scalar_type() == at::kByte, "[normalize_pixels] pixels: expected uint8 or a floating dtype, got {}",
        c10::toString(pixels.scalar_type()));
  std::vector<float> scale, offset;  // a channel each
  for (std::size_t c = 0; c < 3; ++c) {
    check(how.std[c] > 0, "[normalize_pixels] std: expected more than 0, got {}", how.std[c]);
    scale.push_back(static_cast<float>(1 / (255 * how.std[c])));
    offset.push_back(static_cast<float>(-how.mean[c] / how.std[c]));
  }
  const auto normalize = [&](const at::Tensor& of, std::int64_t repeats, at::IntArrayRef shape) {
    const auto constant = [&](std::vector<float>& values) {
      for (std::int64_t i = 3; i < 3 * repeats; ++i) values.push_back(values[static_cast<std::size_t>(i - 3)]);
      return at::from_blob(values.data(), shape).to(of.device());
    };
    return at::addcmul(constant(offset), of.to(at::kFloat), constant(scale));
  };
  if (!pixels.is_contiguous(at::MemoryFormat::ChannelsLast)) return normalize(pixels, 1, {1, 3, 1, 1});
  // A channel's number a pixel would be three numbers a vector instruction; a row's are 3 W side by side.
  const auto rows = pixels.permute({0, 2, 3, 1});
  const auto width = pixels.size(3);
  return normalize(rows.flatten(2), width, {3 * width}).view(rows.sizes()).permute({0, 3, 1, 2});
}

}  // namespace vlalign
