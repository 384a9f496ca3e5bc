#include "tokenizers/merges_file.hpp"

#include <zlib.h>

#include <memory>
#include <string>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/naming.hpp"

namespace vlalign {
namespace {

std::string gunzip(std::string_view compressed) {
  constexpr std::size_t largest = std::size_t{1} << 28;
  constexpr int gzip_window = 16 + MAX_WBITS;
  z_stream stream{};
  check(inflateInit2(&stream, gzip_window) == Z_OK, "zlib doesn't start");
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));
  stream.avail_in = static_cast<uInt>(compressed.size());
  std::string text;
  for (int status = Z_OK; status != Z_STREAM_END;) {
    char chunk[1 << 16];
    stream.next_out = reinterpret_cast<Bytef*>(chunk);
    stream.avail_out = sizeof(chunk);
    status = inflate(&stream, Z_NO_FLUSH);
    check(status == Z_OK || status == Z_STREAM_END, "damaged or cut gzip data ({})",
          stream.msg ? stream.msg : "it ends early");
    text.append(chunk, sizeof(chunk) - stream.avail_out);
    check(text.size() <= largest, "more than {} bytes of text: not a vocabulary", largest);
  }
  check(stream.avail_in == 0, "{} bytes follow the gzip data", stream.avail_in);
  return text;
}

// The lines behind the first, which tells the version.
std::vector<Merge> parse_merges(std::string_view text, std::size_t limit) {
  check(!text.empty(), "the file is empty");
  std::vector<Merge> merges;
  for (std::size_t number = 1; !text.empty() && merges.size() < limit; ++number) {
    const auto end = text.find('\n');
    auto line = text.substr(0, end);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (number == 1) {
      check(line.find("#version") != line.npos, "line 1: expected '#version', got '{}'", line.substr(0, 80));
    } else if (!line.empty()) {
      naming(fmt::format("line {}", number), [&] { merges.push_back(parse_merge(line)); });
    }
  }
  return merges;
}

}  // namespace

Merge parse_merge(std::string_view line) {
  const auto space = line.find(' ');
  const bool is_pair = space != line.npos && space != 0 && space + 1 < line.size() && space == line.rfind(' ');
  check(is_pair, "expected two symbols with a space between them, got '{}'", line);
  return {std::string(line.substr(0, space)), std::string(line.substr(space + 1))};
}

std::vector<Merge> read_merges(const std::filesystem::path& file, std::size_t limit) {
  const auto contents = read_file(file);
  return naming(file.string(), [&] {
    const bool is_gzip = contents.starts_with("\x1F\x8B");
    return parse_merges(is_gzip ? gunzip(contents) : contents, limit);
  });
}

}  // namespace vlalign
