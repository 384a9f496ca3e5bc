#include "export/protobuf_message.hpp"

#include <bit>
#include <iterator>
#include <utility>

namespace vlalign::onnx {
namespace {

constexpr unsigned varint = 0, length_delimited = 2, four_bytes = 5;  // wire types

}  // namespace

std::string_view bytes_of(const at::Tensor& tensor) {
  return {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()};
}

void ProtobufMessage::add_raw(std::string_view bytes) {
  if (pieces_.empty() || !std::holds_alternative<std::string>(pieces_.back())) pieces_.emplace_back(std::string());
  std::get<std::string>(pieces_.back()) += bytes;
  size_ += bytes.size();
}

void ProtobufMessage::add_varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7f) | 0x80);
  bytes += static_cast<char>(value);
  add_raw(bytes);
}

void ProtobufMessage::add_key(int field, unsigned wire_type) {
  add_varint(static_cast<unsigned>(field) << 3 | wire_type);
}

void ProtobufMessage::add_integer(int field, std::int64_t value) {
  add_key(field, varint);
  add_varint(static_cast<std::uint64_t>(value));
}

void ProtobufMessage::add_float(int field, float value) {
  add_key(field, four_bytes);
  const auto bits = std::bit_cast<std::uint32_t>(value);
  std::string bytes;
  for (unsigned shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(bits >> shift & 0xff);
  add_raw(bytes);
}

void ProtobufMessage::add_text(int field, std::string_view text) {
  add_key(field, length_delimited);
  add_varint(text.size());
  add_raw(text);
}

void ProtobufMessage::add_message(int field, ProtobufMessage message) {
  add_key(field, length_delimited);
  add_varint(message.size_);
  pieces_.insert(pieces_.end(), std::make_move_iterator(message.pieces_.begin()),
                 std::make_move_iterator(message.pieces_.end()));
  size_ += message.size_;
}

void ProtobufMessage::add_bytes(int field, const at::Tensor& tensor) {
  add_key(field, length_delimited);
  add_varint(tensor.nbytes());
  pieces_.emplace_back(tensor);
  size_ += tensor.nbytes();
}

void ProtobufMessage::write(const std::function<void(std::string_view)>& write) const {
  for (const auto& piece : pieces_) {
    if (const auto* text = std::get_if<std::string>(&piece)) write(*text);
    if (const auto* tensor = std::get_if<at::Tensor>(&piece)) write(bytes_of(*tensor));
  }
}

}  // namespace vlalign::onnx
