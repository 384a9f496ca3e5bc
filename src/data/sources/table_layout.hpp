// How a table is written. Internal.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/sources/record_filter.hpp"
#include "data/sources/table_text.hpp"
#include "vlalign/data/sources/pairs.hpp"

namespace vlalign {

/// Where an image's path and its captions stand.
struct TableKeys {
  std::string image, caption;
};

/// The columns of a .tsv or .csv.
struct TableColumns {
  char separator = '\0';
  bool has_header = false;
  std::size_t count = 0, image = 0, caption = 0;
  std::vector<std::size_t> under_keys;  ///< of each caption key, which then stand for `caption`
  std::vector<std::size_t> compared;    ///< of each field that the filter reads
};

struct TableLayout {
  bool json = false;  ///< a JSON object a line, else columns
  TableKeys keys;
  std::vector<CaptionKey> caption_keys;        ///< instead of the caption's in `keys`, where there are any
  std::shared_ptr<const RecordFilter> filter;  ///< null: all rows are taken
  TableColumns columns;
};

/// Where an image's path and its captions stand by the file's name and the options.
TableKeys keys_of(const std::filesystem::path& file, const PairOptions& options);

/// All but the columns: what the file's name and the options say. Throws Error for a condition or captions' keys that
/// are none.
TableLayout named_layout(const std::filesystem::path& file, const PairOptions& options);

/// That, and what the first row is written with. Throws Error when there are no such columns.
TableLayout find_layout(const std::filesystem::path& file, const TableText& text, const PairOptions& options);

}  // namespace vlalign
