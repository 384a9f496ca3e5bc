#include "data/sources/table_text.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include "core/check.hpp"
#include "core/io/files.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

std::int64_t nanoseconds(const timespec& time) { return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

FileStamp stamp_of(const InputFile& file) {
  struct stat status {};
  if (::fstat(file.descriptor(), &status) != 0) fail("{}: cannot look at it: {}", file.name(), std::strerror(errno));
  return {status.st_size, nanoseconds(status.st_mtim), nanoseconds(status.st_ctim)};
}

}  // namespace

TableText::TableText(const fs::path& file, std::int64_t large) : name_(file.string()) {
  check(fs::is_regular_file(status_of(file)), "{}: no such file, or not a regular file", name_);
  file_ = std::make_unique<const InputFile>(file);
  stamp_ = stamp_of(*file_);
  std::string start;
  const auto mark = read(0, 3, start);
  check(!mark.starts_with("\xff\xfe") && !mark.starts_with("\xfe\xff"), "{}: is UTF-16, save it as UTF-8", name_);
  begin_ = mark == "\xef\xbb\xbf" ? 3 : 0;
  if (stamp_.size >= large) return;
  read(0, stamp_.size, text_);
  check_unchanged();
  file_.reset();
}

std::string_view TableText::read(std::int64_t offset, std::int64_t size, std::string& buffer) const {
  offset = std::clamp<std::int64_t>(offset, 0, stamp_.size);
  size = std::min(size, stamp_.size - offset);
  if (!file_) return std::string_view(text_).substr(static_cast<std::size_t>(offset), static_cast<std::size_t>(size));
  buffer.resize(static_cast<std::size_t>(size));
  try {
    file_->read(offset, std::as_writable_bytes(std::span(buffer)));
  } catch (const Error& error) {
    check_unchanged();  // a file that became shorter
    throw UnreadableText(error.what());
  }
  return buffer;
}

/// By no name, since a new file in the place of the one that is open leaves that as it was.
void TableText::check_unchanged() const {
  if (!file_) return;
  const auto now = stamp_of(*file_);
  if (now.size == stamp_.size && now.modified_ns == stamp_.modified_ns) return;
  throw UnreadableText(name_ + ": was changed while it was open; open it again");
}

}  // namespace vlalign
