#include "data/sources/parquet_columns.hpp"

#include "core/loadable_module.hpp"
#include "data/sources/lerobot/write_parquet.hpp"

namespace vlalign {
namespace {

WriteParquet parquet_writer() {
  static const auto write = reinterpret_cast<WriteParquet>(load_module(
      "lerobot", "vlalign_write_parquet", ModuleNames::programs_first,
      "parquet files need a vlalign built where Arrow (with Parquet) and FFmpeg's libavformat, libavcodec and "
      "libswscale are; run cmake/setup.sh, which installs them, and build again"));
  return write;
}

}  // namespace

void check_parquet_can_be_written() { parquet_writer(); }

void write_parquet(const std::filesystem::path& file, const ParquetColumns& columns) {
  parquet_writer()(file, columns);
}

}  // namespace vlalign
