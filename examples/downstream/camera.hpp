#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>
#include <vlalign/image/image_view.hpp>

/// A camera with a thread of its own. Of its ring of three frames one is being written, one is the newest, and one is
/// in the reader's hands, so that neither waits for the other.
class Camera {
 public:
  explicit Camera(double hertz);

  /// The newest frame; waits for the first. Its memory stays as it is until the next call.
  vlalign::ImageView newest();

 private:
  static constexpr int width = 640, height = 480;
  static constexpr std::size_t row_bytes = 3 * width + 64;  // rows are padded, as drivers do

  void run(std::stop_token stop, double hertz);
  /// What a real camera's driver does instead.
  static void capture(std::int64_t number, std::vector<std::uint8_t>& bgr);

  std::array<std::vector<std::uint8_t>, 3> ring_;
  std::mutex mutex_;  // of what follows
  std::condition_variable first_;
  int written_ = 0, newest_ = 1, read_ = 2;
  bool any_ = false, fresh_ = false;  // a frame at all; one that hasn't been read
  std::jthread thread_;               // last: it stops before the rest goes
};
