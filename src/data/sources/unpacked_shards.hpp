// Compressed shards, unpacked for random access.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/io/input_file.hpp"

namespace vlalign {

struct OpenShard {
  FileRange tar;
  bool compressed;  // tar is a copy
};

/// Copies lie one behind the other in few files, which have no name and are gone when closed, in the folder for
/// temporary files ($TMPDIR). The oldest make room for new ones; a shard whose copy is gone is unpacked again. Safe to
/// use from several threads.
class UnpackedShards {
 public:
  /// most_bytes: what the copies may take, beside the one that is being made; by default half of what is free there
  UnpackedShards();
  explicit UnpackedShards(std::int64_t most_bytes) : most_bytes_(most_bytes) {}

  /// Gives a shard's bytes as its .tar has them to the function, a piece at a time.
  using Produce = std::function<void(const std::function<void(std::string_view)>& take)>;

  /// A shard's bytes as its .tar has them. Throws Error naming it and the fault.
  OpenShard open(const std::filesystem::path& path) { return open(whole_file(path)); }
  OpenShard open(const FileRange& file);
  /// A copy of what is produced, made unless there is one of this name.
  FileRange open(const std::string& name, const Produce& produce);

 private:
  struct Spool {
    std::shared_ptr<const InputFile> file;
    std::int64_t size = 0;
  };

  std::optional<FileRange> find(const std::string& name);
  std::optional<FileRange> make(const std::string& name, const std::function<bool()>& fill);
  void append(std::string_view bytes, const std::string& name);
  bool drop_oldest();
  void keep(const FileRange& copy);

  std::int64_t most_bytes_;
  std::mutex unpacking_;      // one unpacks at a time, and changes spools_
  std::deque<Spool> spools_;  // the one written to at the end
  bool warned_ = false;
  std::mutex mutex_;                                   // of copies_
  std::unordered_map<std::string, FileRange> copies_;  // by name; without a file where it was dropped
};

}  // namespace vlalign
