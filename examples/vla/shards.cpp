#include "shards.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

#include <utility>

#include "core/check.hpp"

namespace tabletop {

namespace fs = std::filesystem;
using vlalign::check;

struct ShardWriter::Tar {
  explicit Tar(const fs::path& path)
      : place(path), partial(fmt::format("{}.partial-{}", path.string(), ::getpid())), out(archive_write_new()) {
    archive_write_set_format_ustar(out);
    check(archive_write_open_filename(out, partial.c_str()) == ARCHIVE_OK, "{}: cannot write: {}", path.string(),
          archive_error_string(out));
  }
  Tar(const Tar&) = delete;
  Tar& operator=(const Tar&) = delete;
  ~Tar() {
    if (!out) return;
    archive_write_free(out);
    std::error_code ignored;
    fs::remove(partial, ignored);
  }

  void add(const std::string& name, const void* data, std::size_t size) {
    auto* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(size));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    const bool written = archive_write_header(out, entry) == ARCHIVE_OK &&
                         archive_write_data(out, data, size) == static_cast<la_ssize_t>(size);
    archive_entry_free(entry);
    check(written, "{}: cannot write: {}", place.string(), archive_error_string(out));
  }

  void finish() {
    check(archive_write_close(out) == ARCHIVE_OK, "{}: cannot write: {}", place.string(), archive_error_string(out));
    archive_write_free(std::exchange(out, nullptr));
    fs::rename(partial, place);
  }

  fs::path place;
  std::string partial;
  archive* out;
};

ShardWriter::ShardWriter(fs::path folder, std::string prefix) : folder_(std::move(folder)), prefix_(std::move(prefix)) {
  fs::create_directories(folder_);
}

ShardWriter::~ShardWriter() = default;

void ShardWriter::add(std::string_view key, std::span<const std::byte> png, std::string_view json) {
  if (!tar_) tar_ = std::make_unique<Tar>(folder_ / fmt::format("{}-{:03}.tar", prefix_, shards_++));
  tar_->add(fmt::format("{}.png", key), png.data(), png.size());
  tar_->add(fmt::format("{}.json", key), json.data(), json.size());
}

void ShardWriter::next_shard() {
  if (tar_) tar_->finish();
  tar_.reset();
}

void ShardWriter::finish() { next_shard(); }

}  // namespace tabletop
