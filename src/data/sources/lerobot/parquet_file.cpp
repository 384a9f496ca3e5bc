#include "data/sources/lerobot/parquet_file.hpp"

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <parquet/arrow/reader.h>
#include <parquet/file_reader.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <nlohmann/json.hpp>

#include "core/check.hpp"
#include "data/sources/lerobot/parquet_values.hpp"

namespace vlalign {
namespace {

using Chunks = std::shared_ptr<arrow::ChunkedArray>;

template <typename Array, typename Out>
void append(const arrow::Array& array, std::vector<Out>& out) {
  const auto& typed = static_cast<const Array&>(array);
  for (std::int64_t i = 0; i < typed.length(); ++i) out.push_back(static_cast<Out>(typed.Value(i)));
}

/// False for what aren't numbers.
template <typename Out>
bool append_numbers(const arrow::Array& array, std::vector<Out>& out) {
  switch (array.type_id()) {
    case arrow::Type::BOOL:
      append<arrow::BooleanArray>(array, out);
      return true;
    case arrow::Type::UINT8:
      append<arrow::UInt8Array>(array, out);
      return true;
    case arrow::Type::INT32:
      append<arrow::Int32Array>(array, out);
      return true;
    case arrow::Type::INT64:
      append<arrow::Int64Array>(array, out);
      return true;
    case arrow::Type::FLOAT:
      append<arrow::FloatArray>(array, out);
      return true;
    case arrow::Type::DOUBLE:
      append<arrow::DoubleArray>(array, out);
      return true;
    default:
      return false;
  }
}

/// The values of lists one behind the other, and the lists' common length; null for what aren't lists.
template <typename List>
std::shared_ptr<arrow::Array> join_lists(const arrow::Array& array, std::int64_t& width) {
  const auto& lists = static_cast<const List&>(array);
  for (std::int64_t i = 0; i < lists.length(); ++i) {
    if (width < 0) width = lists.value_length(i);
    check(lists.value_length(i) == width, "expected lists of {} numbers as before, got {}", width,
          std::int64_t{lists.value_length(i)});
  }
  const auto first = std::int64_t{lists.value_offset(0)};
  return lists.values()->Slice(first, lists.length() * std::max<std::int64_t>(width, 0));
}

std::shared_ptr<arrow::Array> values_of(const std::shared_ptr<arrow::Array>& array, std::int64_t& width) {
  switch (array->type_id()) {
    case arrow::Type::LIST:
      return join_lists<arrow::ListArray>(*array, width);
    case arrow::Type::LARGE_LIST:
      return join_lists<arrow::LargeListArray>(*array, width);
    case arrow::Type::FIXED_SIZE_LIST:
      return join_lists<arrow::FixedSizeListArray>(*array, width);
    default:
      width = 1;
      return array;
  }
}

/// The file's name before what is thrown, by parquet's exceptions too.
template <typename Function>
auto guarded(const std::string& name, Function function) {
  try {
    return function();
  } catch (const std::exception& error) {
    fail("{}: {}", name, error.what());
  }
}

}  // namespace

struct ParquetFile::State {
  std::string name;
  std::unique_ptr<parquet::arrow::FileReader> reader;
  std::shared_ptr<arrow::Schema> schema;
  // The row group read last by bytes().
  std::string bytes_column;
  std::int64_t first_row = 0;
  std::shared_ptr<arrow::Array> rows;

  explicit State(const std::filesystem::path& path) : name(path.string()) {
    guarded(name, [&] {
      // Not Arrow's own allocator, which would stand beside the process's.
      auto* pool = arrow::system_memory_pool();
      parquet::ArrowReaderProperties properties;
      properties.set_pre_buffer(false);  // it would start threads
      parquet::arrow::FileReaderBuilder builder;
      must(builder.OpenFile(name, false, parquet::ReaderProperties(pool)));
      must(builder.memory_pool(pool)->properties(properties)->Build(&reader));
      must(reader->GetSchema(&schema));
    });
  }

  /// What a file says of itself need not be so.
  static void check_rows(std::int64_t rows, std::int64_t expected) {
    check(rows == expected, "is damaged: expected {} rows, got {}", expected, rows);
  }

  static void must(const arrow::Status& status) { check(status.ok(), "{}", status.message()); }

  int index(std::string_view column) const {
    const int index = schema->GetFieldIndex(std::string(column));
    check(index >= 0, "expected one column \"{}\"", column);
    return index;
  }

  Chunks read(std::string_view column) const {
    Chunks chunks;
    must(reader->ReadColumn(index(column), &chunks));
    check(chunks->null_count() == 0, "column \"{}\" has rows without a value", column);
    check_rows(chunks->length(), reader->parquet_reader()->metadata()->num_rows());
    return chunks;
  }

  template <typename Out>
  std::vector<Out> values(std::string_view column) const {
    return guarded(name, [&] {
      std::vector<Out> all;
      const auto chunks = read(column);
      for (const auto& array : chunks->chunks()) {
        check(append_numbers(*array, all), "expected numbers in column \"{}\", got {}", column,
              array->type()->ToString());
      }
      return all;
    });
  }

  Matrix matrix(std::string_view column) const {
    Matrix matrix{-1, {}};
    const auto chunks = read(column);
    for (const auto& array : chunks->chunks()) {
      if (array->length() == 0) continue;
      const auto values = values_of(array, matrix.width);
      check(values->null_count() == 0 && append_numbers(*values, matrix.values), "expected lists of numbers, got {}",
            array->type()->ToString());
    }
    check_rows(static_cast<std::int64_t>(matrix.values.size()),
               chunks->length() * std::max<std::int64_t>(matrix.width, 0));
    for (std::size_t i = 0; i < matrix.values.size(); ++i) {
      check(std::isfinite(matrix.values[i]), "row {}: expected finite numbers",
            static_cast<std::int64_t>(i) / matrix.width);
    }
    return matrix;
  }

  void load_rows(std::string_view column, std::int64_t row) {
    const bool loaded = rows && bytes_column == column && row >= first_row && row < first_row + rows->length();
    if (loaded) return;
    rows = nullptr;
    const auto metadata = reader->parquet_reader()->metadata();
    std::int64_t first = 0;
    for (int group = 0; group < metadata->num_row_groups(); ++group) {
      const auto size = metadata->RowGroup(group)->num_rows();
      if (row >= first && row < first + size) {
        load_group(column, group, first);
        return check_rows(rows->length(), size);
      }
      first += size;
    }
    fail("row {}: expected 0 to {}", row, first - 1);
  }

  void load_group(std::string_view column, int group, std::int64_t first) {
    Chunks chunks;
    must(reader->RowGroup(group)->Column(index(column))->Read(&chunks));
    auto joined = arrow::Concatenate(chunks->chunks(), arrow::system_memory_pool());
    must(joined.status());
    rows = *joined;
    if (rows->type_id() == arrow::Type::STRUCT) {
      rows = static_cast<const arrow::StructArray&>(*rows).GetFieldByName("bytes");
    }
    check(rows && rows->type_id() == arrow::Type::BINARY, "expected pictures as bytes in column \"{}\"", column);
    bytes_column = column;
    first_row = first;
  }

  std::vector<std::byte> bytes(std::string_view column, std::int64_t row) {
    load_rows(column, row);
    const auto& all = static_cast<const arrow::BinaryArray&>(*rows);
    check(!all.IsNull(row - first_row), "row {} of column \"{}\" holds no picture", row, column);
    const auto value = all.GetView(row - first_row);
    const auto* first = reinterpret_cast<const std::byte*>(value.data());
    return {first, first + value.size()};
  }

  /// Null for a column that isn't there, or whose values no JSON of rows() holds.
  Chunks read_values(const std::string& column) const {
    const auto found = schema->GetAllFieldIndices(column);
    check(found.size() <= 1, "expected one column \"{}\", found {}", column, found.size());
    if (found.empty() || !is_parquet_value(*schema->field(found.front())->type())) return nullptr;
    Chunks chunks;
    must(reader->ReadColumn(found.front(), &chunks));
    check_rows(chunks->length(), reader->parquet_reader()->metadata()->num_rows());
    const auto status = chunks->ValidateFull();  // that text is UTF-8, and categories are there
    check(status.ok(), "column \"{}\": {}", column, status.message());
    return chunks;
  }

  std::vector<nlohmann::json> json_rows(std::span<const std::string> columns) const {
    std::vector<nlohmann::json> all;
    bool any = false;
    for (const auto& column : columns) {
      const auto chunks = read_values(column);
      if (!chunks) continue;
      any = true;
      all.resize(static_cast<std::size_t>(chunks->length()), nlohmann::json::object());
      auto row = all.begin();
      for (const auto& array : chunks->chunks()) {
        for (std::int64_t i = 0; i < array->length(); ++i, ++row) (*row)[column] = parquet_value(*array, i);
      }
    }
    // With no column read, nothing but the file's word would say how many rows there are.
    check(any, "expected one of the columns {} with numbers, text or true and false, found {}", columns,
          schema->field_names());
    return all;
  }
};

ParquetFile::ParquetFile(const std::filesystem::path& path) : state_(std::make_unique<State>(path)) {}

ParquetFile::~ParquetFile() = default;

bool ParquetFile::has(std::string_view column) const { return state_->schema->GetFieldIndex(std::string(column)) >= 0; }

std::vector<std::int64_t> ParquetFile::integers(std::string_view column) const {
  return state_->values<std::int64_t>(column);
}

std::vector<double> ParquetFile::numbers(std::string_view column) const {
  auto numbers = state_->values<double>(column);
  const bool finite = std::all_of(numbers.begin(), numbers.end(), [](double number) { return std::isfinite(number); });
  check(finite, "{}: expected finite numbers in column \"{}\"", state_->name, column);
  return numbers;
}

std::vector<std::string> ParquetFile::strings(std::string_view column) const {
  return guarded(state_->name, [&] {
    std::vector<std::string> all;
    const auto chunks = state_->read(column);
    for (const auto& array : chunks->chunks()) {
      switch (array->type_id()) {
        case arrow::Type::STRING:
          append<arrow::StringArray>(*array, all);
          break;
        case arrow::Type::LARGE_STRING:
          append<arrow::LargeStringArray>(*array, all);
          break;
        default:
          fail("expected text in column \"{}\", got {}", column, array->type()->ToString());
      }
    }
    return all;
  });
}

ParquetFile::Matrix ParquetFile::matrix(std::string_view column) const {
  return guarded(state_->name, [&] {
    try {
      return state_->matrix(column);
    } catch (const Error& error) {
      fail("column \"{}\": {}", column, error.what());
    }
  });
}

std::vector<std::byte> ParquetFile::bytes(std::string_view column, std::int64_t row) {
  return guarded(state_->name, [&] { return state_->bytes(column, row); });
}

std::vector<nlohmann::json> ParquetFile::rows(std::span<const std::string> columns) const {
  return guarded(state_->name, [&] { return state_->json_rows(columns); });
}

}  // namespace vlalign
