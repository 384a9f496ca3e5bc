// Columns of a parquet file as plain vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vlalign {

/// Reads with Arrow, on the caller's thread. Not safe from several threads at once. Errors name the file, the column
/// and, for a value, the row.
class ParquetFile {
 public:
  explicit ParquetFile(const std::filesystem::path& path);
  ParquetFile(ParquetFile&&) = delete;
  ~ParquetFile();

  bool has(std::string_view column) const;
  std::vector<std::int64_t> integers(std::string_view column) const;
  std::vector<double> numbers(std::string_view column) const;  ///< finite
  std::vector<std::string> strings(std::string_view column) const;

  /// [rows, width]; a column of single numbers has width 1.
  struct Matrix {
    std::int64_t width = 0;
    std::vector<float> values;
  };
  /// Lists of finite numbers, all of one length.
  Matrix matrix(std::string_view column) const;

  /// A value of a column of bytes, or of the field "bytes" of one of structs. The row group it lies in is kept until
  /// one of another is asked for.
  std::vector<std::byte> bytes(std::string_view column, std::int64_t row);

  /// Every row as an object with those of the columns that the file has and whose values are a truth, numbers or text,
  /// in categories too; others are left out. Integers are as they are, null is null.
  std::vector<nlohmann::json> rows(std::span<const std::string> columns) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vlalign
