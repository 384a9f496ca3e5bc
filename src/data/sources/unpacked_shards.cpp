#include "data/sources/unpacked_shards.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

#include "core/check.hpp"
#include "core/log.hpp"
#include "data/sources/tar.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t most_spools = 8;

std::int64_t half_of_free_space() {
  std::error_code fault;
  const auto space = fs::space(fs::temp_directory_path(fault), fault);
  return fault ? std::numeric_limits<std::int64_t>::max() : static_cast<std::int64_t>(space.available / 2);
}

std::shared_ptr<const InputFile> unnamed_file(const std::string& name) {
  std::error_code fault;
  const auto folder = fs::temp_directory_path(fault);
  if (fault) fail("{}: cannot unpack: TMPDIR names no folder: {}", name, fault.message());
  auto path = (folder / "vlalign-XXXXXX").string();
  const int descriptor = ::mkostemp(path.data(), O_CLOEXEC);
  if (descriptor < 0) fail("{}: cannot unpack into {}: {}", name, folder.string(), std::strerror(errno));
  ::unlink(path.c_str());
  return std::make_shared<const InputFile>(descriptor, folder.string() + ": the copies of unpacked shards");
}

}  // namespace

UnpackedShards::UnpackedShards() : UnpackedShards(half_of_free_space()) {}

OpenShard UnpackedShards::open(const FileRange& file) {
  if (auto copy = find(file.name)) return {std::move(*copy), true};
  auto copy = make(file.name, [&] { return unpack(file, [&](std::string_view bytes) { append(bytes, file.name); }); });
  return copy ? OpenShard{std::move(*copy), true} : OpenShard{file, false};
}

FileRange UnpackedShards::open(const std::string& name, const Produce& produce) {
  if (auto copy = find(name)) return std::move(*copy);
  return *make(name, [&] {
    produce([&](std::string_view bytes) { append(bytes, name); });
    return true;
  });
}

/// Nothing where `fill`, which appends the copy's bytes, says that there is none to be made.
std::optional<FileRange> UnpackedShards::make(const std::string& name, const std::function<bool()>& fill) {
  const std::lock_guard lock(unpacking_);
  if (auto copy = find(name)) return copy;
  // All but the last hold something: a shard that isn't compressed leaves the last one as it was.
  const bool full = !spools_.empty() && spools_.back().size > 0 && spools_.back().size >= most_bytes_ / most_spools;
  if (spools_.empty() || full) spools_.emplace_back();
  const auto begin = spools_.back().size;
  try {
    if (!fill()) return std::nullopt;
    if (!spools_.back().file) append({}, name);
    FileRange copy{spools_.back().file, name, begin, spools_.back().size - begin};
    keep(copy);
    return copy;
  } catch (...) {
    auto& spool = spools_.back();
    if (spool.file && ::ftruncate(spool.file->descriptor(), begin) == 0) spool.size = begin;
    throw;
  }
}

std::optional<FileRange> UnpackedShards::find(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = copies_.find(name);
  if (found == copies_.end() || !found->second.file) return std::nullopt;
  return found->second;
}

/// Behind the last spool's end.
void UnpackedShards::append(std::string_view bytes, const std::string& name) {
  auto& spool = spools_.back();
  if (!spool.file) spool.file = unnamed_file(name);
  while (!bytes.empty()) {
    const auto written = ::pwrite(spool.file->descriptor(), bytes.data(), bytes.size(), spool.size);
    if (written < 0 && (errno == EINTR || (errno == ENOSPC && drop_oldest()))) continue;
    if (written < 0) {
      fail("{}: cannot unpack into the folder for temporary files (TMPDIR names another): {}", name,
           std::strerror(errno));
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
    spool.size += written;
  }
}

/// False when there is but the one that is written to. Who still reads from it keeps the file.
bool UnpackedShards::drop_oldest() {
  if (spools_.size() < 2) return false;
  const auto spool = std::move(spools_.front());
  spools_.pop_front();
  {
    const std::lock_guard lock(mutex_);
    for (auto& [name, copy] : copies_) {
      if (copy.file == spool.file) copy.file = nullptr;
    }
  }
  if (!std::exchange(warned_, true)) {
    log_warning(
        "{}: there is no room for all of them: shards are unpacked again whenever they are read, which is slow; unpack "
        "them yourself, or let TMPDIR name a larger folder",
        spool.file->name());
  }
  return true;
}

void UnpackedShards::keep(const FileRange& copy) {
  {
    const std::lock_guard lock(mutex_);
    auto& kept = copies_.try_emplace(copy.name, copy).first->second;
    check(kept.size == copy.size, "{}: holds {} bytes now, {} when it was opened first", copy.name, copy.size,
          kept.size);
    kept = copy;
  }
  const auto total = [&] {
    std::int64_t bytes = 0;
    for (const auto& spool : spools_) bytes += spool.size;
    return bytes;
  };
  while (total() > most_bytes_ && drop_oldest()) continue;
}

}  // namespace vlalign
