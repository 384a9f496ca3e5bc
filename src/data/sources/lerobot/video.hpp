// Single frames of a video file.
#pragma once

#include <filesystem>
#include <memory>

#include "vlalign/image/image.hpp"

namespace vlalign {

/// Reads with FFmpeg, on the caller's thread. Not safe from several threads at once.
class Video {
 public:
  /// Throws Error naming the file.
  explicit Video(const std::filesystem::path& path);
  Video(Video&&) = delete;
  ~Video();

  /// The first frame shown not more than `tolerance` seconds before or after `seconds`, counted as the file counts.
  /// Throws Error naming the file when there is none.
  Image frame(double seconds, double tolerance);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vlalign
