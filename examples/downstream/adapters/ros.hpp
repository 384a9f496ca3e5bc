// A sensor_msgs/Image as a view that vlalign reads: ROS 2's sensor_msgs::msg::Image and ROS 1's sensor_msgs::Image
// alike, so that neither is included here. Copy it into your project.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vlalign/core/error.hpp>
#include <vlalign/image/image_view.hpp>

namespace adapters {

/// The message's own pixels; it must outlive the view.
///   order: what the channels are where the encoding counts them alone (8UC3, 32FC4, ...); one that names them needs
///   none
/// Throws vlalign::Error that names the encoding, where it is none of rgb8, bgr8, rgba8, bgra8, mono8, 8UC1, 8UC3,
/// 8UC4, 32FC1, 32FC3 and 32FC4, doesn't say the order of its channels and neither does the caller, or holds big-endian
/// numbers.
template <typename Message>
vlalign::ImageView view_of(const Message& image, std::optional<vlalign::ImageView::Format> order = {}) {
  using Format = vlalign::ImageView::Format;
  static constexpr std::pair<std::string_view, Format> named[] = {
      {"rgb8", Format::rgb},   {"bgr8", Format::bgr},  {"rgba8", Format::rgba}, {"bgra8", Format::bgra},
      {"mono8", Format::grey}, {"8UC1", Format::grey}, {"32FC1", Format::grey}};
  const std::string_view encoding(image.encoding);
  const auto refuse = [&](const char* why) {
    throw vlalign::Error("[view_of] encoding \"" + std::string(encoding) + "\": " + why);
  };
  std::optional<Format> format;
  for (const auto& [name, channels] : named)
    if (name == encoding) format = channels;
  const bool three = encoding == "8UC3" || encoding == "32FC3", four = encoding == "8UC4" || encoding == "32FC4";
  if (three || four) {
    const bool fits =
        three ? order == Format::rgb || order == Format::bgr : order == Format::rgba || order == Format::bgra;
    if (!fits) refuse("doesn't name its channels; say their order, as view_of(image, order)");
    format = order;
  }
  if (!format) refuse("expected rgb8, bgr8, rgba8, bgra8, mono8, 8UC<n> or 32FC<n>");

  const auto width = static_cast<int>(image.width), height = static_cast<int>(image.height);
  if (!encoding.starts_with("32F"))
    return {std::span<const std::uint8_t>(image.data.data(), image.data.size()), width, height, *format, image.step};
  if (image.is_bigendian) refuse("its numbers are big-endian, this machine's are not");
  const auto* numbers = reinterpret_cast<const float*>(image.data.data());
  return {std::span(numbers, image.data.size() / sizeof(float)), width, height, *format, image.step};
}

template <typename Message>
vlalign::ImageView view_of(const Message&&, std::optional<vlalign::ImageView::Format> = {}) = delete;

}  // namespace adapters
