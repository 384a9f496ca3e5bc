#include "data/tar.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/check.hpp"
#include "core/log.hpp"

namespace vlalign {
namespace {

constexpr std::int64_t tar_block = 512;
constexpr std::size_t index_read_size = 4096;  // small: most of a shard is pictures, which the index steps over
constexpr std::size_t unpack_read_size = 1 << 20;

using Archive = std::unique_ptr<archive, decltype(&archive_read_free)>;

/// libarchive's reason; it has none at a cut between a header and its data.
std::string reason(archive* reader) {
  const char* text = archive_error_string(reader);
  return text ? text : "it ends too early";
}

Archive open_archive(const InputFile& file, std::size_t read_size, void (*support)(archive*)) {
  Archive reader(archive_read_new(), archive_read_free);
  check(reader != nullptr, "{}: out of memory", file.name());
  support(reader.get());
  check(::lseek(file.descriptor(), 0, SEEK_SET) == 0, "{}: cannot seek: {}", file.name(), std::strerror(errno));
  if (archive_read_open_fd(reader.get(), file.descriptor(), read_size) < ARCHIVE_WARN) {
    fail("{}: is not a whole tar file: {}", file.name(), reason(reader.get()));
  }
  return reader;
}

/// Steps to the next member; false at the end.
bool next_member(archive* reader, archive_entry** entry, const std::string& name) {
  const int status = archive_read_next_header(reader, entry);
  if (status == ARCHIVE_EOF) return false;
  check(status >= ARCHIVE_WARN, "{}: is not a whole tar file: {}", name, reason(reader));
  return true;
}

void write_all(int descriptor, const void* data, std::size_t size, const std::string& name) {
  auto bytes = static_cast<const char*>(data);
  while (size > 0) {
    const auto written = ::write(descriptor, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    check(written >= 0, "{}: cannot unpack into the folder for temporary files (TMPDIR names another): {}", name,
          std::strerror(errno));
    bytes += written;
    size -= static_cast<std::size_t>(written);
  }
}

std::unique_ptr<InputFile> unnamed_file(const std::string& name) {
  std::error_code error;
  const auto folder = std::filesystem::temp_directory_path(error);
  check(!error, "{}: cannot unpack: TMPDIR names no folder: {}", name, error.message());
  auto path = (folder / "vlalign-XXXXXX").string();
  const int descriptor = ::mkostemp(path.data(), O_CLOEXEC);
  check(descriptor >= 0, "{}: cannot unpack into {}: {}", name, folder.string(), std::strerror(errno));
  ::unlink(path.c_str());
  return std::make_unique<InputFile>(descriptor, name);
}

std::unique_ptr<InputFile> unpack(archive* reader, const std::string& name) {
  auto unpacked = unnamed_file(name);
  std::vector<char> buffer(unpack_read_size);
  for (;;) {
    const auto got = archive_read_data(reader, buffer.data(), buffer.size());
    check(got >= 0, "{}: cannot unpack: {}", name, reason(reader));
    if (got == 0) return unpacked;
    write_all(unpacked->descriptor(), buffer.data(), static_cast<std::size_t>(got), name);
  }
}

/// Names are UTF-8 in most tars whatever the locale; others are taken as they are.
std::string member_name(archive_entry* entry, const InputFile& tar) {
  const char* name = archive_entry_pathname_utf8(entry);
  if (name == nullptr) name = archive_entry_pathname(entry);
  check(name != nullptr, "{}: a member's name cannot be read", tar.name());
  return name;
}

/// libarchive tells where it stands, not where a member's data is: whether that is the same place.
void verify_offset(archive* reader, const InputFile& tar, const TarMember& member) {
  const void* data = nullptr;
  std::size_t size = 0;
  la_int64_t offset = 0;
  const bool read = archive_read_data_block(reader, &data, &size, &offset) == ARCHIVE_OK && offset == 0;
  check(read, "{}: cannot read {}: {}", tar.name(), member.name, reason(reader));
  const auto ours = tar.read(member.offset, std::min<std::int64_t>(static_cast<std::int64_t>(size), member.size));
  check(std::memcmp(data, ours.data(), ours.size()) == 0, "{}: this libarchive does not tell where {} begins",
        tar.name(), member.name);
}

void warn_without_end_mark(const InputFile& tar, std::int64_t end) {
  const auto rest = tar.size() - end;
  const auto mark = tar.read(end, std::clamp<std::int64_t>(rest, 0, tar_block));
  const bool zero = std::all_of(mark.begin(), mark.end(), [](std::byte b) { return b == std::byte{0}; });
  if (rest >= tar_block && zero) return;
  log_warning("{}: has no end mark: members at its end may be missing", tar.name());
}

}  // namespace

OpenTar open_tar(const std::filesystem::path& path) {
  auto file = std::make_unique<InputFile>(path);
  const auto reader = open_archive(*file, unpack_read_size, [](archive* a) {
    archive_read_support_filter_gzip(a);
    archive_read_support_filter_bzip2(a);
    archive_read_support_filter_xz(a);
    archive_read_support_filter_zstd(a);
    archive_read_support_filter_lz4(a);
    archive_read_support_format_raw(a);
    archive_read_support_format_empty(a);
  });
  archive_entry* entry = nullptr;
  check(next_member(reader.get(), &entry, file->name()), "{}: is empty", file->name());
  if (archive_filter_code(reader.get(), 0) == ARCHIVE_FILTER_NONE) return {std::move(file), false};
  return {unpack(reader.get(), file->name()), true};
}

std::vector<TarMember> list_tar(const InputFile& tar) {
  const auto reader = open_archive(tar, index_read_size, [](archive* a) { archive_read_support_format_tar(a); });
  const auto file_size = tar.size();
  std::vector<TarMember> members;
  std::int64_t end = 0;
  bool verified = false;
  archive_entry* entry = nullptr;
  while (next_member(reader.get(), &entry, tar.name())) {
    TarMember member{member_name(entry, tar), archive_filter_bytes(reader.get(), 0), archive_entry_size(entry)};
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr) {
      end = member.offset;
      continue;
    }
    check(archive_entry_sparse_count(entry) == 0, "{}: {} is stored as a sparse file; pack it without --sparse",
          tar.name(), member.name);
    check(member.size >= 0 && member.size <= file_size - member.offset, "{}: is cut off: {} should have {} bytes at {}",
          tar.name(), member.name, member.size, member.offset);
    end = std::min(file_size, member.offset + (member.size + tar_block - 1) / tar_block * tar_block);
    if (!verified && member.size > 0) {
      verify_offset(reader.get(), tar, member);
      verified = true;
    }
    members.push_back(std::move(member));
  }
  warn_without_end_mark(tar, end);
  return members;
}

}  // namespace vlalign
