// A table read from its beginning to its end. Internal.
#pragma once

#include <cstdint>
#include <string_view>

#include "data/sources/bad_records.hpp"
#include "data/sources/table_index.hpp"
#include "data/sources/table_layout.hpp"
#include "data/sources/table_text.hpp"

namespace vlalign {

/// What is known of a table besides its text.
struct TableContents {
  TableLayout layout;
  TableIndex index;
  BadRecords bad;                ///< "file:line: why"
  std::int64_t rows = 0;         ///< those that the filter takes, bad ones among them
  std::int64_t passed_over = 0;  ///< the others, where the table was read just now
};

using PathHash = std::uint64_t (*)(std::string_view path);
std::uint64_t usual_path_hash(std::string_view path);

/// Rows of one image path are one record, in the place of the first. Paths are told apart by themselves, whatever the
/// hash. Throws Error when the file is written to meanwhile.
TableContents scan_table(const TableText& text, const TableLayout& layout, PathHash hash = usual_path_hash);

}  // namespace vlalign
