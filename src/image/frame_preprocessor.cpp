#include "image/frame_preprocessor.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>

namespace vlalign {

FramePreprocessor::FramePreprocessor(const Preprocess& how) : how_(how), resizer_(how.interpolation) {
  const std::int64_t side = how.image_size;
  picture_.resize(static_cast<std::size_t>(3 * side * side));
  pixels_ = at::empty({1, 3, side, side}, at::kFloat, at::MemoryFormat::ChannelsLast);
  const auto bytes = at::arange(256, at::kByte).view({1, 1, 256, 1}).expand({1, 3, 256, 1});
  const auto values = normalize_pixels(bytes, how).permute({0, 2, 3, 1}).contiguous();  // [1, 256, 1, 3]
  std::copy_n(values.const_data_ptr<float>(), 3 * 256, value_.front().data());
}

const at::Tensor& FramePreprocessor::operator()(const ImageView& frame) {
  if (!fits(frame)) {
    plan_ = evaluation_plan(frame.width(), frame.height(), how_);
    width_ = frame.width();
    height_ = frame.height();
  }
  resizer_(rgb_of(frame), plan_.width, plan_.height, plan_.part, picture_.data());
  auto* out = pixels_.mutable_data_ptr<float>();
  for (std::size_t i = 0; i < picture_.size(); i += 3) {
    for (std::size_t c = 0; c < 3; ++c) *out++ = value_[picture_[i + c]][c];
  }
  return pixels_;
}

RgbView FramePreprocessor::rgb_of(const ImageView& frame) {
  if (const auto* rows = frame.rgb_rows())
    return {rows, width_, height_, static_cast<std::ptrdiff_t>(frame.row_bytes())};
  const auto row = 3 * static_cast<std::size_t>(width_);
  rgb_.resize(row * static_cast<std::size_t>(height_));
  for (int y = 0; y < height_; ++y) frame.copy_row(y, rgb_.data() + static_cast<std::size_t>(y) * row);
  return {rgb_.data(), width_, height_, static_cast<std::ptrdiff_t>(row)};
}

}  // namespace vlalign
