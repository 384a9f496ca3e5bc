#include "tabletop/tool/tar_writer.hpp"

#include <archive.h>
#include <archive_entry.h>

#include "core/check.hpp"

namespace tabletop::tool {

TarWriter::TarWriter(const std::filesystem::path& path) : path_(path), archive_(archive_write_new()) {
  archive_write_set_format_ustar(archive_);
  check(archive_write_open_filename(archive_, path_.c_str()) == ARCHIVE_OK);
}

TarWriter::~TarWriter() { archive_write_free(archive_); }

void TarWriter::add(const std::string& name, std::span<const std::byte> contents) {
  auto* entry = archive_entry_new();
  archive_entry_set_pathname(entry, name.c_str());
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_entry_set_perm(entry, 0644);
  archive_entry_set_size(entry, static_cast<la_int64_t>(contents.size()));
  const auto status = archive_write_header(archive_, entry);
  archive_entry_free(entry);
  check(status == ARCHIVE_OK);
  check(archive_write_data(archive_, contents.data(), contents.size()) == std::ssize(contents));
}

void TarWriter::close() { check(archive_write_close(archive_) == ARCHIVE_OK); }

void TarWriter::check(bool holds) const {
  if (!holds) vlalign::fail("[TarWriter] {}: cannot write: {}", path_.string(), archive_error_string(archive_));
}

}  // namespace tabletop::tool
