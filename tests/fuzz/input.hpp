// What the fuzzers share: bytes as files, and the rule that only vlalign::Error may come out.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "vlalign/core/error.hpp"

namespace vlalign::fuzz {

/// A folder in memory, where the system has one, that goes with the program.
class InputFolder {
 public:
  InputFolder() {
    const auto memory = std::filesystem::path("/dev/shm");
    const auto parent = std::filesystem::exists(memory) ? memory : std::filesystem::temp_directory_path();
    path_ = parent / ("vlalign-fuzz-" + std::to_string(::getpid()));
    clear();
  }
  InputFolder(const InputFolder&) = delete;
  InputFolder& operator=(const InputFolder&) = delete;
  ~InputFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

  void clear() const {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }

  std::filesystem::path write(const std::string& name, std::string_view bytes) const {
    std::ofstream(path_ / name, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

/// False when the call throws an Error; anything else ends the program, which is a finding.
template <typename Call>
bool succeeds(const Call& call) {
  try {
    call();
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// A property that must hold.
inline void require(bool holds) {
  if (!holds) __builtin_trap();
}

/// The text up to the separator (a line with nothing but "---"), which is taken off with it.
inline std::string_view take_part(std::string_view& bytes) {
  constexpr std::string_view separator = "\n---\n";
  const auto end = bytes.find(separator);
  const auto part = bytes.substr(0, end);
  bytes.remove_prefix(end == bytes.npos ? bytes.size() : end + separator.size());
  return part;
}

}  // namespace vlalign::fuzz
