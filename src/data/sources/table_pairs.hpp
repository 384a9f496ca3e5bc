// Pairs listed in a table: .tsv, .csv, .jsonl, metadata.csv, metadata.jsonl.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "data/sources/table_scan.hpp"
#include "vlalign/data/sources/pairs.hpp"

namespace vlalign {

bool is_table(const std::filesystem::path& file);

/// What only tests set otherwise.
struct TableOpening {
  std::int64_t large = 64 << 20;  ///< bytes from which on a table stays in its file, and its index is kept
  PathHash hash = usual_path_hash;
};

/// Opens a table by its extension. Rows of one image path are one record with several captions, in the place of the
/// first. Rows and pictures are read when asked for. Malformed rows and those without a path or a caption are bad
/// records. Throws Error when they are too many, when no row is left, or none of the first 10 pictures exists.
std::shared_ptr<const PairSource> open_table(const std::filesystem::path& file, const PairOptions& options,
                                             const TableOpening& opening = {});

}  // namespace vlalign
