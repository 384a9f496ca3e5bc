#include "data/sources/lerobot/read_parquet_rows.hpp"

#include <nlohmann/json.hpp>

#include "data/sources/lerobot/parquet_file.hpp"

void vlalign_read_parquet_rows(const std::filesystem::path& file, std::span<const std::string> columns,
                               std::vector<nlohmann::json>& rows) {
  rows = vlalign::ParquetFile(file).rows(columns);
}
