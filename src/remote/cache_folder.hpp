// The files of a cache that several processes of a host share. Internal.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/io/file_descriptor.hpp"
#include "core/io/input_file.hpp"
#include "remote/remote_object.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign {

/// The disk's, not the network's: without a copy it goes on all the same.
class CacheFault : public Error {
 public:
  using Error::Error;
};

/// Which files are wanted soon, by what their urls give: the smaller, the sooner.
using CacheNeeds = std::map<std::string, std::int64_t>;

/// In what order things are wanted: before all that is in CacheNeeds.
inline constexpr std::int64_t needed_now = -1;

enum class CacheState {
  whole,    ///< the local copy is there
  claimed,  ///< the caller makes it
  busy,     ///< somebody else makes it
  full,     ///< what is there is needed sooner, or is being made, or isn't ours
  no_room,  ///< it is larger than the limit, or than the disk
};

/// The right to make a copy. The system lets go of it when the process ends, however it ends.
struct CacheClaim {
  CacheState state = CacheState::busy;
  FileDescriptor file = FileDescriptor();
  std::filesystem::path partial = {};
  std::int64_t begin = 0;  ///< so many bytes are there already, of a maker that is dead
};

/// Every change is made under the lock of one file. Only files with our marker in their names are ever removed. Throws
/// CacheFault when the folder can't be written any more.
class CacheFolder {
 public:
  /// Makes the folder. Throws CacheFault when it can't be written, or its file system knows no locks.
  CacheFolder(const std::filesystem::path& folder, std::int64_t most_bytes);

  static std::string url_hash(const std::string& url);

  /// The local copy if it is whole, as used now; else null.
  std::shared_ptr<const InputFile> open(const RemoteObject& object) const;

  /// The right to make the copy, after room was made for it by removing what was used least recently, or is needed
  /// later than `place`.
  CacheClaim claim(const RemoteObject& object, const CacheNeeds& needs, std::int64_t place) const;
  /// Gives the complete copy its name.
  void finish(const RemoteObject& object, CacheClaim claim) const;
  /// Removes what was made.
  static void drop(CacheClaim claim);
  /// For a disk that is full before the limit is reached: removes one file; false when there is none to remove.
  bool remove_one(const CacheNeeds& needs, std::int64_t place, const std::filesystem::path& own) const;

 private:
  struct Entry;
  FileDescriptor lock() const;
  std::vector<Entry> entries(const std::filesystem::path& own) const;
  static void keep_removable(std::vector<Entry>& all, const CacheNeeds& needs, std::int64_t place);
  std::int64_t most_bytes_now(const std::vector<Entry>& all, std::int64_t own_bytes) const;
  bool make_room(const CacheClaim& claim, std::int64_t bytes, const CacheNeeds& needs, std::int64_t place) const;
  std::filesystem::path copy_of(const RemoteObject& object) const;
  std::filesystem::path partial_of(const RemoteObject& object) const;

  std::filesystem::path folder_;
  std::int64_t most_bytes_;
};

}  // namespace vlalign
