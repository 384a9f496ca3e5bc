#include "export/protobuf_message.hpp"

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "export/onnx_reader.hpp"

namespace vlalign::protobuf_message_test {
namespace {

using onnx::ProtobufMessage;

std::string written(const ProtobufMessage& message) {
  std::string bytes;
  message.write([&](std::string_view piece) { bytes += piece; });
  EXPECT_EQ(bytes.size(), message.size());
  return bytes;
}

// The examples of protobuf.dev/programming-guides/encoding.
TEST(ProtobufMessage, IsEncodedAsItsDescriptionSays) {
  ProtobufMessage integer, text, outer;
  integer.add_integer(1, 150);
  EXPECT_EQ(written(integer), "\x08\x96\x01");
  text.add_text(2, "testing");
  EXPECT_EQ(written(text), "\x12\x07testing");
  outer.add_message(3, integer);
  EXPECT_EQ(written(outer), "\x1a\x03\x08\x96\x01");
}

TEST(ProtobufMessage, HoldsNegativeNumbersInTenBytes) {
  ProtobufMessage message;
  message.add_integer(1, -2);
  EXPECT_EQ(written(message), "\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01");
  EXPECT_EQ(static_cast<std::int64_t>(test::read_fields(written(message)).integer(1)), -2);
}

TEST(ProtobufMessage, HoldsFloatsAndTensorsAsTheyLieInMemory) {
  ProtobufMessage number, tensor;
  number.add_float(2, 1.0F);
  EXPECT_EQ(written(number), std::string("\x15\x00\x00\x80\x3f", 5));
  tensor.add_bytes(9, at::tensor({1.0F, -2.0F}));
  tensor.add_integer(14, 1);
  EXPECT_EQ(written(tensor), std::string("\x4a\x08\x00\x00\x80\x3f\x00\x00\x00\xc0\x70\x01", 12));
}

}  // namespace
}  // namespace vlalign::protobuf_message_test
