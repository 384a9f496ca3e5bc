// Reads what is exported, by the format's own description: onnx.proto's field numbers and Protocol Buffers' encoding.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/files.hpp"

namespace vlalign::test {

/// The fields of a message by their numbers, in order: integers, and the bytes of all else.
struct Fields {
  std::map<int, std::vector<std::uint64_t>> integers;
  std::map<int, std::vector<std::string>> texts;

  std::string text(int field) const { return texts.contains(field) ? texts.at(field).front() : ""; }
  std::uint64_t integer(int field) const { return integers.contains(field) ? integers.at(field).front() : 0; }
  std::vector<Fields> messages(int field) const;
};

inline std::uint64_t read_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.at(0));
    bytes.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
}

inline Fields read_fields(std::string_view bytes) {
  Fields fields;
  while (!bytes.empty()) {
    const auto key = read_varint(bytes);
    const int field = static_cast<int>(key >> 3);
    const auto wire_type = key & 7;
    if (wire_type == 0) {
      fields.integers[field].push_back(read_varint(bytes));
      continue;
    }
    if (wire_type != 2 && wire_type != 5) throw std::runtime_error("a wire type that ONNX has none of");
    const auto length = wire_type == 5 ? 4 : read_varint(bytes);
    if (length > bytes.size()) throw std::runtime_error("a field that ends behind its message");
    fields.texts[field].emplace_back(bytes.substr(0, length));
    bytes.remove_prefix(length);
  }
  return fields;
}

inline std::vector<Fields> Fields::messages(int field) const {
  std::vector<Fields> all;
  if (texts.contains(field))
    for (const auto& bytes : texts.at(field)) all.push_back(read_fields(bytes));
  return all;
}

struct OnnxValue {
  std::uint64_t type = 0;
  std::vector<std::string> shape;  ///< numbers and names
  friend bool operator==(const OnnxValue&, const OnnxValue&) = default;
};

struct OnnxWeight {
  std::uint64_t type = 0;
  std::vector<std::uint64_t> shape;
  std::string bytes;
  std::map<std::string, std::string> external;
};

struct OnnxGraph {
  std::uint64_t opset = 0;
  std::map<std::string, OnnxValue> inputs, outputs;
  std::map<std::string, OnnxWeight> weights;
  std::vector<std::string> operations;
  std::map<std::string, std::string> metadata;
};

inline std::map<std::string, std::string> read_entries(const std::vector<Fields>& entries) {
  std::map<std::string, std::string> all;
  for (const auto& entry : entries) all[entry.text(1)] = entry.text(2);
  return all;
}

inline std::map<std::string, OnnxValue> read_values(const std::vector<Fields>& values) {
  std::map<std::string, OnnxValue> all;
  for (const auto& value : values) {
    const auto tensor = value.messages(2).at(0).messages(1).at(0);
    OnnxValue read{.type = tensor.integer(1), .shape = {}};
    for (const auto& size : tensor.messages(2).at(0).messages(1))
      read.shape.push_back(size.integers.contains(1) ? std::to_string(size.integer(1)) : size.text(2));
    all[value.text(1)] = read;
  }
  return all;
}

inline OnnxGraph read_onnx(const std::filesystem::path& file) {
  const auto model = read_fields(read_file(file));
  const auto graph = model.messages(7).at(0);
  OnnxGraph read{.opset = model.messages(8).at(0).integer(2),
                 .inputs = read_values(graph.messages(11)),
                 .outputs = read_values(graph.messages(12)),
                 .weights = {},
                 .operations = {},
                 .metadata = read_entries(model.messages(14))};
  for (const auto& node : graph.messages(1)) read.operations.push_back(node.text(4));
  for (const auto& tensor : graph.messages(5)) {
    OnnxWeight weight{
        .type = tensor.integer(2), .shape = {}, .bytes = tensor.text(9), .external = read_entries(tensor.messages(13))};
    if (tensor.integers.contains(1)) weight.shape = tensor.integers.at(1);
    read.weights[tensor.text(8)] = weight;
  }
  return read;
}

}  // namespace vlalign::test
