#include "data/sources/lerobot/parquet_values.hpp"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

namespace vlalign {
namespace {

using nlohmann::json;

template <typename Array>
json plain_value(const arrow::Array& array, std::int64_t row) {
  return static_cast<const Array&>(array).Value(row);
}

template <typename Array>
json text_value(const arrow::Array& array, std::int64_t row) {
  return std::string(static_cast<const Array&>(array).GetView(row));
}

/// A number of five bits of exponent and ten of fraction.
json half_value(const arrow::Array& array, std::int64_t row) {
  const int bits = static_cast<const arrow::HalfFloatArray&>(array).Value(row);
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double size = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  if (exponent == 31) size = fraction == 0 ? std::numeric_limits<double>::infinity() : std::nan("");
  return bits >> 15 == 0 ? size : -size;
}

/// As pandas writes categories.
json listed_value(const arrow::Array& array, std::int64_t row) {
  const auto& indices = static_cast<const arrow::DictionaryArray&>(array);
  return parquet_value(*indices.dictionary(), indices.GetValueIndex(row));
}

json null_value(const arrow::Array& /*array*/, std::int64_t /*row*/) { return nullptr; }

using ReadValue = json (*)(const arrow::Array&, std::int64_t);

/// Null for other types.
ReadValue reader_of(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::NA:
      return null_value;
    case arrow::Type::BOOL:
      return plain_value<arrow::BooleanArray>;
    case arrow::Type::INT8:
      return plain_value<arrow::Int8Array>;
    case arrow::Type::INT16:
      return plain_value<arrow::Int16Array>;
    case arrow::Type::INT32:
      return plain_value<arrow::Int32Array>;
    case arrow::Type::INT64:
      return plain_value<arrow::Int64Array>;
    case arrow::Type::UINT8:
      return plain_value<arrow::UInt8Array>;
    case arrow::Type::UINT16:
      return plain_value<arrow::UInt16Array>;
    case arrow::Type::UINT32:
      return plain_value<arrow::UInt32Array>;
    case arrow::Type::UINT64:
      return plain_value<arrow::UInt64Array>;
    case arrow::Type::HALF_FLOAT:
      return half_value;
    case arrow::Type::FLOAT:
      return plain_value<arrow::FloatArray>;
    case arrow::Type::DOUBLE:
      return plain_value<arrow::DoubleArray>;
    case arrow::Type::STRING:
      return text_value<arrow::StringArray>;
    case arrow::Type::LARGE_STRING:
      return text_value<arrow::LargeStringArray>;
    case arrow::Type::STRING_VIEW:
      return text_value<arrow::StringViewArray>;
    case arrow::Type::DICTIONARY:
      return reader_of(*static_cast<const arrow::DictionaryType&>(type).value_type()) ? listed_value : nullptr;
    default:
      return nullptr;
  }
}

}  // namespace

bool is_parquet_value(const arrow::DataType& type) { return reader_of(type) != nullptr; }

json parquet_value(const arrow::Array& array, std::int64_t row) {
  return array.IsNull(row) ? json(nullptr) : reader_of(*array.type())(array, row);
}

}  // namespace vlalign
