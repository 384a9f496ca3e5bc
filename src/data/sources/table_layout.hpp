// How a table is written. Internal.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

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
};

struct TableLayout {
  bool json = false;  ///< a JSON object a line, else columns
  TableKeys keys;
  TableColumns columns;
};

/// What the file's name and the options say.
bool is_json_lines(const std::filesystem::path& file);
TableKeys keys_of(const std::filesystem::path& file, const PairOptions& options);

/// That, and what the first row is written with. Throws Error when there are no such columns.
TableLayout find_layout(const std::filesystem::path& file, const TableText& text, const PairOptions& options);

}  // namespace vlalign
