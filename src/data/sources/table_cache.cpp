#include "data/sources/table_cache.hpp"

#include <libdeflate.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/check.hpp"
#include "core/fingerprint.hpp"
#include "core/io/cache_folder.hpp"
#include "core/io/files.hpp"
#include "core/io/input_file.hpp"
#include "vlalign/core/version.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

// An index file is a header, the words, a check value a block of them, and the bad records' texts, each behind its
// size. Numbers are as they are in memory, since the file stays on its machine.
struct IndexHeader {
  char kind[16] = {};
  FileStamp table{};
  std::int64_t separator = 0, has_header = 0, columns = 0, image = 0, caption = 0;
  std::int64_t rows = 0, records = 0, words = 0, bad_bytes = 0;
  std::uint64_t check = 0;  // of this, with 0 in its place, and of all but the words
};

constexpr std::string_view index_kind = "vlalign table 1\n";  // another number when anything here changes
static_assert(index_kind.size() == sizeof IndexHeader::kind);
constexpr std::size_t block_words = 4096;

std::size_t blocks_of(std::size_t words) { return (words + block_words - 1) / block_words; }

template <typename T>
std::string_view bytes_of(std::span<const T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

std::uint64_t crc32_of(std::string_view bytes, std::uint64_t before = 0) {
  return ::libdeflate_crc32(static_cast<std::uint32_t>(before), bytes.data(), bytes.size());
}

std::uint64_t check_of(IndexHeader header, std::string_view block_checks, std::string_view bad) {
  header.check = 0;
  return crc32_of(bad, crc32_of(block_checks, crc32_of(bytes_of(std::span<const IndexHeader>(&header, 1)))));
}

/// Of one block: the last may be shorter.
std::uint64_t block_check(std::span<const std::uint64_t> words, std::size_t block) {
  const auto begin = block * block_words;
  return crc32_of(bytes_of(words.subspan(begin, std::min(block_words, words.size() - begin))));
}

/// A file in memory, as the system reads it.
class MappedFile {
 public:
  explicit MappedFile(const fs::path& path) {
    const InputFile file(path);
    size_ = static_cast<std::size_t>(file.size());
    check(size_ > 0, "{}: is empty", file.name());
    data_ = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.descriptor(), 0);
    check(data_ != MAP_FAILED, "{}: cannot map into memory: {}", file.name(), std::strerror(errno));
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile() { ::munmap(data_, size_); }

  std::string_view bytes() const { return {static_cast<const char*>(data_), size_}; }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Words in a file. A block is compared with its check value when it is first asked for, so that opening takes no
/// longer with more of them.
class KeptWords : public IndexWords {
 public:
  KeptWords(std::shared_ptr<const MappedFile> file, std::string name, std::span<const std::uint64_t> words,
            std::span<const std::uint64_t> checks)
      : file_(std::move(file)), name_(std::move(name)), words_(words), checks_(checks), good_(checks.size()) {}

  std::size_t size() const override { return words_.size(); }
  std::span<const std::uint64_t> get(std::size_t first, std::size_t count) const override {
    check_good(first < words_.size() && count > 0 && count <= words_.size() - first);
    for (auto block = first / block_words; block <= (first + count - 1) / block_words; ++block) {
      if (good_[block].load(std::memory_order_relaxed)) continue;
      check_good(block_check(words_, block) == checks_[block]);
      good_[block].store(true, std::memory_order_relaxed);
    }
    return words_.subspan(first, count);
  }

 private:
  void check_good(bool good) const {
    check(good, "{}: this index of a table is damaged; delete it and open the table again", name_);
  }

  std::shared_ptr<const MappedFile> file_;
  std::string name_;
  std::span<const std::uint64_t> words_, checks_;
  mutable std::vector<std::atomic<bool>> good_;
};

IndexHeader header_of(const TableText& text, const TableContents& contents, std::size_t bad_bytes) {
  IndexHeader header;
  std::copy(index_kind.begin(), index_kind.end(), header.kind);
  const auto& columns = contents.layout.columns;
  header.table = text.stamp();
  header.separator = static_cast<unsigned char>(columns.separator);
  header.has_header = columns.has_header;
  header.columns = static_cast<std::int64_t>(columns.count);
  header.image = static_cast<std::int64_t>(columns.image);
  header.caption = static_cast<std::int64_t>(columns.caption);
  header.rows = contents.rows;
  header.records = contents.index.size();
  header.words = static_cast<std::int64_t>(contents.index.words().size());
  header.bad_bytes = static_cast<std::int64_t>(bad_bytes);
  return header;
}

TableColumns columns_of(const IndexHeader& header) {
  return {static_cast<char>(header.separator),
          header.has_header != 0,
          static_cast<std::size_t>(header.columns),
          static_cast<std::size_t>(header.image),
          static_cast<std::size_t>(header.caption),
          {},
          {}};
}

/// Without the table's name, which the next one to open it may spell otherwise.
std::string pack_bad(const BadRecords& bad, const std::string& table) {
  std::string packed;
  for (const auto& fault : bad.faults()) {
    const auto text = std::string_view(fault).substr(table.size());
    const std::uint64_t size = text.size();
    packed.append(reinterpret_cast<const char*>(&size), sizeof size).append(text);
  }
  return packed;
}

BadRecords unpack_bad(std::string_view packed, const std::string& table) {
  BadRecords bad;
  while (!packed.empty()) {
    std::uint64_t size = 0;
    std::memcpy(&size, packed.data(), sizeof size);
    bad.add_quietly(table + std::string(packed.substr(sizeof size, size)));
    packed.remove_prefix(sizeof size + size);
  }
  return bad;
}

/// An index file's parts, where it is whole.
struct IndexParts {
  IndexHeader header;
  std::span<const std::uint64_t> words, checks;
  std::string_view bad;
};

std::optional<IndexParts> parts_of(std::string_view file) {
  IndexParts parts;
  auto& header = parts.header;
  if (file.size() < sizeof header) return std::nullopt;
  std::memcpy(&header, file.data(), sizeof header);
  file.remove_prefix(sizeof header);
  if (std::string_view(header.kind, sizeof header.kind) != index_kind) return std::nullopt;
  const auto words = static_cast<std::size_t>(header.words), bad = static_cast<std::size_t>(header.bad_bytes);
  const auto most = file.size() / sizeof(std::uint64_t);
  if (words > most || blocks_of(words) > most - words ||
      file.size() - (words + blocks_of(words)) * sizeof(std::uint64_t) != bad) {
    return std::nullopt;
  }
  const auto* numbers = reinterpret_cast<const std::uint64_t*>(file.data());
  parts.words = {numbers, words};
  parts.checks = {numbers + words, blocks_of(words)};
  parts.bad = file.substr(file.size() - bad);
  if (header.check != check_of(header, bytes_of(parts.checks), parts.bad)) return std::nullopt;
  return parts;
}

std::optional<std::pair<std::shared_ptr<const MappedFile>, IndexParts>> map_index(const fs::path& file) {
  try {
    if (!is_there(file)) return std::nullopt;
    auto mapped = std::make_shared<const MappedFile>(file);
    const auto parts = parts_of(mapped->bytes());
    if (parts) return std::pair(std::move(mapped), *parts);
  } catch (const Error&) {  // one that can't be read is made again
  }
  return std::nullopt;
}

}  // namespace

fs::path index_file(const fs::path& table, const PairOptions& options) {
  const auto keys = keys_of(table, options);
  Fingerprint key;
  key.add(version()).add(fs::absolute(table).string()).add(keys.image).add(keys.caption);
  key.add(options.separator ? *options.separator : -1000);
  if (!options.where.empty()) key.add("where").add(options.where);
  if (!options.caption_keys.empty()) key.add("caption keys").add(std::ssize(options.caption_keys));
  for (const auto& one : options.caption_keys) key.add(one.key);  // what they weigh is asked for later
  const auto cache = cache_folder();
  check(!cache.empty(), "neither XDG_CACHE_HOME nor HOME says where caches are");
  return cache / "tables" / (key.hex() + ".index");
}

void write_index(const fs::path& file, const TableText& text, const TableContents& contents) {
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  check(!error, "{}: cannot make this folder: {}", file.parent_path().string(), error.message());
  const auto bad = pack_bad(contents.bad, text.name());
  const auto& all = contents.index.words();
  const auto words = all.get(0, all.size());
  std::vector<std::uint64_t> checks;
  for (std::size_t block = 0; block < blocks_of(words.size()); ++block) checks.push_back(block_check(words, block));
  const auto check_bytes = bytes_of(std::span<const std::uint64_t>(checks));
  auto header = header_of(text, contents, bad.size());
  header.check = check_of(header, check_bytes, bad);
  write_file_atomically(file, [&](const auto& write) {
    write(bytes_of(std::span<const IndexHeader>(&header, 1)));
    write(bytes_of(words));
    write(check_bytes);
    write(bad);
  });
}

std::optional<TableContents> read_index(const fs::path& file, const TableText& text, const TableLayout& named) {
  const auto mapped = map_index(file);
  if (!mapped || mapped->second.header.table != text.stamp()) return std::nullopt;
  const auto& [bytes, parts] = *mapped;
  auto words = std::make_shared<const KeptWords>(bytes, file.string(), parts.words, parts.checks);
  TableLayout layout = named;
  layout.columns = columns_of(parts.header);
  return TableContents{std::move(layout), TableIndex(std::move(words), parts.header.records),
                       unpack_bad(parts.bad, text.name()), parts.header.rows, 0};
}

}  // namespace vlalign
