#include "eval/embedding_folder.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>

#include "core/io/npy.hpp"
#include "support/captured_log.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::test::embedding_folder_test {
namespace {

namespace fs = std::filesystem;

std::string contents_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  EXPECT_TRUE(stream.good()) << file;
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// The header as numpy.lib.format's page has it: "The next HEADER_LEN bytes form the header data ... an ASCII string
/// which contains a Python literal expression of a dictionary", padded so that the whole is divisible by 64.
void expect_npy(const fs::path& file, const std::string& dictionary, const at::Tensor& tensor) {
  const auto bytes = contents_of(file);
  ASSERT_GE(bytes.size(), 10U);
  EXPECT_EQ(bytes.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  const auto size = static_cast<unsigned char>(bytes[8]) + 256U * static_cast<unsigned char>(bytes[9]);
  EXPECT_EQ((10 + size) % 64, 0U);
  const auto header = bytes.substr(10, size);
  EXPECT_EQ(header.substr(0, dictionary.size()), dictionary);
  EXPECT_EQ(header.find_first_not_of(' ', dictionary.size()), size - 1);
  EXPECT_EQ(header.back(), '\n');
  const auto numbers = tensor.contiguous();
  ASSERT_EQ(bytes.size(), 10 + size + numbers.nbytes());
  EXPECT_EQ(std::memcmp(bytes.data() + 10 + size, numbers.const_data_ptr(), numbers.nbytes()), 0);
}

class EmbeddingFolder : public ::testing::Test {
 protected:
  TempFolder folder_;
  fs::path out_ = folder_.path() / "out";
  EmbeddedRows rows_{
      at::randn({3, 5}), at::randn({3, 5}), {"a.png", "b \"b\".png", "\xff.png"}, {"red", "grün", "\xfe"}};
};

TEST_F(EmbeddingFolder, HoldsArraysInNumpysFormat) {
  const CapturedLog log;
  write_embedding_folder(out_, EmbeddingFormat::npy, rows_);
  const std::string dictionary = "{'descr': '<f2', 'fortran_order': False, 'shape': (3, 5), }";
  expect_npy(out_ / "img_emb" / "img_emb_0.npy", dictionary, rows_.image.to(at::kHalf));
  expect_npy(out_ / "text_emb" / "text_emb_0.npy", dictionary, rows_.text.to(at::kHalf));
  EXPECT_TRUE(fs::exists(out_ / "metadata" / "metadata_0.parquet") ||
              fs::exists(out_ / "metadata" / "metadata_0.jsonl"));
}

TEST_F(EmbeddingFolder, TakesArraysOfOtherShapesAndTypes) {
  const auto file = folder_.path() / "array.npy";
  write_npy(file, at::arange(7, at::kLong));
  expect_npy(file, "{'descr': '<i8', 'fortran_order': False, 'shape': (7,), }", at::arange(7, at::kLong));
  const auto turned = at::randn({4, 6}).t();
  write_npy(file, turned);
  expect_npy(file, "{'descr': '<f4', 'fortran_order': False, 'shape': (6, 4), }", turned);
  write_npy(file, at::zeros({}, at::kDouble));
  expect_npy(file, "{'descr': '<f8', 'fortran_order': False, 'shape': (), }", at::zeros({}, at::kDouble));
  EXPECT_EQ(message_of<Error>([&] { write_npy(file, at::zeros({2}, at::kBool)); }),
            "[write_npy] expected float16, float32, float64 or int64, got Bool");
}

TEST_F(EmbeddingFolder, ReplacesItsLikeAndNothingElse) {
  const CapturedLog log;
  for (int i = 0; i < 2; ++i) write_embedding_folder(out_, EmbeddingFormat::npy, rows_);
  for (const auto* name : {"notes.txt", "img_emb/mine.npy", "img_emb/img_emb_1.npy"}) {
    const auto mine = out_ / name;
    std::ofstream(mine) << "mine";
    const auto why = out_.string() +
                     ": isn't replaced, since it is not empty and not a folder of embeddings alone: " + name +
                     " is in it; choose another name";
    EXPECT_EQ(message_of<Error>([&] { check_embedding_folder(out_, EmbeddingFormat::npy); }), why);
    EXPECT_EQ(message_of<Error>([&] { write_embedding_folder(out_, EmbeddingFormat::npy, rows_); }), why);
    EXPECT_EQ(contents_of(mine), "mine");
    fs::remove(mine);
  }
  const auto file = folder_.path() / "file";
  std::ofstream(file) << "mine";
  EXPECT_EQ(message_of<Error>([&] { check_embedding_folder(file, EmbeddingFormat::npy); }).find(file.string()), 0U);
  EXPECT_EQ(contents_of(file), "mine");
}

}  // namespace
}  // namespace vlalign::test::embedding_folder_test
