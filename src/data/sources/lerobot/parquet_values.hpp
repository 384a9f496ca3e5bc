// Values of a parquet file's columns as JSON.
#pragma once

#include <arrow/api.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>

namespace vlalign {

/// Whether values of this type are a truth, a number, text, or null: the ones of which parquet_value() gives any.
bool is_parquet_value(const arrow::DataType& type);

/// Integers as they are, other numbers as doubles; null where there is none. The array is of such a type.
nlohmann::json parquet_value(const arrow::Array& array, std::int64_t row);

}  // namespace vlalign
