// A parquet file, from the module that has Arrow.
#pragma once

#include <filesystem>

#include "data/sources/parquet_columns.hpp"
#include "vlalign/core/export.hpp"

namespace vlalign {

/// See write_parquet().
using WriteParquet = void (*)(const std::filesystem::path& file, const ParquetColumns& columns);

}  // namespace vlalign

/// The module's entry for these.
extern "C" VLALIGN_EXPORT void vlalign_write_parquet(const std::filesystem::path& file,
                                                     const vlalign::ParquetColumns& columns);
