#include "train/validation_events.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <span>
#include <sstream>

#include "core/io/files.hpp"
#include "support/colours.hpp"
#include "train/evenly_spaced.hpp"
#include "train/projector.hpp"
#include "train/retrieved_captions.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/eval/retrieval.hpp"

namespace vlalign::validation_events_test {
namespace {

using test::TempFolder;

at::Tensor unit_rows(std::int64_t count) {
  const auto rows = at::randn({count, 8});
  return rows / rows.norm(2, 1, /*keepdim=*/true);
}

/// Pictures of one colour each, with two captions, of which each third has one in common with all others.
class Squares : public PairSource {
 public:
  explicit Squares(std::int64_t size) : size_(size) {}
  std::int64_t size() const override { return size_; }
  std::string name(std::int64_t i) const override { return "folder/square-" + std::to_string(i) + ".png"; }
  std::vector<std::string> captions(std::int64_t i) const override {
    return {"square\t" + std::to_string(i), i % 3 == 0 ? "a <square>" : "the *" + std::to_string(i) + "*th"};
  }
  Pair read(std::int64_t i) const override {
    if (i == broken) throw Error(name(i) + ": cannot be read");
    Image image{.width = 40, .height = 32, .rgb = {}};
    image.rgb.assign(3 * 40 * 32, grey_of(i));
    return {.name = name(i), .captions = captions(i), .image = encode_png(image)};
  }
  static std::uint8_t grey_of(std::int64_t i) { return static_cast<std::uint8_t>(i % 200); }

  std::int64_t broken = -1;

 private:
  std::int64_t size_;
};

Embeddings embeddings_of(const Squares& source) {
  Embeddings all;
  all.image = unit_rows(source.size());
  for (std::int64_t i = 0; i < source.size(); ++i) {
    all.records.push_back(i);
    all.names.push_back(source.name(i));
    for (const auto& caption : source.captions(i)) {
      all.captions.push_back(caption);
      all.image_of_text.push_back(i);
    }
  }
  all.text = unit_rows(std::ssize(all.captions));
  return all;
}

TEST(EvenlySpaced, BeginsWithTheFirstAndLeavesEqualGaps) {
  EXPECT_EQ(evenly_spaced(12, 4), (std::vector<std::int64_t>{0, 3, 6, 9}));
  EXPECT_EQ(evenly_spaced(3, 8), (std::vector<std::int64_t>{0, 1, 2}));
  EXPECT_TRUE(evenly_spaced(0, 8).empty());
}

TEST(RetrievedCaptions, AreThoseOfSortingAllCosines) {
  const Squares source(40);
  const auto embeddings = embeddings_of(source);
  const auto cosines = at::matmul(embeddings.image.to(at::kDouble), embeddings.text.to(at::kDouble).t());
  const auto ranks = retrieval_ranks(embeddings).image_to_text;
  for (const auto& found : retrieved_captions(embeddings, {0, 7, 39})) {
    std::vector<std::pair<double, std::string>> sorted;
    for (std::int64_t j = 0; j < std::ssize(embeddings.captions); ++j)
      sorted.emplace_back(-cosines[found.row][j].item<double>(), embeddings.captions[static_cast<std::size_t>(j)]);
    std::sort(sorted.begin(), sorted.end());
    const auto captions = source.captions(found.row);
    std::set<std::string> shown;
    std::size_t place = 0;
    for (const auto& [negative, caption] : sorted) {
      if (place == 3) break;
      if (!shown.insert(caption).second) continue;
      ASSERT_GT(found.best.size(), place);
      const auto& hit = found.best[place++];
      EXPECT_EQ(hit.caption, caption);
      EXPECT_NEAR(hit.cosine, -negative, 1e-6);
      EXPECT_EQ(hit.right, std::find(captions.begin(), captions.end(), caption) != captions.end());
    }
    EXPECT_EQ(found.best.size(), 3U);
    EXPECT_EQ(found.rank, ranks[static_cast<std::size_t>(found.row)]);
    EXPECT_TRUE(found.own.right);
  }
}

TEST(RetrievedCaptions, ShowsACaptionThatManyShareOnce) {
  Squares source(2);
  auto embeddings = embeddings_of(source);
  embeddings.captions = {"same", "same", "same", "other"};
  const auto found = retrieved_captions(embeddings, {0}).at(0);
  ASSERT_EQ(found.best.size(), 2U);
  EXPECT_NE(found.best[0].caption, found.best[1].caption);
}

std::string events_in(const TempFolder& folder) {
  for (const auto& path : entries_of(folder.path()))
    if (path.filename().string().starts_with("events.out.tfevents.")) return read_file(path);
  return {};
}

std::int64_t count_of(const std::string& text, const std::string& what) {
  std::int64_t count = 0;
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++count;
  return count;
}

TEST(ValidationEvents, WriteFiguresAsScalars) {
  const TempFolder folder;
  EventFile file(folder.path(), 0);
  ValidationEvents(file).add_figures(
      {.step = 100, .name = "unseen", .seconds = 1, .figures = {{"loss", 1.5}, {"image_to_text.recall@1", 0.25}}});
  const auto events = events_in(folder);
  // A Value: the tag (field 1), its length before it, and the float (field 2).
  EXPECT_NE(events.find(std::string("\x0a\x0bunseen/loss\x15\x00\x00\xc0\x3f", 18)), events.npos);
  EXPECT_NE(events.find(std::string("\x0a\x1dunseen/image_to_text.recall@1\x15\x00\x00\x80\x3e", 36)), events.npos);
}

TEST(ValidationEvents, ShowTheSamePicturesOnceAndTheirCaptionsEachTime) {
  const TempFolder folder;
  EventFile file(folder.path(), 0);
  ValidationEvents events(file);
  Squares source(40);
  source.broken = 5;  // the second of eight
  for (const std::int64_t step : {10, 10, 20}) events.add_retrieved("unseen", step, embeddings_of(source), source);
  const auto bytes = events_in(folder);
  EXPECT_EQ(count_of(bytes, "unseen/pictures"), 1);
  EXPECT_EQ(count_of(bytes, "unseen/retrieved"), 2);  // of two data sets at a step the first
  EXPECT_EQ(count_of(bytes, "8: square\\-35\\.png"), 2);
  EXPECT_EQ(count_of(bytes, "a <square>"), 0);
  const auto png = bytes.find("\x89PNG");
  ASSERT_NE(png, bytes.npos);
  const auto end = bytes.find("IEND", png) + 8;
  const auto strip = decode_image(std::as_bytes(std::span(bytes).subspan(png, end - png)), "strip");
  EXPECT_EQ(strip.width, 4 * 66 + 2);
  EXPECT_EQ(strip.height, 2 * 66 + 2);
  const auto at = [&](int x, int y) { return strip.rgb[static_cast<std::size_t>(3 * (y * strip.width + x))]; };
  EXPECT_EQ(at(1, 34), 255);
  EXPECT_EQ(at(34 + 2 * 66, 34), Squares::grey_of(10));
  EXPECT_EQ(at(34 + 66, 34), 255);  // what can't be read
}

TEST(ValidationEvents, TakeTextsOfAnyLengthAndBytes) {
  const TempFolder folder;
  EventFile file(folder.path(), 0);
  const Squares source(1);
  auto embeddings = embeddings_of(source);
  std::string umlauts;
  for (int i = 0; i < 200; ++i) umlauts += "\xc3\xbc";
  embeddings.captions = {umlauts, "broken \xff here"};
  ValidationEvents(file).add_retrieved("unseen", 1, embeddings, source);
  const auto bytes = events_in(folder);
  EXPECT_NE(bytes.find(umlauts.substr(0, 160) + "…"), bytes.npos);
  EXPECT_EQ(bytes.find(umlauts.substr(0, 161)), bytes.npos);
  EXPECT_NE(bytes.find("broken \xef\xbf\xbd here"), bytes.npos);
}

TEST(Projector, WritesTheEmbeddingsOfPicturesAndFirstCaptions) {
  const TempFolder folder;
  const Squares source(1500);
  const auto embeddings = embeddings_of(source);
  Projector projector(folder.path());
  projector.write("un/seen", embeddings, source);
  projector.write("other", embeddings_of(Squares(3)), Squares(3));
  std::istringstream vectors(read_file(folder.path() / "projector/un%2Fseen.vectors.tsv"));
  std::istringstream labels(read_file(folder.path() / "projector/un%2Fseen.labels.tsv"));
  std::string vector, label;
  std::getline(labels, label);
  EXPECT_EQ(label, "caption\tkind\trecord");
  for (std::int64_t point = 0; point < 2000; ++point) {
    const auto record = point % 1000 * 3 / 2;
    const auto row = point < 1000 ? embeddings.image[record] : embeddings.text[2 * record];
    ASSERT_TRUE(std::getline(vectors, vector) && std::getline(labels, label));
    std::istringstream numbers(vector);
    for (std::int64_t column = 0; column < 8; ++column) {
      double number = 0;
      ASSERT_TRUE(numbers >> number);
      ASSERT_NEAR(number, row[column].item<double>(), 1e-4);
    }
    ASSERT_EQ(label, "square " + std::to_string(record) + (point < 1000 ? "\tpicture\t" : "\tcaption\t") +
                         source.name(record));
  }
  EXPECT_FALSE(std::getline(vectors, vector));
  const auto sprite = read_image(folder.path() / "projector/un%2Fseen.png");
  EXPECT_EQ(sprite.width, 45 * 32);  // 45 is the root of 2,000, rounded up
  EXPECT_EQ(sprite.height, 45 * 32);
  const auto config = read_file(folder.path() / "projector_config.pbtxt");
  EXPECT_NE(config.find("tensor_name: \"un/seen\"\n  tensor_path: \"projector/un%2Fseen.vectors.tsv\"\n  tensor_shape: "
                        "2000\n  tensor_shape: 8\n"),
            config.npos);
  EXPECT_NE(config.find("tensor_name: \"other\""), config.npos);
}

}  // namespace
}  // namespace vlalign::validation_events_test
