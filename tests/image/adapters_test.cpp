// The adapters of examples/downstream.
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include "downstream/adapters/eigen.hpp"
#include "downstream/adapters/ros.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

#if __has_include(<sensor_msgs/Image.h>)
#include <sensor_msgs/Image.h>
#endif
#if defined(VLALIGN_OPENCV)
#include "downstream/adapters/opencv.hpp"
#endif

namespace vlalign::adapters_test {
namespace {

using adapters::view_of;
using test::message_of;
using Format = ImageView::Format;

/// 2x2 pixels of three colours and grey.
const std::vector<std::uint8_t> rgb{255, 0, 0, 0, 255, 0, 0, 0, 255, 90, 90, 90};
const std::vector<std::uint8_t> bgr{0, 0, 255, 0, 255, 0, 255, 0, 0, 90, 90, 90};

/// The message as ROS 2 generates it from sensor_msgs/msg/Image.msg, without the header.
struct Ros2Image {
  std::uint32_t height = 0, width = 0;
  std::string encoding;
  std::uint8_t is_bigendian = 0;
  std::uint32_t step = 0;
  std::vector<std::uint8_t> data;
};

#if __has_include(<sensor_msgs/Image.h>)
/// Debian's messages ask for an allocator with rebind, which C++20 took from std::allocator.
struct OldAllocator : std::allocator<void> {
  template <typename T>
  struct rebind {
    using other = std::allocator<T>;
  };
};
using Messages = testing::Types<Ros2Image, sensor_msgs::Image_<OldAllocator>>;
#else
using Messages = testing::Types<Ros2Image>;
#endif

template <typename Message>
class RosImage : public testing::Test {
 protected:
  /// The pixels, two rows of them, with `padding` bytes behind each.
  static Message message(const char* encoding, const std::vector<std::uint8_t>& pixels, std::size_t padding = 0) {
    Message image;
    image.width = image.height = 2;
    image.encoding = encoding;
    const auto row = pixels.size() / 2;
    image.step = static_cast<std::uint32_t>(row + padding);
    for (std::size_t y = 0; y < 2; ++y) {
      image.data.insert(image.data.end(), pixels.begin() + row * y, pixels.begin() + row * (y + 1));
      image.data.insert(image.data.end(), padding, 77);
    }
    return image;
  }
};
TYPED_TEST_SUITE(RosImage, Messages);

TYPED_TEST(RosImage, IsReadInTheOrderThatItsEncodingNames) {
  const auto read = [](const TypeParam& image) { return to_image(view_of(image)).rgb; };
  EXPECT_EQ(read(this->message("rgb8", rgb)), rgb);
  EXPECT_EQ(read(this->message("rgb8", rgb, 5)), rgb);
  EXPECT_EQ(read(this->message("bgr8", bgr, 2)), rgb);
  EXPECT_EQ(read(this->message("bgra8", {0, 0, 255, 9, 0, 255, 0, 9, 255, 0, 0, 9, 90, 90, 90, 9})), rgb);
  EXPECT_EQ(read(this->message("rgba8", {255, 0, 0, 9, 0, 255, 0, 9, 0, 0, 255, 9, 90, 90, 90, 9})), rgb);
  for (const auto* grey : {"mono8", "8UC1"})
    EXPECT_EQ(read(this->message(grey, {1, 2, 3, 4})), (std::vector<std::uint8_t>{1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4}));
}

TYPED_TEST(RosImage, OfFloatsIsReadAsBytesAre) {
  std::vector<std::uint8_t> bytes(12 * sizeof(float));
  for (std::size_t i = 0; i < 12; ++i) {
    const float value = static_cast<float>(bgr[i]) / 255;
    std::memcpy(&bytes[i * sizeof(float)], &value, sizeof(float));
  }
  auto image = this->message("32FC3", bytes, 8);
  EXPECT_EQ(to_image(view_of(image, Format::bgr)).rgb, rgb);
  image.is_bigendian = 1;
  EXPECT_EQ(message_of<Error>([&] { view_of(image, Format::bgr); }),
            "[view_of] encoding \"32FC3\": its numbers are big-endian, this machine's are not");
}

TYPED_TEST(RosImage, WithoutANameForItsChannelsNeedsTheirOrder) {
  const auto image = this->message("8UC3", bgr);
  EXPECT_EQ(to_image(view_of(image, Format::bgr)).rgb, rgb);
  const std::string expected =
      "[view_of] encoding \"8UC3\": doesn't name its channels; say their order, as view_of(image, order)";
  EXPECT_EQ(message_of<Error>([&] { view_of(image); }), expected);
  EXPECT_EQ(message_of<Error>([&] { view_of(image, Format::rgba); }), expected);
}

TYPED_TEST(RosImage, OfAnotherKindOrSizeIsAnError) {
  const auto depth = this->message("16UC1", {1, 0, 2, 0, 3, 0, 4, 0});
  EXPECT_EQ(message_of<Error>([&] { view_of(depth); }),
            "[view_of] encoding \"16UC1\": expected rgb8, bgr8, rgba8, bgra8, mono8, 8UC<n> or 32FC<n>");
  auto image = this->message("rgb8", rgb);
  image.data.pop_back();
  EXPECT_EQ(message_of<Error>([&] { view_of(image); }),
            "[ImageView] pixels: 2 rows 6 bytes apart need 12 bytes, got 11");
}

template <typename Image, typename... Order>
concept CanBeViewed = requires(Image&& image, Order... order) {
  view_of(std::forward<Image>(image), order...);
};

TYPED_TEST(RosImage, ThatIsAboutToGoIsNotTaken) {
  EXPECT_TRUE((CanBeViewed<const TypeParam&>));
  EXPECT_FALSE((CanBeViewed<TypeParam>));
}

#if defined(VLALIGN_OPENCV)
cv::Mat mat_of(const std::vector<std::uint8_t>& pixels, int type) {
  return cv::Mat(2, 2, type, const_cast<std::uint8_t*>(pixels.data())).clone();
}

TEST(Matrix, IsReadInTheOrderTheCallerSays) {
  const auto as_rgb = mat_of(rgb, CV_8UC3), as_bgr = mat_of(bgr, CV_8UC3);
  EXPECT_EQ(to_image(view_of(as_rgb, Format::rgb)).rgb, rgb);
  EXPECT_EQ(to_image(view_of(as_bgr, Format::bgr)).rgb, rgb);
  const auto with_alpha = mat_of({0, 0, 255, 9, 0, 255, 0, 9, 255, 0, 0, 9, 90, 90, 90, 9}, CV_8UC4);
  EXPECT_EQ(to_image(view_of(with_alpha, Format::bgra)).rgb, rgb);
  const auto grey = mat_of({1, 2, 3, 4}, CV_8UC1);
  EXPECT_EQ(to_image(view_of(grey, Format::grey)).rgb, (std::vector<std::uint8_t>{1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4}));
}

TEST(Matrix, OfFloatsIsReadAsBytesAre) {
  cv::Mat floats(2, 2, CV_32FC3);
  for (std::size_t i = 0; i < bgr.size(); ++i) floats.ptr<float>()[i] = static_cast<float>(bgr[i]) / 255;
  EXPECT_EQ(to_image(view_of(floats, Format::bgr)).rgb, rgb);
}

TEST(Matrix, CutOutOfALargerOneSkipsTheRestOfItsRows) {
  cv::Mat whole(5, 7, CV_8UC3, cv::Scalar(7, 7, 7));
  cv::Mat part = whole(cv::Rect(3, 2, 2, 2));
  for (int y = 0; y < 2; ++y) std::copy_n(rgb.begin() + 6 * y, 6, part.ptr(y));
  EXPECT_EQ(to_image(view_of(part, Format::rgb)).rgb, rgb);
}

TEST(Matrix, OfAnotherTypeThanTheOrderIsAnError) {
  const auto mat = mat_of(rgb, CV_8UC3);
  EXPECT_EQ(message_of<Error>([&] { view_of(mat, Format::rgba); }),
            "[view_of] mat: expected CV_8U or CV_32F with 4 channels, got CV_8UC3");
  const cv::Mat depth(2, 2, CV_16UC1), none;
  EXPECT_EQ(message_of<Error>([&] { view_of(depth, Format::grey); }),
            "[view_of] mat: expected CV_8U or CV_32F with 1 channels, got CV_16UC1");
  EXPECT_EQ(message_of<Error>([&] { view_of(none, Format::grey); }),
            "[view_of] mat: expected CV_8U or CV_32F with 1 channels, got no picture");
}

TEST(Matrix, ThatIsAboutToGoIsNotTaken) {
  EXPECT_TRUE((CanBeViewed<const cv::Mat&, Format>));
  EXPECT_FALSE((CanBeViewed<cv::Mat, Format>));
}
#endif

TEST(Embeddings, AreMappedWhereTheyAre) {
  const auto embeddings = at::tensor({1.0, 2.0, 3.0, 4.0, 5.0, 6.0}, at::kFloat).view({2, 3});
  const auto rows = adapters::rows_of(embeddings);
  EXPECT_EQ(rows.data(), embeddings.const_data_ptr<float>());
  EXPECT_EQ(rows, (adapters::Rows{{1, 2, 3}, {4, 5, 6}}));

  const std::vector<float> kept{1, 2, 3};
  EXPECT_EQ(adapters::vector_of(kept).data(), kept.data());
  EXPECT_EQ(adapters::vector_of(kept), Eigen::Vector3f(1, 2, 3));

  Eigen::VectorXf place(3);
  const auto out = adapters::out(place);
  std::copy(kept.begin(), kept.end(), out.begin());
  EXPECT_EQ(place, Eigen::Vector3f(1, 2, 3));
}

template <typename Embeddings>
concept CanBeMapped = requires(Embeddings&& embeddings) {
  adapters::rows_of(std::forward<Embeddings>(embeddings));
};

TEST(Embeddings, OfAnotherLayoutAreAnErrorAndTemporariesDontCompile) {
  const auto whole = at::tensor({1.0, 2.0, 3.0, 4.0}, at::kFloat).view({2, 2});
  const std::vector<at::Tensor> others{whole.t(), whole.to(at::kDouble), whole.view({4}), at::Tensor()};
  for (const auto& other : others) {
    EXPECT_EQ(message_of<Error>([&] { adapters::rows_of(other); }),
              "[rows_of] embeddings: expected [N, D] float32, contiguous, on the cpu");
  }
  EXPECT_TRUE((CanBeMapped<const at::Tensor&>));
  EXPECT_FALSE((CanBeMapped<at::Tensor>));
}

}  // namespace
}  // namespace vlalign::adapters_test
