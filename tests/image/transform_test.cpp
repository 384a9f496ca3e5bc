// References are Pillow's and torchvision's pixels (fixtures/make_images.py) or worked by hand.
#include "vlalign/image/transform.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <set>
#include <sstream>

#include "image/affine.hpp"
#include "image/color.hpp"
#include "image/frame_preprocessor.hpp"
#include "image/resize.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::transform_test {
namespace {

Image empty_image(int width, int height) {
  return {width, height,
          std::vector<std::uint8_t>(3 * static_cast<std::size_t>(width) * static_cast<std::size_t>(height))};
}

/// make_images.py, scene
Image scene(int width, int height) {
  Image image = empty_image(width, height);
  auto* rgb = image.rgb.data();
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x, rgb += 3) {
      const int stripes = (x / 3 + y / 5) % 2 * 255;
      const std::array<int, 3> smooth{x * 255 / std::max(width - 1, 1), y * 255 / std::max(height - 1, 1),
                                      (x + y) * 5 % 256};
      const std::array<int, 3> edges{stripes, 255 - stripes, (x * 7919 + y * 104729 + x * y * 31) % 256};
      const auto& chosen = x * 2 > width ? edges : smooth;
      std::transform(chosen.begin(), chosen.end(), rgb, [](int v) { return static_cast<std::uint8_t>(v); });
    }
  }
  return image;
}

/// Calls `picture` with each line of NAME.tsv, and compares what it returns with the next pixels of NAME.bin.
void expect_pixels(const std::string& name, int tolerance, const std::function<Image(std::istringstream&)>& picture) {
  const std::string path = std::string(VLALIGN_FIXTURES) + "/images/" + name;
  std::ifstream lines(path + ".tsv"), pixels(path + ".bin", std::ios::binary);
  int cases = 0;
  for (std::string line; std::getline(lines, line); ++cases) {
    std::istringstream columns(line);
    const Image actual = picture(columns);
    std::vector<char> expected(actual.rgb.size());
    ASSERT_TRUE(pixels.read(expected.data(), static_cast<std::streamsize>(expected.size()))) << line;
    int largest = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      largest = std::max(largest, std::abs(actual.rgb[i] - static_cast<std::uint8_t>(expected[i])));
    }
    EXPECT_LE(largest, tolerance) << line;
  }
  EXPECT_GT(cases, 0) << path;
  EXPECT_EQ(pixels.peek(), EOF) << path;
}

Interpolation interpolation_named(const std::string& name) {
  return name == "bicubic" ? Interpolation::bicubic : Interpolation::bilinear;
}

TEST(Resize, EqualsPillowToTheBit) {
  expect_pixels("resize", 0, [](std::istringstream& columns) {
    int from_width = 0, from_height = 0, width = 0, height = 0;
    std::string kind;
    columns >> from_width >> from_height >> width >> height >> kind;
    return resize(scene(from_width, from_height), width, height, interpolation_named(kind));
  });
}

TEST(Resize, IsTheSameWithAndWithoutVectorInstructions) {
  for (int width = 1; width < 40; ++width) {
    const Image image = scene(50 - width, width + 3);
    const auto with = [&](const ResampleKernels& kernels) {
      return resize_part(view_of(image), width, 23, {0, 0, width, 23}, Interpolation::bicubic, kernels).rgb;
    };
    for (const auto target : hwy::SupportedAndGeneratedTargets()) {
      hwy::SetSupportedTargetsForTest(target);
      EXPECT_EQ(with(resample_kernels()), with(plain_resample_kernels())) << width << " " << hwy::TargetName(target);
      hwy::SetSupportedTargetsForTest(0);
    }
  }
}

TEST(Resize, OfAPartEqualsThatPartOfTheWhole) {
  const Image image = scene(61, 47);
  const Image whole = resize(image, 35, 90);
  const Image part = resize_part(view_of(image), 35, 90, {4, 31, 20, 50}, Interpolation::bicubic);
  for (int y = 0; y < 50; ++y) {
    const auto row = part.rgb.begin() + 3 * 20 * y;
    EXPECT_TRUE(std::equal(row, row + 3 * 20, whole.rgb.begin() + 3 * (35 * (31 + y) + 4))) << y;
  }
}

TEST(Resize, KeepsNothingOfThePictureBefore) {
  Resizer resizer(Interpolation::bicubic);
  const std::vector<std::array<int, 4>> sizes{{61, 47, 35, 90}, {61, 47, 35, 90}, {20, 90, 10, 8}, {61, 47, 20, 20}};
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const auto [from_width, from_height, width, height] = sizes[i];
    Image image = scene(from_width, from_height);
    image.rgb[i] ^= 0x80;
    Image resized = empty_image(width, height);
    resizer(view_of(image), width, height, {0, 0, width, height}, resized.rgb.data());
    EXPECT_EQ(resized.rgb, resize(image, width, height).rgb) << i;
  }
}

TEST(Resize, RefusesPicturesAndSizesThatCannotBe) {
  EXPECT_THROW(resize({}, 4, 4), Error);
  EXPECT_THROW(resize({4, 4, std::vector<std::uint8_t>(47)}, 4, 4), Error);
  EXPECT_THROW(resize(scene(4, 4), 0, 4), Error);
  EXPECT_THROW(resize(scene(4, 4), 4, -1), Error);
  EXPECT_THROW(resize(scene(4, 4), 1 << 15, 1 << 15), Error);
}

TEST(Preprocess, EqualsTorchvisionOnPillowPicturesToTheBit) {
  expect_pixels("preprocess", 0, [](std::istringstream& columns) {
    int width = 0, height = 0;
    Preprocess how;
    std::string way, kind;
    columns >> width >> height >> how.image_size >> way >> kind;
    how.resize = way == "squash" ? Preprocess::Resize::squash : Preprocess::Resize::shortest;
    how.interpolation = interpolation_named(kind);
    return preprocess(scene(width, height), how);
  });
}

TEST(Preprocess, TakesALineAThousandTimesLongerThanWide) {
  const Image image = preprocess(scene(20000, 1), {.image_size = 16});
  EXPECT_EQ(image.width, 16);
  EXPECT_EQ(image.height, 16);
}

TEST(FramePreprocessor, EqualsTheTransformAndTheNormalisationToTheBit) {
  const Preprocess how{.image_size = 24, .resize_size = 28};
  FramePreprocessor preprocessor(how);
  for (const auto& image : {scene(40, 30), scene(40, 30), scene(33, 90), scene(40, 30)}) {
    Image picture = preprocess(image, how);
    const auto bytes = at::from_blob(picture.rgb.data(), {1, 24, 24, 3}, at::kByte).permute({0, 3, 1, 2});
    const auto expected = normalize_pixels(bytes, how);
    std::vector<std::uint8_t> bgr;
    for (std::size_t i = 0; i < image.rgb.size(); i += 3)
      bgr.insert(bgr.end(), {image.rgb[i + 2], image.rgb[i + 1], image.rgb[i]});
    EXPECT_TRUE(preprocessor(ImageView(image)).equal(expected));
    EXPECT_TRUE(preprocessor({bgr, image.width, image.height, ImageView::Format::bgr}).equal(expected));
  }
}

TEST(Color, EqualsTorchvisionOnPillowPicturesToTheBit) {
  expect_pixels("color", 0, [](std::istringstream& columns) {
    std::string change;
    double amount = 0;
    columns >> change >> amount;
    Image image = scene(16, 12);
    if (change == "brightness") adjust_brightness(image, amount);
    if (change == "contrast") adjust_contrast(image, amount);
    if (change == "saturation") adjust_saturation(image, amount);
    if (change == "hue") adjust_hue(image, amount);
    if (change == "grayscale") to_grayscale(image);
    return image;
  });
}

TEST(Color, RoundsAProductBeforeItIsAddedAsPillowDoes) {
  constexpr double contrast = 1.2;  // as a float a little more, so that 5 times it is 6 only when rounded
  for (std::uint8_t mean = 6; mean < 250; ++mean) {
    const auto grey = [](int dark, int bright) {
      const auto low = static_cast<std::uint8_t>(dark), high = static_cast<std::uint8_t>(bright);
      return std::vector<std::uint8_t>{low, low, low, high, high, high};
    };
    Image image{2, 1, grey(mean - 5, mean + 5)};
    adjust_contrast(image, contrast);
    EXPECT_EQ(image.rgb, grey(mean - 6, mean + 6));
  }
}

TEST(Affine, EqualsTorchvisionOnAPictureFramedInWhite) {
  expect_pixels("affine", 1, [](std::istringstream& columns) {
    int size = 0;
    Affine affine;
    columns >> size >> affine.degrees >> affine.shift_x >> affine.shift_y >> affine.zoom;
    return transform_affine(scene(size, size), affine);
  });
}

const Preprocess small{.image_size = 24};

TEST(Augment, WithoutChangesIsTheEvaluationTransform) {
  Rng rng({1});
  const Image image = scene(50, 37);
  EXPECT_EQ(augment(image, small, augmentation_policy("none"), rng).rgb, preprocess(image, small).rgb);
}

TEST(Augment, AppliesEachChangeAfterResizing) {
  const Image image = scene(50, 37);
  const auto augmented = [&](const Augmentation& changes) {
    Rng rng({1});
    return augment(image, small, changes, rng).rgb;
  };
  Image expected = preprocess(image, small);
  EXPECT_EQ(augmented({.zoom = {1.25, 1.25}}), transform_affine(expected, {.zoom = 1.25}).rgb);

  to_grayscale(expected);
  EXPECT_EQ(augmented({.grayscale = 1}), expected.rgb);

  const Image plain = preprocess(image, small);
  const auto flipped = augmented({.flip = 1});
  for (int y = 0; y < 24; ++y) {
    for (int x = 0; x < 24; ++x) {
      for (int c = 0; c < 3; ++c) ASSERT_EQ(flipped[3 * (24 * y + x) + c], plain.rgb[3 * (24 * y + 23 - x) + c]);
    }
  }
}

TEST(Augment, CropsAnyPlaceOfTheAskedSize) {
  // Red and green tell where a pixel comes from. A quarter of a 48x48 picture, square, is 24x24: no pixel is resampled.
  Image map = empty_image(48, 48);
  for (int i = 0; i < 48 * 48; ++i) {
    map.rgb[3 * i] = static_cast<std::uint8_t>(i % 48);
    map.rgb[3 * i + 1] = static_cast<std::uint8_t>(i / 48);
  }
  std::set<int> lefts, tops;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    Rng rng({seed});
    const Image image = augment(map, small, {.crop_scale = {0.25, 0.25}, .crop_ratio = {1, 1}}, rng);
    const int left = image.rgb[0], top = image.rgb[1];
    lefts.insert(left);
    tops.insert(top);
    for (int i = 0; i < 24 * 24; ++i) {
      ASSERT_EQ(image.rgb[3 * i], left + i % 24);
      ASSERT_EQ(image.rgb[3 * i + 1], top + i / 24);
    }
  }
  EXPECT_EQ(lefts.size(), 25U);  // 0 to 48 - 24
  EXPECT_EQ(tops.size(), 25U);
}

TEST(Augment, FallsBackToTheCentreWhenNoCropFits) {
  // 96x8: ten tries at ratios 1/2 to 2 and all of the area can't fit; the widest allowed crop is 16x8 around the
  // middle.
  const Image image = scene(96, 8);
  Rng rng({3});
  const Image actual = augment(image, {.image_size = 8}, {.crop_scale = {0.999, 1}, .crop_ratio = {0.5, 2}}, rng);
  const Image expected = resize_part(crop(view_of(image), {40, 0, 16, 8}), 8, 8, {0, 0, 8, 8}, Interpolation::bicubic);
  EXPECT_EQ(actual.rgb, expected.rgb);
}

TEST(Augment, RepeatsItselfFromTheSameGeneratorState) {
  const Image image = scene(50, 37);
  for (const auto& name : augmentation_policies()) {
    std::set<std::vector<std::uint8_t>> results;
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      Rng once({seed}), again({seed});
      const auto policy = augmentation_policy(name);
      const auto pixels = augment(image, small, policy, once).rgb;
      EXPECT_EQ(pixels, augment(image, small, policy, again).rgb) << name;
      results.insert(pixels);
    }
    EXPECT_EQ(results.size() == 1, name == "none") << name;
  }
}

TEST(Augment, DrawsAsManyRandomNumbersWhateverThePicture) {
  for (const auto& name : augmentation_policies()) {
    std::set<std::uint64_t> next;
    for (const auto& image : {scene(50, 37), scene(200, 2), scene(1, 1)}) {
      Rng rng({9});
      augment(image, small, augmentation_policy(name), rng);
      next.insert(rng.next());
    }
    EXPECT_EQ(next.size(), 1U) << name;
  }
}

TEST(Augment, StaysWithinTheAskedBrightness) {
  Image grey = empty_image(24, 24);
  std::fill(grey.rgb.begin(), grey.rgb.end(), std::uint8_t{100});
  int lowest = 255, highest = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    Rng rng({seed});
    const int value = augment(grey, small, {.brightness = 0.2}, rng).rgb[0];
    lowest = std::min(lowest, value);
    highest = std::max(highest, value);
  }
  EXPECT_GE(lowest, 80);
  EXPECT_LE(lowest, 82);
  EXPECT_LE(highest, 120);
  EXPECT_GE(highest, 118);
}

TEST(Augment, RefusesRangesThatMakeNoSense) {
  Rng rng({1});
  const Image image = scene(8, 8);
  const auto with = [&](const Augmentation& changes) { augment(image, small, changes, rng); };
  EXPECT_THROW(with({.crop_scale = {0.9, 1.1}}), Error);
  EXPECT_THROW(with({.crop_scale = {0.9, 0.8}}), Error);
  EXPECT_THROW(with({.crop_scale = {0, 1}}), Error);
  EXPECT_THROW(with({.zoom = {0, 1}}), Error);
  EXPECT_THROW(with({.flip = 1.5}), Error);
  EXPECT_THROW(with({.brightness = -0.1}), Error);
  EXPECT_THROW(with({.hue = 0.6}), Error);
  EXPECT_THROW(with({.rotate = std::nan("")}), Error);
  EXPECT_THROW(augment(image, {.image_size = 0}, {}, rng), Error);
}

TEST(AugmentationPolicy, NamesThePoliciesWhenItDoesNotKnowOne) {
  try {
    augmentation_policy("medium");
    ADD_FAILURE() << "an unknown policy was accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "[augmentation_policy] name: expected one of none, basic, mild, strong, got \"medium\"");
  }
}

TEST(NormalizePixels, SubtractsTheMeanAndDividesByTheDeviation) {
  const Preprocess how;
  const auto pixels = at::arange(256, at::kByte).view({1, 1, 16, 16}).expand({2, 3, 16, 16}).contiguous();
  const auto normalized = normalize_pixels(pixels, how);
  ASSERT_EQ(normalized.scalar_type(), at::kFloat);
  ASSERT_EQ(normalized.sizes(), pixels.sizes());
  const auto* value = normalized.const_data_ptr<float>();
  for (int b = 0; b < 2; ++b) {
    for (std::size_t c = 0; c < 3; ++c) {
      for (int v = 0; v < 256; ++v) EXPECT_NEAR(*value++, (v / 255.0 - how.mean[c]) / how.std[c], 1e-6);
    }
  }
}

TEST(NormalizePixels, KeepsTheMemoryFormat) {
  const auto pixels = at::randint(0, 256, {2, 3, 5, 4}, at::kByte);
  const auto last = normalize_pixels(pixels.contiguous(at::MemoryFormat::ChannelsLast), {});
  EXPECT_TRUE(last.is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(normalize_pixels(pixels, {}).is_contiguous());
  EXPECT_TRUE(last.equal(normalize_pixels(pixels, {})));
}

TEST(NormalizePixels, ReturnsFloatingPixelsAsTheyAre) {
  const auto pixels = at::rand({2, 3, 4, 4});
  EXPECT_TRUE(normalize_pixels(pixels, {}).is_same(pixels));
}

TEST(NormalizePixels, RefusesOtherShapesAndTypes) {
  EXPECT_THROW(normalize_pixels(at::zeros({3, 4, 4}, at::kByte), {}), Error);
  EXPECT_THROW(normalize_pixels(at::zeros({2, 4, 4, 3}, at::kByte), {}), Error);
  EXPECT_THROW(normalize_pixels(at::zeros({2, 3, 4, 4}, at::kInt), {}), Error);
  EXPECT_THROW(normalize_pixels({}, {}), Error);
  EXPECT_THROW(normalize_pixels(at::zeros({2, 3, 4, 4}, at::kByte), {.std = {0, 1, 1}}), Error);
}

}  // namespace
}  // namespace vlalign::transform_test
