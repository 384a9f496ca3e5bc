// TensorBoard's event files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace vlalign {

/// Appends scalars to events.out.tfevents.* in a folder: TFRecord framing (tensorflow/core/lib/io/record_writer.cc)
/// around Event messages (tensorflow/core/util/event.proto), which TensorBoard reads.
class EventFile {
 public:
  /// Starts a new file; TensorBoard then drops what older files in the folder hold from `first_step` on.
  EventFile(const std::filesystem::path& folder, std::int64_t first_step);

  void scalars(std::int64_t step, const std::vector<std::pair<std::string, double>>& values);

 private:
  void record(const std::string& event);

  std::filesystem::path path_;
  std::ofstream stream_;
};

}  // namespace vlalign
