#include "data/sources/shard_files.hpp"

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "data/sources/tar.hpp"
#include "remote/download.hpp"
#include "remote/remote_file.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view pipe_prefix = "pipe:";

/// Its first bytes say whether a file is compressed, whatever it is called.
bool is_compressed(const FileRange& file) {
  using namespace std::string_view_literals;
  constexpr std::array marks{"\x1f\x8b"sv, "BZh"sv, "\xfd\x37zXZ"sv, "\x28\xb5\x2f\xfd"sv, "\x04\x22\x4d\x18"sv};
  std::array<std::byte, 6> begin{};
  const auto size = std::min<std::int64_t>(file.size, std::ssize(begin));
  file.read(0, std::span(begin).first(static_cast<std::size_t>(size)));
  const std::string_view text(reinterpret_cast<const char*>(begin.data()), static_cast<std::size_t>(size));
  return std::any_of(marks.begin(), marks.end(), [&](auto mark) { return text.starts_with(mark); });
}

FileRange all_of(std::shared_ptr<const RandomAccess> file, const std::string& name) {
  const auto size = file->size();
  return {.file = std::move(file), .name = name, .begin = 0, .size = size};
}

/// A part of a file as a file.
class PartOfFile : public RandomAccess {
 public:
  explicit PartOfFile(FileRange range) : range_(std::move(range)) {}
  const std::string& name() const override { return range_.name; }
  std::int64_t size() const override { return range_.size; }
  using RandomAccess::read;
  void read(std::int64_t offset, std::span<std::byte> bytes) const override { range_.read(offset, bytes); }

 private:
  FileRange range_;
};

/// The output of a shell's command, a piece at a time. Throws Error when the command fails.
void run_command(const std::string& name, const std::function<void(std::string_view)>& take) {
  const auto command = name.substr(pipe_prefix.size());
  std::FILE* output = ::popen(command.c_str(), "re");
  check(output != nullptr, "{}: cannot start the command", name);
  std::vector<char> buffer(1 << 20);
  try {
    for (std::size_t got = 0; (got = std::fread(buffer.data(), 1, buffer.size(), output)) > 0;)
      take({buffer.data(), got});
  } catch (...) {
    ::pclose(output);
    throw;
  }
  const int status = ::pclose(output);
  check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "{}: the command failed, with exit status {}", name,
        WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

}  // namespace

bool is_pipe(std::string_view location) { return location.starts_with(pipe_prefix); }

RemoteCache& ShardFiles::cache() {
  const std::lock_guard lock(mutex_);
  if (!cache_) cache_ = std::make_unique<RemoteCache>(cache_options_);
  return *cache_;
}

FileRange ShardFiles::open(const std::string& name) {
  return is_remote(name) && is_read_by_ranges(name) ? all_of(cache().open(name), name) : fetch(name);
}

/// Not a compressed one: its begin tells.
bool ShardFiles::is_read_by_ranges(const std::string& name) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = by_ranges_.find(name); known != by_ranges_.end()) return known->second;
  }
  const bool plain = !is_compressed(all_of(cache().open(name), name));
  const std::lock_guard lock(mutex_);
  return by_ranges_.emplace(name, plain).first->second;
}

void ShardFiles::note_no_ranges(const std::string& name) {
  const std::lock_guard lock(mutex_);
  by_ranges_[name] = false;
}

/// All of a remote file: the cache's copy, or where it has no room an unnamed one.
std::shared_ptr<const RandomAccess> ShardFiles::here(const std::string& name) {
  auto file = cache().fetch(name);
  if (dynamic_cast<const RemoteFile*>(file.get()) == nullptr) return file;
  const auto copy = unpacked_.open(name + " (a copy)", [&](const auto& take) {
    download(name, [&](std::span<const std::byte> bytes) {
      take({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    });
  });
  return std::make_shared<const PartOfFile>(copy);
}

FileRange ShardFiles::fetch(const std::string& name) {
  if (is_pipe(name)) return output_of(name);
  const auto file = is_remote(name) ? all_of(here(name), name) : whole_file(name);
  check(file.size > 0, "{}: is empty", name);
  return is_compressed(file) ? unpacked_.open(file).tar : file;
}

/// It may be compressed, and then is unpacked as a file is.
FileRange ShardFiles::output_of(const std::string& name) {
  auto output = unpacked_.open(name, [&](const auto& take) { run_command(name, take); });
  if (!is_compressed(output)) return output;
  output.name += " (unpacked)";
  auto unpacked = unpacked_.open(output).tar;
  unpacked.name = name;
  return unpacked;
}

std::optional<FileRange> ShardFiles::open_anew(const std::string& name) {
  if (!is_remote(name) || !is_read_by_ranges(name)) return std::nullopt;
  return all_of(std::make_shared<RemoteFile>(name), name);
}

ShardVersion ShardFiles::version(const std::string& name) {
  if (is_pipe(name)) return {};
  if (is_remote(name)) {
    const RemoteFile file(name);
    return {file.size(), file.etag()};
  }
  std::error_code fault;
  const auto changed = fs::last_write_time(name, fault);
  if (fault) fail("{}: {}", name, fault.message());
  const auto bytes = fs::file_size(name, fault);
  if (fault) fail("{}: {}", name, fault.message());
  return {static_cast<std::int64_t>(bytes), std::to_string(changed.time_since_epoch().count())};
}

void ShardFiles::expect(const std::vector<std::string>& names) {
  std::vector<std::string> remote;
  std::copy_if(names.begin(), names.end(), std::back_inserter(remote), is_remote);
  if (!remote.empty()) cache().prefetch(remote);
}

}  // namespace vlalign
