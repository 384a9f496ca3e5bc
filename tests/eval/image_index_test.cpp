#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "image/picture_fixture.hpp"
#include "support/captured_log.hpp"
#include "support/temp_folder.hpp"
#include "tokenizers/clip_tokenizer.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/eval/search.hpp"
#include "vlalign/model/dual_encoder.hpp"
#include "vlalign/model/presets.hpp"

namespace vlalign::test::image_index_test {
namespace {

namespace fs = std::filesystem;

DualEncoder small_model(std::uint64_t seed = 0, bool squash = false, bool quick = false) {
  auto config = preset("tiny");
  VitConfig vit{.patch_size = 4, .width = 16, .layers = 1, .head_width = 8};
  if (quick) vit.activation = Activation::quick_gelu;
  config.vision = vit;
  config.image_projection.bias = false;
  config.preprocess.image_size = 16;
  config.preprocess.resize = squash ? Preprocess::Resize::squash : Preprocess::Resize::shortest;
  return DualEncoder::create(config, std::make_shared<ClipTokenizer>(std::vector<ClipTokenizer::Merge>{}), seed);
}

class KeptIndex : public ::testing::Test {
 protected:
  KeptIndex() {
    fs::create_directories(pictures_ / "below");
    for (int i = 0; i < 6; ++i) draw(i % 2 ? fmt_name(i) : "below/" + fmt_name(i), i);
  }

  static std::string fmt_name(int i) { return "picture" + std::to_string(i) + ".png"; }

  void draw(const std::string& name, int colour) const {
    Image image{.width = 24, .height = 20, .rgb = {}};
    for (int i = 0; i < image.width * image.height * 3; ++i)
      image.rgb.push_back(static_cast<std::uint8_t>((i * (colour + 3) + 40 * colour) % 256));
    const auto bytes = encode_png(image);
    std::ofstream(pictures_ / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
  }

  /// How many pictures it embeds goes to embedded_.
  ImageIndex index(const DualEncoder& model) {
    embedded_ = 0;
    EmbedOptions options;
    options.progress = [this](std::int64_t done, std::int64_t) { embedded_ = done; };
    return index_images(model, pictures_, kept_, options);
  }

  /// The index must be what it is when nothing is kept.
  void expect_whole(const DualEncoder& model, const ImageIndex& index) const {
    const auto expected = index_images(model, pictures_);
    EXPECT_EQ(index.paths, expected.paths);
    EXPECT_EQ(index.bad, expected.bad);
    ASSERT_EQ(index.image.sizes(), expected.image.sizes());
    EXPECT_TRUE(at::allclose(index.image, expected.image, 0, 1e-6));
    for (std::int64_t row = 0; row < index.image.size(0); ++row)
      EXPECT_EQ(best_matches(index, index.image[row], 1)[0].path, index.paths[static_cast<std::size_t>(row)]);
  }

  std::vector<fs::path> files() const {
    std::vector<fs::path> all;
    for (const auto& entry : fs::directory_iterator(kept_)) all.push_back(entry.path());
    return all;
  }

  TempFolder folder_;
  fs::path pictures_ = folder_.path() / "pictures", kept_ = folder_.path() / "kept" / "here";
  std::int64_t embedded_ = 0;
};

TEST_F(KeptIndex, EmbedsEachPictureOnce) {
  const auto model = small_model();
  const auto first = index(model);
  EXPECT_EQ(embedded_, 6);
  expect_whole(model, first);
  ASSERT_EQ(files().size(), 1U);
  const auto written = fs::last_write_time(files()[0]);
  const auto second = index(model);
  EXPECT_EQ(embedded_, 0);
  EXPECT_TRUE(second.image.equal(first.image));
  EXPECT_EQ(second.paths, first.paths);
  EXPECT_EQ(fs::last_write_time(files()[0]), written);
}

TEST_F(KeptIndex, FollowsNewChangedAndVanishedPictures) {
  const auto model = small_model();
  index(model);
  draw("new.png", 9);
  expect_whole(model, index(model));
  EXPECT_EQ(embedded_, 1);
  draw("picture1.png", 10);
  fs::last_write_time(pictures_ / "picture1.png", fs::file_time_type::clock::now() + std::chrono::seconds(2));
  expect_whole(model, index(model));
  EXPECT_EQ(embedded_, 1);
  fs::remove(pictures_ / "below" / "picture2.png");
  fs::rename(pictures_ / "picture3.png", pictures_ / "below" / "moved.png");
  expect_whole(model, index(model));
  EXPECT_EQ(embedded_, 1);
  expect_whole(model, index(model));
  EXPECT_EQ(embedded_, 0);
  EXPECT_EQ(files().size(), 1U);
}

TEST_F(KeptIndex, TriesPicturesThatCannotBeReadAgain) {
  const auto model = small_model();
  index(model);
  std::ofstream(pictures_ / "broken.png") << "no picture";
  for (int i = 0; i < 2; ++i) {
    const auto found = index(model);
    EXPECT_EQ(found.bad.size(), 1U);
    expect_whole(model, found);
  }
  for (const auto& entry : fs::recursive_directory_iterator(pictures_))
    if (entry.is_regular_file()) std::ofstream(entry.path()) << "no picture";
  EXPECT_EQ(message_of<Error>([&] { index(model); }).find("[embed_images] none of the 7 pictures could be read"), 0U);
}

TEST_F(KeptIndex, HasAFileOfItsOwnForEachModelAndFolder) {
  const auto model = small_model();
  index(model);
  for (const auto& other : {small_model(1), small_model(0, /*squash=*/true)}) {
    expect_whole(other, index(other));
    EXPECT_EQ(embedded_, 6);
  }
  EXPECT_EQ(files().size(), 3U);
  index_images(model, pictures_ / "below", kept_);
  EXPECT_EQ(files().size(), 4U);
  index(model);
  EXPECT_EQ(embedded_, 0);
}

/// Of the same weights.
TEST_F(KeptIndex, KnowsAModelOfAnotherActivation) {
  index(small_model());
  const auto other = small_model(0, false, /*quick=*/true);
  expect_whole(other, index(other));
  EXPECT_EQ(embedded_, 6);
}

TEST_F(KeptIndex, ThatIsDamagedIsToldAndMadeAnew) {
  const auto model = small_model();
  index(model);
  const auto file = files().at(0);
  std::ifstream stream(file, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(stream), {}};
  const auto damaged_by = [&](const std::string& bytes) {
    std::ofstream(file, std::ios::binary) << bytes;
    const CapturedLog log;
    expect_whole(model, index(model));
    EXPECT_EQ(embedded_, 6);
    EXPECT_EQ(log.count(file.string() + ": "), 1);
    EXPECT_EQ(log.count("; this index of pictures is damaged, and is made anew"), 1);
    index(model);
    EXPECT_EQ(embedded_, 0);
  };
  for (const auto size : {std::size_t{0}, std::size_t{5}, std::size_t{100}, whole.size() - 1})
    damaged_by(whole.substr(0, size));
  damaged_by("no index at all, but a text that somebody wrote");
  damaged_by(whole + "x");
  for (auto place = whole.size() - 1; place > 1000; place -= whole.size() / 7) {
    auto bytes = whole;
    bytes[place] = static_cast<char>(bytes[place] ^ 0x10);
    damaged_by(bytes);
  }
}

TEST_F(KeptIndex, LeavesOtherFilesAlone) {
  fs::create_directories(kept_);
  std::ofstream(kept_ / "notes.txt") << "mine";
  const auto model = small_model();
  index(model);
  std::ifstream notes(kept_ / "notes.txt");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(notes), {}), "mine");
  const auto file = folder_.path() / "file";
  std::ofstream(file) << "mine";
  EXPECT_EQ(message_of<Error>([&] { index_images(model, pictures_, file); }).find(file.string() + ": "), 0U);
  EXPECT_EQ(message_of<Error>([&] { index_images(model, pictures_, file / "below"); }).find(file.string()), 0U);
  EXPECT_EQ(fs::file_size(file), 4U);
}

TEST_F(KeptIndex, IsKeptWholeBySeveralSearchesAtOnce) {
  const CapturedLog log;
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 3; ++thread) {
    threads.emplace_back([this, thread] {
      const auto model = small_model();
      for (int i = 0; i < 8; ++i) {
        draw("of" + std::to_string(thread) + ".png", thread + i);
        const auto found = index_images(model, pictures_, kept_);
        EXPECT_GE(found.image.size(0), 6);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(log.count("damaged"), 0) << log.text();
  const auto model = small_model();
  EXPECT_EQ(index(model).bad.size(), 0U);
  expect_whole(model, index(model));
  EXPECT_EQ(files().size(), 1U);
}

at::Tensor row_of(const DualEncoder& model, const std::string& text) {
  return embed_texts(model, std::vector<std::string>{text}).to(at::kDouble)[0];
}

TEST_F(KeptIndex, IsAskedForTextsPicturesAndWhatShallBeAbsent) {
  const auto model = small_model();
  const auto pictures = index(model);
  const auto file = pictures_ / "picture3.png";
  const auto picture = embed_images(model, 1, [&](std::int64_t) { return read_image(file); }).image[0].to(at::kDouble);
  const SearchQuery query{.texts = {"a red car", "night"}, .images = {file}, .without = {"rain"}};
  auto expected = row_of(model, "a red car") + row_of(model, "night") + picture - row_of(model, "rain");
  expected = expected / expected.norm();
  const auto wanted = embed_query(model, query);
  EXPECT_EQ(wanted.sizes(), (std::vector<std::int64_t>{1, expected.size(0)}));
  EXPECT_TRUE(at::allclose(wanted[0].to(at::kDouble), expected, 0, 1e-6));

  const auto hits = search(model, pictures, query, 6);
  ASSERT_EQ(hits.size(), 6U);
  for (const auto& hit : hits) {
    const auto at = std::find(pictures.paths.begin(), pictures.paths.end(), hit.path) - pictures.paths.begin();
    EXPECT_NEAR(hit.score, (pictures.image[at].to(at::kDouble) * expected).sum().item<double>(), 1e-6);
  }
  const auto like = search(model, pictures, SearchQuery{.images = {file}}, 1);
  EXPECT_EQ(like[0].path, file);
  EXPECT_NEAR(like[0].score, 1, 1e-6);
}

TEST_F(KeptIndex, IsAskedForSomething) {
  const auto model = small_model();
  EXPECT_EQ(message_of<Error>([&] { embed_query(model, {}); }),
            "[search] query: expected a text or a picture, got neither");
  EXPECT_EQ(message_of<Error>([&] { embed_query(model, {.texts = {"red"}, .without = {"red"}}); }),
            "[search] query: what is looked for and what shall be absent cancel each other; name something else");
  const auto missing = pictures_ / "none.png";
  EXPECT_EQ(message_of<Error>([&] { embed_query(model, {.images = {missing}}); }).find(missing.string() + ": "), 0U);
}

}  // namespace
}  // namespace vlalign::test::image_index_test
