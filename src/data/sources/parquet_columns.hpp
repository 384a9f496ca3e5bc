// Parquet files that are written. Internal.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace vlalign {

/// A table's columns, all of as many rows.
struct ParquetColumns {
  /// float32 [rows, width], a list a row.
  struct Numbers {
    std::string name;
    const float* values = nullptr;
    std::int64_t rows = 0, width = 0;
  };
  std::vector<std::pair<std::string, std::vector<std::string>>> texts{};  ///< UTF-8
  std::vector<Numbers> numbers{};
};

/// Loads the module that has Arrow, as read_parquet_rows() does, so that what can't be written is known before work
/// starts. Throws Error when it isn't there, saying what to install.
void check_parquet_can_be_written();

/// Writes all of the file or nothing. Throws as above, and Error naming the file.
void write_parquet(const std::filesystem::path& file, const ParquetColumns& columns);

}  // namespace vlalign
