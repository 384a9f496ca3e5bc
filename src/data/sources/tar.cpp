#include "data/sources/tar.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <memory>
#include <span>

#include "core/check.hpp"
#include "core/log.hpp"

namespace vlalign {
namespace {

constexpr std::int64_t tar_block = 512;
constexpr std::size_t index_read_size = 4096;  // small: most of a shard is pictures, which the index steps over
constexpr std::size_t unpack_read_size = 1 << 20;

/// What libarchive reads: it asks for the next bytes, or to step over some.
struct Source {
  const FileRange& file;
  std::vector<std::byte> buffer;
  std::int64_t position = 0;

  Source(const FileRange& from, std::size_t read_size) : file(from), buffer(read_size) {}

  std::int64_t rest() const { return file.size - position; }

  static la_ssize_t read(archive* reader, void* self, const void** bytes) {
    auto& source = *static_cast<Source*>(self);
    const auto size = std::min<std::int64_t>(static_cast<std::int64_t>(source.buffer.size()), source.rest());
    try {
      source.file.read(source.position, std::span(source.buffer).first(static_cast<std::size_t>(size)));
    } catch (const std::exception& error) {
      archive_set_error(reader, EIO, "%s", error.what());
      return ARCHIVE_FATAL;
    }
    source.position += size;
    *bytes = source.buffer.data();
    return size;
  }

  static la_int64_t skip(archive*, void* self, la_int64_t bytes) {
    auto& source = *static_cast<Source*>(self);
    const auto skipped = std::clamp<std::int64_t>(bytes, 0, source.rest());
    source.position += skipped;
    return skipped;
  }
};

using Archive = std::unique_ptr<archive, decltype(&archive_read_free)>;

/// libarchive's reason; it has none at a cut between a header and its data.
std::string reason(archive* reader) {
  const char* text = archive_error_string(reader);
  return text ? text : "it ends too early";
}

Archive open_archive(Source& source, void (*support)(archive*)) {
  Archive reader(archive_read_new(), archive_read_free);
  check(reader != nullptr, "{}: out of memory", source.file.name);
  support(reader.get());
  if (archive_read_open2(reader.get(), &source, nullptr, Source::read, Source::skip, nullptr) < ARCHIVE_WARN) {
    fail("{}: is not a whole tar file: {}", source.file.name, reason(reader.get()));
  }
  return reader;
}

/// Steps to the next member; false at the end.
bool next_member(archive* reader, archive_entry** entry, const std::string& name) {
  const int status = archive_read_next_header(reader, entry);
  if (status == ARCHIVE_EOF) return false;
  if (status < ARCHIVE_WARN) fail("{}: is not a whole tar file: {}", name, reason(reader));
  return true;
}

/// Names are UTF-8 in most tars whatever the locale; others are taken as they are.
std::string member_name(archive_entry* entry, const FileRange& tar) {
  const char* name = archive_entry_pathname_utf8(entry);
  if (name == nullptr) name = archive_entry_pathname(entry);
  check(name != nullptr, "{}: a member's name cannot be read", tar.name);
  return name;
}

/// libarchive tells where it stands, not where a member's data is: whether that is the same place.
void verify_offset(archive* reader, const FileRange& tar, const TarMember& member) {
  const void* data = nullptr;
  std::size_t size = 0;
  la_int64_t offset = 0;
  const bool read = archive_read_data_block(reader, &data, &size, &offset) == ARCHIVE_OK && offset == 0;
  if (!read) fail("{}: cannot read {}: {}", tar.name, member.name, reason(reader));
  const auto ours = tar.read(member.offset, std::min<std::int64_t>(static_cast<std::int64_t>(size), member.size));
  check(std::memcmp(data, ours.data(), ours.size()) == 0, "{}: this libarchive does not tell where {} begins", tar.name,
        member.name);
}

void warn_without_end_mark(const FileRange& tar, std::int64_t end) {
  const auto rest = tar.size - end;
  const auto mark = tar.read(end, std::clamp<std::int64_t>(rest, 0, tar_block));
  const bool zero = std::all_of(mark.begin(), mark.end(), [](std::byte b) { return b == std::byte{0}; });
  if (rest >= tar_block && zero) return;
  log_warning("{}: has no end mark: members at its end may be missing", tar.name);
}

}  // namespace

bool unpack(const FileRange& file, const std::function<void(std::string_view)>& take) {
  Source source(file, unpack_read_size);
  const auto reader = open_archive(source, [](archive* a) {
    archive_read_support_filter_gzip(a);
    archive_read_support_filter_bzip2(a);
    archive_read_support_filter_xz(a);
    archive_read_support_filter_zstd(a);
    archive_read_support_filter_lz4(a);
    archive_read_support_format_raw(a);
    archive_read_support_format_empty(a);
  });
  archive_entry* entry = nullptr;
  check(next_member(reader.get(), &entry, file.name), "{}: is empty", file.name);
  if (archive_filter_code(reader.get(), 0) == ARCHIVE_FILTER_NONE) return false;
  std::vector<char> buffer(unpack_read_size);
  for (;;) {
    const auto got = archive_read_data(reader.get(), buffer.data(), buffer.size());
    if (got < 0) fail("{}: cannot unpack: {}", file.name, reason(reader.get()));
    if (got == 0) return true;
    take({buffer.data(), static_cast<std::size_t>(got)});
  }
}

std::vector<TarMember> list_tar(const FileRange& tar) {
  Source source(tar, index_read_size);
  const auto reader = open_archive(source, [](archive* a) { archive_read_support_format_tar(a); });
  std::vector<TarMember> members;
  std::int64_t end = 0;
  bool verified = false;
  archive_entry* entry = nullptr;
  while (next_member(reader.get(), &entry, tar.name)) {
    TarMember member{member_name(entry, tar), archive_filter_bytes(reader.get(), 0), archive_entry_size(entry)};
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr) {
      end = member.offset;
      continue;
    }
    check(archive_entry_sparse_count(entry) == 0, "{}: {} is stored as a sparse file; pack it without --sparse",
          tar.name, member.name);
    check(member.size >= 0 && member.size <= tar.size - member.offset, "{}: is cut off: {} should have {} bytes at {}",
          tar.name, member.name, member.size, member.offset);
    end = std::min(tar.size, member.offset + (member.size + tar_block - 1) / tar_block * tar_block);
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
