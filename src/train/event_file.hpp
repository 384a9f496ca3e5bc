// TensorBoard's event files.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "train/histogram.hpp"
#include "vlalign/image/image.hpp"

namespace vlalign {

/// Appends to events.out.tfevents.* in a folder: TFRecord framing (tensorflow/core/lib/io/record_writer.cc) around
/// Event messages (tensorflow/core/util/event.proto and framework/summary.proto), which TensorBoard reads. A tag is
/// what TensorBoard calls a curve or a series of pictures; the part before its first slash is a group of them.
class EventFile {
 public:
  /// Starts a new file; TensorBoard then drops what older files in the folder hold from `first_step` on. Where a file
  /// can't be written, that is told once, and a minute later another one starts: for people's eyes no run ends.
  EventFile(std::filesystem::path folder, std::int64_t first_step);

  void scalars(std::int64_t step, const std::vector<std::pair<std::string, double>>& values);
  /// Those of no values are left out.
  void histograms(std::int64_t step, const std::vector<std::pair<std::string, Histogram>>& values);
  void picture(std::int64_t step, const std::string& tag, const Image& picture);
  /// Rows of equally many cells, each a piece of Markdown in UTF-8, see markdown_of().
  void table(std::int64_t step, const std::string& tag, const std::vector<std::vector<std::string>>& rows);

 private:
  void start(std::int64_t first_step);
  void summary(std::int64_t step, const std::string& values);
  void record(const std::string& event);

  using Clock = std::chrono::steady_clock;

  std::filesystem::path folder_, path_;
  std::ofstream stream_;
  bool has_begun_ = false;  ///< there is a record in it
  Clock::time_point broken_at_{};
  bool is_broken_ = false;  ///< a cut record hides what would come behind it
  bool is_told_ = false;
};

/// Markdown that shows the text as it is.
std::string markdown_of(std::string_view text);

}  // namespace vlalign
