#include "vlalign/core/io/safetensors.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/scalar_tensor.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>

#include "core/io/files.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::safetensors_test {
namespace {

using test::message_of;
using test::TempFolder;

class SafetensorsFile : public testing::Test {
 protected:
  /// A file with this header and so many bytes of data.
  void write(const std::string& header, std::size_t data, std::uint64_t claimed = 0) {
    const std::uint64_t length = claimed > 0 ? claimed : header.size();
    std::string bytes(sizeof length, '\0');
    std::memcpy(bytes.data(), &length, sizeof length);
    write_file_atomically(file_, bytes + header + std::string(data, '\1'));
  }
  std::string error() {
    const auto message = message_of<Error>([this] { read_safetensors(file_); });
    EXPECT_TRUE(message.starts_with(file_.string())) << message;
    return message.substr(std::min(message.size(), file_.string().size()));
  }

  TempFolder folder_;
  std::filesystem::path file_ = folder_.path() / "x.safetensors";
};

TEST_F(SafetensorsFile, ComesBackBitForBitInEveryDtype) {
  NamedTensors tensors{
      {"empty", at::empty({0, 3})}, {"scalar", at::scalar_tensor(2.5)}, {"strided", at::randn({4, 6}).t()}};
  for (const auto dtype : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kShort,
                           at::kChar, at::kByte, at::kBool}) {
    tensors[std::string("of ") + c10::toString(dtype)] = at::arange(7).to(dtype);
  }
  write_safetensors(file_, tensors, {{"format", "pt"}});
  const auto back = read_safetensors(file_);
  EXPECT_EQ(back.metadata, (std::map<std::string, std::string>{{"format", "pt"}}));
  ASSERT_EQ(back.tensors.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(back.tensors.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(back.tensors.at(name).equal(tensor)) << name;
  }
}

TEST_F(SafetensorsFile, OutlivesItsMappingAndIsNotWrittenThrough) {
  write_safetensors(file_, {{"x", at::arange(4)}});
  const auto before = read_file(file_);
  auto x = read_safetensors(file_).tensors.at("x");
  x.add_(1);
  EXPECT_EQ(x[3].item<int>(), 4);
  EXPECT_EQ(read_file(file_), before);
}

TEST_F(SafetensorsFile, ReadsTensorsThatAreNotAligned) {
  write(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"I32","shape":[1],"data_offsets":[1,5]}})",
        5);
  EXPECT_EQ(read_safetensors(file_).tensors.at("b").item<std::int32_t>(), 0x01010101);
}

TEST_F(SafetensorsFile, RefusesDamage) {
  write("{}", 0, 1'000'000'000'000);
  EXPECT_NE(error().find("claims a header of 1000000000000 bytes"), std::string::npos);
  write("{", 0);
  EXPECT_NE(error().find("the header: not JSON"), std::string::npos);
  write(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4);
  EXPECT_EQ(error(), ": the header describes 8 bytes of data, the file holds 4");
  write(
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})",
      6);
  EXPECT_EQ(error(), ": tensor \"b\" begins at byte 2 of the data, inside another (4)");
  write(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8);
  EXPECT_EQ(error(), ": tensor \"a\" begins at byte 4 of the data, after a gap (0)");
  write(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,4]}})", 4);
  EXPECT_EQ(error(), ": tensor \"a\": shape [3] needs 12 bytes, offsets [0, 4] hold 4");
  write(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}})", 4);
  EXPECT_EQ(error(), ": tensor \"a\": shape: expected numbers from 0 to 2^48, got 4611686018427387904");
  write(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4);
  EXPECT_EQ(error(), ": tensor \"a\": shape: expected numbers from 0 to 2^48, got -1");
  write(R"({"a":{"dtype":"F4","shape":[1],"data_offsets":[0,4]}})", 4);
  EXPECT_EQ(error(), ": tensor \"a\": unknown dtype F4");
  write(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
        1);
  EXPECT_EQ(error(), ": the header: \"a\" is named twice");
}

TEST_F(SafetensorsFile, RefusesShapesThatNoTensorHas) {
  const auto error_of = [this](const std::string& shape, const std::string& offsets = "[0,0]") {
    write(fmt::format(R"({{"a":{{"dtype":"F32","shape":{},"data_offsets":{}}}}})", shape, offsets), 4);
    return error();
  };
  // Products that overflow, the second only where ATen counts an empty dimension as 1.
  EXPECT_EQ(error_of("[1099511627776,1099511627776]"), ": tensor \"a\": absurd shape [1099511627776, 1099511627776]");
  EXPECT_EQ(error_of("[0,1099511627776,1099511627776]"),
            ": tensor \"a\": absurd shape [0, 1099511627776, 1099511627776]");
  std::string ones = "[1";
  for (int i = 1; i < 65; ++i) ones += ",1";
  EXPECT_TRUE(error_of(ones + "]", "[0,4]").starts_with(": tensor \"a\": absurd shape [1, 1"));
  EXPECT_EQ(error_of("[1.5]"), ": tensor \"a\": shape: expected numbers from 0 to 2^48, got 1.5");
  EXPECT_EQ(error_of("[1e300]"), ": tensor \"a\": shape: expected numbers from 0 to 2^48, got 1e+300");
  EXPECT_EQ(error_of("[true]"), ": tensor \"a\": shape: expected numbers from 0 to 2^48, got true");
  EXPECT_EQ(error_of("4"), ": tensor \"a\": shape: expected a list of numbers, got 4");
  EXPECT_EQ(error_of("[1]", "[0,-4]"), ": tensor \"a\": data_offsets: expected numbers from 0 to 2^48, got -4");
  EXPECT_EQ(error_of("[1]", "[0,2.5]"), ": tensor \"a\": data_offsets: expected numbers from 0 to 2^48, got 2.5");
  EXPECT_EQ(error_of("[1]", "[0]"), ": tensor \"a\": data_offsets: expected two numbers, got 1");
  EXPECT_EQ(error_of("[1]", "[4,0]"), ": tensor \"a\": shape [1] needs 4 bytes, offsets [4, 0] hold -4");
}

TEST_F(SafetensorsFile, ReadsAnEmptyTensorAtAnOddPlace) {
  write(
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[7,0],"data_offsets":[1,1]}})",
      1);
  EXPECT_EQ(read_safetensors(file_).tensors.at("b").sizes(), (at::IntArrayRef{7, 0}));
}

TEST_F(SafetensorsFile, RefusesValuesThatWouldOverflowTheStack) {
  write(R"({"__metadata__":)" + std::string(100'000, '[') + std::string(100'000, ']') + "}", 0);
  EXPECT_EQ(error(), ": the header: values are nested more than 64 deep");
}

TEST_F(SafetensorsFile, RefusesWhatIsNoFileOfItsKind) {
  write_file_atomically(file_, "");
  EXPECT_EQ(error(), ": 0 bytes are too few for a safetensors file");
  write("[]", 0);
  EXPECT_EQ(error(), ": the header is not an object");
  write(R"({"__metadata__":{"format":1}})", 0);
  EXPECT_EQ(error(), ": __metadata__ holds something that is not text");
  std::filesystem::remove(file_);
  EXPECT_EQ(error(), ": cannot open: No such file or directory");
  ASSERT_EQ(::mkfifo(file_.c_str(), 0600), 0);
  EXPECT_EQ(error(), ": is not a regular file");  // and doesn't wait for somebody to write into it
  std::filesystem::remove(file_);
  std::filesystem::create_directory(file_);
  EXPECT_EQ(error(), ": is not a regular file");
}

TEST_F(SafetensorsFile, ReplacesOnlyOneOfItsKindOrAnEmptyFile) {
  const auto written = [&](const std::string& before) {
    write_file_atomically(file_, before);
    write_safetensors(file_, {{"x", at::arange(2)}});
    return read_safetensors(file_).tensors.size();
  };
  EXPECT_EQ(written(""), 1U);
  const auto other = std::string("\2\0\0\0\0\0\0\0{}", 10);
  EXPECT_EQ(written(other), 1U);
  for (const std::string foreign : {"my notes", "a longer text of mine, {braces} included", "{}"}) {
    write_file_atomically(file_, foreign);
    const auto message = message_of<Error>([&] { write_safetensors(file_, {{"x", at::arange(2)}}); });
    EXPECT_EQ(message.find(file_.string() + ": isn't replaced, since it is not a safetensors file"), 0U) << message;
    EXPECT_EQ(read_file(file_), foreign);
  }
}

TEST_F(SafetensorsFile, NeverCrashesOnAPartOfAFile) {
  write_safetensors(file_, {{"a", at::randn({3})}, {"b", at::arange(2)}}, {{"k", "v"}});
  const auto whole = read_file(file_);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    write_file_atomically(file_, whole.substr(0, length));
    EXPECT_THROW(read_safetensors(file_), Error) << length << " bytes";
  }
}

}  // namespace
}  // namespace vlalign::safetensors_test
