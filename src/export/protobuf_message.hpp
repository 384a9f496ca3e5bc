// Protocol Buffers' wire format (protobuf.dev/programming-guides/encoding), as far as ONNX needs it. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace vlalign::onnx {

/// A message as the bytes of its fields, in the order in which they were added. A tensor's bytes stay where they are
/// until the message is written.
class ProtobufMessage {
 public:
  void add_integer(int field, std::int64_t value);
  void add_float(int field, float value);
  void add_text(int field, std::string_view text);
  void add_message(int field, ProtobufMessage message);
  /// tensor: contiguous, on the CPU
  void add_bytes(int field, const at::Tensor& tensor);

  std::uint64_t size() const { return size_; }
  void write(const std::function<void(std::string_view)>& write) const;

 private:
  void add_key(int field, unsigned wire_type);
  void add_varint(std::uint64_t value);
  void add_raw(std::string_view bytes);

  std::vector<std::variant<std::string, at::Tensor>> pieces_;
  std::uint64_t size_ = 0;
};

/// A tensor's bytes. tensor: contiguous, on the CPU.
std::string_view bytes_of(const at::Tensor& tensor);

}  // namespace vlalign::onnx
