// Indexes of large tables, kept between runs. Internal.
#pragma once

#include <filesystem>
#include <optional>

#include "data/sources/table_scan.hpp"
#include "data/sources/table_text.hpp"
#include "vlalign/data/sources/pairs.hpp"

namespace vlalign {

/// Where the index of a table that is opened with these options is kept: in $XDG_CACHE_HOME/vlalign/tables, or
/// ~/.cache/vlalign/tables. Other rows or captions that are asked for have another file. Throws Error where there is
/// neither.
std::filesystem::path index_file(const std::filesystem::path& table, const PairOptions& options);

/// Writes all of it or nothing. Throws Error naming the file.
void write_index(const std::filesystem::path& file, const TableText& text, const TableContents& contents);

/// What was written of this text, its index left in the file; nothing where it isn't there, is another text's, or is
/// damaged. Damage that shows when a record is asked for is an Error that names the file. Of the layout all but the
/// columns is what is named; those of caption keys and of a filter are not among them.
std::optional<TableContents> read_index(const std::filesystem::path& file, const TableText& text,
                                        const TableLayout& named);

}  // namespace vlalign
