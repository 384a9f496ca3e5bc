// Pairs listed in a table: .tsv, .csv, .jsonl, metadata.csv, metadata.jsonl.
#pragma once

#include <filesystem>
#include <memory>

#include "vlalign/data/sources/pairs.hpp"

namespace vlalign {

bool is_table(const std::filesystem::path& file);

/// Opens a table by its extension. Rows of one image path are one record with several captions, in the place of the
/// first. Pictures are read when asked for. Malformed rows and those without a path or a caption are bad records.
/// Throws Error when they are too many, when no row is left, or none of the first 10 pictures exists.
std::shared_ptr<const PairSource> open_table(const std::filesystem::path& file, const PairOptions& options);

}  // namespace vlalign
