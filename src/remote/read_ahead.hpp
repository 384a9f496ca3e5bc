// Ranges of remote files, fetched before they are read. Internal.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/io/input_file.hpp"

namespace vlalign {

/// Fetches ranges on threads of its own, many at a time since each mostly waits, and keeps the newest of them in
/// memory. Safe to use from several threads.
class ReadAhead {
 public:
  ReadAhead() = default;
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;
  /// Waits for the ranges that are on their way.
  ~ReadAhead();

  /// Begins to fetch a range, unless it is there or on its way. Doesn't wait.
  void want(const std::shared_ptr<const RandomAccess>& file, std::int64_t offset, std::int64_t size);

  /// Copies the bytes out of a range that holds all of them, once it is there. False, at once, where none does and
  /// where it could not be fetched.
  bool read(const std::string& file, std::int64_t offset, std::span<std::byte> bytes);

 private:
  enum class State { waiting, fetching, there, failed };
  struct Range {
    std::shared_ptr<const RandomAccess> file;
    std::int64_t offset, size;
    std::vector<std::byte> bytes;
    State state = State::waiting;
  };
  using Key = std::pair<std::string, std::int64_t>;  // a file's name and an offset

  void work(const std::stop_token& stop);
  std::shared_ptr<Range> next_range();
  void make_room();

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<Key, std::shared_ptr<Range>> ranges_;
  std::deque<std::pair<Key, std::shared_ptr<Range>>> kept_;  // the oldest first
  std::deque<std::shared_ptr<Range>> waiting_;
  std::int64_t bytes_ = 0;  // of those kept
  std::vector<std::jthread> threads_;
};

/// A remote file, read out of what was fetched ahead where that has it.
class FileReadAhead : public RandomAccess {
 public:
  FileReadAhead(std::shared_ptr<const RandomAccess> file, std::shared_ptr<ReadAhead> ahead)
      : file_(std::move(file)), ahead_(std::move(ahead)) {}

  const std::string& name() const override { return file_->name(); }
  std::int64_t size() const override { return file_->size(); }
  using RandomAccess::read;
  void read(std::int64_t offset, std::span<std::byte> bytes) const override {
    if (!ahead_->read(name(), offset, bytes)) file_->read(offset, bytes);
  }
  void want(std::int64_t offset, std::int64_t size) const { ahead_->want(file_, offset, size); }

 private:
  std::shared_ptr<const RandomAccess> file_;
  std::shared_ptr<ReadAhead> ahead_;
};

}  // namespace vlalign
