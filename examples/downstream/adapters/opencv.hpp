// A cv::Mat as a view that vlalign reads. Copy it into your project.
#pragma once

#include <cstdint>
#include <opencv2/core/mat.hpp>
#include <span>
#include <string>
#include <vlalign/core/error.hpp>
#include <vlalign/image/image_view.hpp>

namespace adapters {

/// The matrix's own pixels, rows padded or not: CV_8U or CV_32F (0 to 1) of 1, 3 or 4 channels. The matrix must outlive
/// the view, and must not be written to meanwhile.
///   order: what the channels are, which a cv::Mat doesn't know. OpenCV's own imread and VideoCapture give bgr.
/// Throws vlalign::Error for another type, another number of channels than the order has, or no pixels.
inline vlalign::ImageView view_of(const cv::Mat& mat, vlalign::ImageView::Format order) {
  using Format = vlalign::ImageView::Format;
  const int channels = order == Format::grey ? 1 : order == Format::rgb || order == Format::bgr ? 3 : 4;
  const auto expected = "expected CV_8U or CV_32F with " + std::to_string(channels) + " channels";
  if (mat.empty() || mat.dims != 2) throw vlalign::Error("[view_of] mat: " + expected + ", got no picture");
  if ((mat.depth() != CV_8U && mat.depth() != CV_32F) || mat.channels() != channels)
    throw vlalign::Error("[view_of] mat: " + expected + ", got " + cv::typeToString(mat.type()));
  const std::size_t step = mat.step;
  const auto bytes =
      step * static_cast<std::size_t>(mat.rows - 1) + mat.elemSize() * static_cast<std::size_t>(mat.cols);
  if (mat.depth() == CV_32F)
    return {std::span(mat.ptr<float>(), bytes / sizeof(float)), mat.cols, mat.rows, order, step};
  return {std::span<const std::uint8_t>(mat.ptr(), bytes), mat.cols, mat.rows, order, step};
}

vlalign::ImageView view_of(const cv::Mat&&, vlalign::ImageView::Format) = delete;  // it would be gone at once

}  // namespace adapters
