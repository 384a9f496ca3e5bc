#include "camera.hpp"

#include <chrono>
#include <utility>

Camera::Camera(double hertz) {
  for (auto& frame : ring_) frame.resize(row_bytes * height);
  thread_ = std::jthread([this, hertz](std::stop_token stop) { run(stop, hertz); });
}

vlalign::ImageView Camera::newest() {
  std::unique_lock lock(mutex_);
  first_.wait(lock, [this] { return any_; });
  if (std::exchange(fresh_, false)) std::swap(newest_, read_);
  return {ring_[static_cast<std::size_t>(read_)], width, height, vlalign::ImageView::Format::bgr, row_bytes};
}

void Camera::run(std::stop_token stop, double hertz) {
  const auto period = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(1 / hertz));
  auto due = std::chrono::steady_clock::now();
  for (std::int64_t number = 0; !stop.stop_requested(); ++number) {
    capture(number, ring_[static_cast<std::size_t>(written_)]);
    {
      const std::lock_guard lock(mutex_);
      std::swap(written_, newest_);
      any_ = fresh_ = true;
    }
    first_.notify_one();
    std::this_thread::sleep_until(due += period);
  }
}

void Camera::capture(std::int64_t number, std::vector<std::uint8_t>& bgr) {
  // A red block that moves over a grey table.
  const auto left = static_cast<int>(number * 4 % (width - 80));
  for (int y = 0; y < height; ++y) {
    auto* row = bgr.data() + static_cast<std::size_t>(y) * row_bytes;
    for (int x = 0; x < width; ++x) {
      const bool block = x >= left && x < left + 80 && y >= 200 && y < 280;
      row[3 * x] = row[3 * x + 1] = block ? 30 : 128;
      row[3 * x + 2] = block ? 220 : 128;
    }
  }
}
