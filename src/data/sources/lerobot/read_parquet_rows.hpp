// Rows of a parquet file that has nothing to do with LeRobot, from the module that has Arrow.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// See read_parquet_rows().
using ReadParquetRows = void (*)(const std::filesystem::path& file, std::span<const std::string> columns,
                                 std::vector<nlohmann::json>& rows);

}  // namespace vlalign

/// The module's entry for these.
extern "C" VLALIGN_EXPORT void vlalign_read_parquet_rows(const std::filesystem::path& file,
                                                         std::span<const std::string> columns,
                                                         std::vector<nlohmann::json>& rows);
