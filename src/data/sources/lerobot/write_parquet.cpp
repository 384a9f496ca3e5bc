#include "data/sources/lerobot/write_parquet.hpp"

#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <parquet/arrow/writer.h>

#include <memory>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/naming.hpp"

namespace vlalign {
namespace {

void check_done(const arrow::Status& status) { check(status.ok(), "{}", status.message()); }

template <typename T>
T done(arrow::Result<T> result) {
  check_done(result.status());
  return std::move(result).ValueUnsafe();
}

std::shared_ptr<arrow::Array> text_array(const std::vector<std::string>& texts) {
  arrow::LargeStringBuilder builder;  // more than 2 GB of captions too
  for (const auto& text : texts) check_done(builder.Append(text));
  return done(builder.Finish());
}

/// Rows of `column.width` numbers each.
std::shared_ptr<arrow::Array> list_array(const ParquetColumns::Numbers& column) {
  arrow::ListBuilder builder(arrow::default_memory_pool(), std::make_shared<arrow::FloatBuilder>());
  auto& numbers = static_cast<arrow::FloatBuilder&>(*builder.value_builder());
  for (std::int64_t row = 0; row < column.rows; ++row) {
    check_done(builder.Append());
    check_done(numbers.AppendValues(column.values + row * column.width, column.width));
  }
  return done(builder.Finish());
}

std::shared_ptr<arrow::Table> table_of(const ParquetColumns& columns) {
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  const auto add = [&](const std::string& name, std::shared_ptr<arrow::Array> array) {
    fields.push_back(arrow::field(name, array->type()));
    arrays.push_back(std::move(array));
  };
  for (const auto& [name, texts] : columns.texts) add(name, text_array(texts));
  for (const auto& column : columns.numbers) add(column.name, list_array(column));
  return arrow::Table::Make(arrow::schema(fields), arrays);
}

/// In row groups, so that readers need not have the whole in memory.
void write_table(const std::filesystem::path& file, const ParquetColumns& columns) {
  constexpr std::int64_t rows_a_group = 65536;
  const auto out = done(arrow::io::BufferOutputStream::Create());
  check_done(parquet::arrow::WriteTable(*table_of(columns), arrow::default_memory_pool(), out, rows_a_group));
  const auto bytes = done(out->Finish());
  write_file_atomically(file, {reinterpret_cast<const char*>(bytes->data()), static_cast<std::size_t>(bytes->size())});
}

}  // namespace
}  // namespace vlalign

void vlalign_write_parquet(const std::filesystem::path& file, const vlalign::ParquetColumns& columns) {
  vlalign::naming(file.string(), [&] { vlalign::write_table(file, columns); });
}
