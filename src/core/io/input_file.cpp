#include "core/io/input_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/check.hpp"
#include "core/foreign_errors.hpp"
#include "core/io/files.hpp"

namespace vlalign {

std::vector<std::byte> RandomAccess::read(std::int64_t offset, std::int64_t size) const {
  auto bytes = without_foreign_errors(name(), [&] { return std::vector<std::byte>(static_cast<std::size_t>(size)); });
  read(offset, bytes);
  return bytes;
}

// O_NONBLOCK: opening a named pipe by mistake must not wait for a writer.
InputFile::InputFile(const std::filesystem::path& path)
    : InputFile(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK), path.string()) {}

InputFile::InputFile(int descriptor, std::string name) : name_(std::move(name)), descriptor_(descriptor) {
  check(descriptor_ >= 0, "{}: cannot open: {}", name_, std::strerror(errno));
  struct stat status {};
  if (::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode)) return;
  ::close(descriptor_);
  fail("{}: is not a regular file", name_);
}

InputFile::~InputFile() { ::close(descriptor_); }

std::int64_t InputFile::size() const {
  struct stat status {};
  check(::fstat(descriptor_, &status) == 0, "{}: cannot read its size: {}", name_, std::strerror(errno));
  return status.st_size;
}

void InputFile::read(std::int64_t offset, std::span<std::byte> bytes) const {
  for (std::size_t done = 0; done < bytes.size();) {
    const auto got = ::pread(descriptor_, bytes.data() + done, bytes.size() - done, offset + static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("{}: cannot read: {}", name_, std::strerror(errno));
    if (got == 0) {
      fail("{}: ends after {} bytes, {} bytes at offset {} were expected", name_, this->size(), bytes.size(), offset);
    }
    done += static_cast<std::size_t>(got);
  }
}

void FileRange::check_holds(std::int64_t offset, std::int64_t bytes) const {
  check(offset >= 0 && bytes >= 0 && offset <= size && bytes <= size - offset,
        "{}: ends after {} bytes, {} bytes at offset {} were expected", name, size, bytes, offset);
}

std::vector<std::byte> FileRange::read(std::int64_t offset, std::int64_t bytes) const {
  check_holds(offset, bytes);
  return file->read(begin + offset, bytes);
}

void FileRange::read(std::int64_t offset, std::span<std::byte> bytes) const {
  check_holds(offset, static_cast<std::int64_t>(bytes.size()));
  file->read(begin + offset, bytes);
}

FileRange whole_file(const std::filesystem::path& path) {
  auto file = std::make_shared<const InputFile>(path);
  const auto size = file->size();
  return {.file = std::move(file), .name = path.string(), .size = size};
}

std::ifstream open_text(const std::filesystem::path& path) {
  check(std::filesystem::is_regular_file(status_of(path)), "{}: no such file, or not a regular file", path.string());
  std::ifstream stream(path, std::ios::binary);
  check(stream.good(), "{}: cannot open: {}", path.string(), std::strerror(errno));
  char start[3] = {};
  stream.read(start, 3);
  const std::string_view mark(start, static_cast<std::size_t>(stream.gcount()));
  check(!mark.starts_with("\xff\xfe") && !mark.starts_with("\xfe\xff"), "{}: is UTF-16, save it as UTF-8",
        path.string());
  stream.clear();
  stream.seekg(mark == "\xef\xbb\xbf" ? 3 : 0);
  return stream;
}

bool next_line(std::istream& text, std::string& line) {
  constexpr int end_of_file = std::char_traits<char>::eof();
  auto& buffer = *text.rdbuf();
  line.clear();
  int c = buffer.sbumpc();
  if (c == end_of_file) return false;
  for (; c != end_of_file && c != '\n' && c != '\r'; c = buffer.sbumpc()) line.push_back(static_cast<char>(c));
  if (c == '\r' && buffer.sgetc() == '\n') buffer.sbumpc();
  return true;
}

}  // namespace vlalign
