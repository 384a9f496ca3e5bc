#include "data/sources/parquet_rows.hpp"

#include <nlohmann/json.hpp>

#include "core/loadable_module.hpp"
#include "core/naming.hpp"
#include "data/sources/lerobot/read_parquet_rows.hpp"

namespace vlalign {

std::vector<nlohmann::json> read_parquet_rows(const std::filesystem::path& file, std::span<const std::string> columns) {
  static const auto read = naming(file.string(), [] {
    return reinterpret_cast<ReadParquetRows>(load_module(
        "lerobot", "vlalign_read_parquet_rows", ModuleNames::programs_first,
        "parquet files need a vlalign built where Arrow (with Parquet) and FFmpeg's libavformat, libavcodec and "
        "libswscale are; run cmake/setup.sh, which installs them, and build again"));
  });
  std::vector<nlohmann::json> rows;
  read(file, columns, rows);
  return rows;
}

}  // namespace vlalign
