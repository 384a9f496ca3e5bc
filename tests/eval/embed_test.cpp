#include "vlalign/eval/embed.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <map>
#include <sstream>

#include "image/picture_fixture.hpp"
#include "support/captured_log.hpp"
#include "support/temp_folder.hpp"
#include "tokenizers/clip_tokenizer.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/data/sources/pairs.hpp"
#include "vlalign/eval/retrieval.hpp"
#include "vlalign/eval/search.hpp"
#include "vlalign/eval/zero_shot.hpp"
#include "vlalign/model/dual_encoder.hpp"
#include "vlalign/model/presets.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace {

using vlalign::DualEncoder;
using vlalign::Error;
using vlalign::test::message_of;
using Names = std::vector<std::string>;
using Colour = std::array<std::uint8_t, 3>;

const std::vector<std::string> words{"<pad>", "red", "green", "blue", "yellow", "white"};
const std::map<std::string, Colour> colours{{"red", {255, 0, 0}},
                                            {"green", {0, 255, 0}},
                                            {"blue", {0, 0, 255}},
                                            {"yellow", {255, 255, 0}},
                                            {"white", {255, 255, 255}}};

/// A picture's feature is its mean colour.
class MeanColour : public vlalign::nn::Tower {
 public:
  at::Tensor forward(const at::Tensor& x, at::ScalarType) override {
    was_training = is_training();
    saw_gradients = at::GradMode::is_enabled();
    batch_sizes.push_back(x.size(0));
    return x.mean(at::IntArrayRef{2, 3});
  }
  std::int64_t width() const override { return 3; }

  bool was_training = false;
  bool saw_gradients = false;
  std::vector<std::int64_t> batch_sizes;
};

/// A text's feature is the sum of the colours it names.
class NamedColours : public vlalign::nn::Tower {
 public:
  NamedColours() {
    table = at::full({std::ssize(words), 3}, 0.0);
    for (std::int64_t word = 0; word < std::ssize(words); ++word) {
      const auto found = colours.find(words[static_cast<std::size_t>(word)]);
      for (std::int64_t c = 0; found != colours.end() && c < 3; ++c) {
        table[word][c] = found->second[static_cast<std::size_t>(c)] / 255.0;
      }
    }
  }
  at::Tensor forward(const at::Tensor& tokens, at::ScalarType) override {
    rows_seen += tokens.size(0);
    return table.index_select(0, tokens.reshape({-1})).view({tokens.size(0), tokens.size(1), 3}).sum(1);
  }
  std::int64_t width() const override { return 3; }

  at::Tensor table;
  std::int64_t rows_seen = 0;
};

class WordTokenizer : public vlalign::Tokenizer {
 public:
  std::vector<std::int64_t> encode(std::string_view text, std::int64_t) const override {
    std::vector<std::int64_t> ids;
    std::istringstream stream{std::string(text)};
    for (std::string word; stream >> word;) {
      for (std::int64_t id = 0; id < std::ssize(words); ++id) {
        if (words[static_cast<std::size_t>(id)] == word) ids.push_back(id);
      }
    }
    if (ids.empty()) ids.push_back(0);
    return ids;
  }
  std::string decode(std::span<const std::int64_t>) const override { return {}; }
  std::int64_t vocab_size() const override { return std::ssize(words); }
  std::int64_t pad_id() const override { return 0; }
  std::int64_t end_id() const override { return 0; }
  void save(const std::filesystem::path&) const override {}
};

struct ColourModel {
  vlalign::PixelsAs pixels_as = vlalign::PixelsAs::vlalign;
  std::shared_ptr<MeanColour> image = std::make_shared<MeanColour>();
  std::shared_ptr<NamedColours> text = std::make_shared<NamedColours>();
  DualEncoder encoder = make();

  DualEncoder make() {
    vlalign::nn::Initializer initializer(0);
    auto module = std::make_shared<vlalign::nn::DualEncoderImpl>(image, text, 3,
                                                                 vlalign::nn::DualEncoderImpl::Options{}, initializer);
    at::NoGradGuard no_grad;
    module->image_projection->weight.copy_(at::eye(3));
    module->text_projection->weight.copy_(at::eye(3));
    vlalign::ModelConfig config;
    config.name = "colours";
    config.embed_dim = 3;
    config.vision = vlalign::OwnTowers{};
    config.preprocess = {.image_size = 8, .mean = {0, 0, 0}, .std = {1, 1, 1}, .pixels_as = pixels_as};
    return {std::move(module), config, std::make_shared<WordTokenizer>()};
  }
};

std::vector<std::byte> png_of(const std::string& colour) {
  const auto& rgb = colours.at(colour);
  vlalign::Image image{.width = 12, .height = 10, .rgb = {}};
  for (int i = 0; i < 120; ++i) image.rgb.insert(image.rgb.end(), rgb.begin(), rgb.end());
  return vlalign::encode_png(image);
}

/// A picture for each colour, "" for one that is broken.
class ColourPairs : public vlalign::PairSource {
 public:
  ColourPairs(Names pictures, std::vector<Names> captions)
      : pictures_(std::move(pictures)), captions_(std::move(captions)) {}
  std::int64_t size() const override { return std::ssize(pictures_); }
  std::string name(std::int64_t i) const override { return "picture-" + std::to_string(i); }
  Names captions(std::int64_t i) const override { return captions_[static_cast<std::size_t>(i)]; }
  vlalign::Pair read(std::int64_t i) const override {
    const auto& colour = pictures_[static_cast<std::size_t>(i)];
    if (colour == "crash") throw std::runtime_error("not an Error");
    return {name(i), captions(i), colour.empty() ? std::vector<std::byte>(20) : png_of(colour)};
  }

 private:
  Names pictures_;
  std::vector<Names> captions_;
};

void expect_rows(const at::Tensor& rows, const Names& expected) {
  ASSERT_EQ(rows.size(0), std::ssize(expected));
  for (std::int64_t i = 0; i < rows.size(0); ++i) {
    const auto& rgb = colours.at(expected[static_cast<std::size_t>(i)]);
    const double length = std::hypot(rgb[0], rgb[1], rgb[2]);
    for (std::int64_t c = 0; c < 3; ++c) {
      EXPECT_NEAR(rows[i][c].item<double>(), rgb[static_cast<std::size_t>(c)] / length, 1e-5) << "row " << i;
    }
  }
}

TEST(EmbedPairs, GivesEveryPictureAndEveryCaptionItsRow) {
  const ColourModel model;
  const std::shared_ptr<const vlalign::PairSource> pairs(
      new ColourPairs({"red", "yellow", "blue"}, {{"red", "green"}, {"red green"}, {"blue", "white", "blue"}}));
  const auto e = vlalign::embed_pairs(model.encoder, pairs);
  expect_rows(e.image, {"red", "yellow", "blue"});
  expect_rows(e.text, {"red", "green", "yellow", "blue", "white", "blue"});
  EXPECT_EQ(e.image_of_text, (std::vector<std::int64_t>{0, 0, 1, 2, 2, 2}));
  EXPECT_EQ(e.records, (std::vector<std::int64_t>{0, 1, 2}));
  EXPECT_EQ(e.names, (Names{"picture-0", "picture-1", "picture-2"}));
  EXPECT_EQ(e.captions, (Names{"red", "green", "red green", "blue", "white", "blue"}));
  EXPECT_TRUE(e.bad.empty());
}

TEST(EmbedPairs, LeavesOutBrokenPicturesAndNamesThem) {
  const ColourModel model;
  const std::shared_ptr<const vlalign::PairSource> pairs(
      new ColourPairs({"", "red", "", "blue"}, {{"green"}, {"red"}, {"white"}, {"blue"}}));
  for (const std::int64_t batch_size : {1, 2, 3, 100}) {
    const auto e = vlalign::embed_pairs(model.encoder, pairs, {.batch_size = batch_size, .threads = 3});
    expect_rows(e.image, {"red", "blue"});
    expect_rows(e.text, {"red", "blue"});
    EXPECT_EQ(e.records, (std::vector<std::int64_t>{1, 3}));
    EXPECT_EQ(e.image_of_text, (std::vector<std::int64_t>{0, 1}));
    ASSERT_EQ(e.bad.size(), 2U);
    EXPECT_NE(e.bad[0].find("picture-0"), std::string::npos) << e.bad[0];
    EXPECT_NE(e.bad[1].find("picture-2"), std::string::npos) << e.bad[1];
    EXPECT_EQ(vlalign::evaluate_retrieval(e).skipped, 2);
  }
}

TEST(EmbedPairs, FailsWhenNoPictureIsLeft) {
  const ColourModel model;
  const std::shared_ptr<const vlalign::PairSource> pairs(new ColourPairs({"", ""}, {{"red"}, {"blue"}}));
  const auto message = message_of<Error>([&] { vlalign::embed_pairs(model.encoder, pairs); });
  EXPECT_EQ(message.find("[embed_images] none of the 2 pictures could be read; the first: "), 0U) << message;
}

TEST(EmbedPairs, PassesOnWhatIsNotBadData) {
  const ColourModel model;
  const std::shared_ptr<const vlalign::PairSource> pairs(
      new ColourPairs({"red", "crash", "blue", "red"}, {{"red"}, {"red"}, {"blue"}, {"red"}}));
  EXPECT_THROW(vlalign::embed_pairs(model.encoder, pairs, {.batch_size = 2, .threads = 2}), std::runtime_error);
}

TEST(EmbedPairs, ReportsProgressAfterEachBatch) {
  const ColourModel model;
  const std::shared_ptr<const vlalign::PairSource> pairs(
      new ColourPairs({"red", "", "blue", "red", "red"}, {{"red"}, {"red"}, {"blue"}, {"red"}, {"red"}}));
  std::vector<std::pair<std::int64_t, std::int64_t>> seen;
  vlalign::EmbedOptions options{.batch_size = 2};
  options.progress = [&](std::int64_t done, std::int64_t total) { seen.emplace_back(done, total); };
  vlalign::embed_pairs(model.encoder, pairs, options);
  EXPECT_EQ(seen, (std::vector<std::pair<std::int64_t, std::int64_t>>{{2, 5}, {4, 5}, {5, 5}}));
  EXPECT_EQ(model.image->batch_sizes, (std::vector<std::int64_t>{1, 2, 1}));
}

TEST(EmbedPairs, HandsOutWhatItReturns) {
  const ColourModel model;
  const std::shared_ptr<const vlalign::PairSource> pairs(
      new ColourPairs({"red", "", "blue"}, {{"red"}, {"red"}, {"blue"}}));
  int calls = 0;
  vlalign::Embeddings seen;
  vlalign::EmbedOptions options;
  options.embedded = [&](const vlalign::Embeddings& embeddings, const vlalign::PairSource& source) {
    ++calls;
    seen = embeddings;
    EXPECT_EQ(&source, pairs.get());
  };
  const auto e = vlalign::embed_pairs(model.encoder, pairs, options);
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(seen.image.equal(e.image));
  EXPECT_TRUE(seen.text.equal(e.text));
  EXPECT_EQ(seen.records, e.records);
  EXPECT_EQ(seen.captions, e.captions);
}

TEST(EmbedPairs, EvaluatesAndPutsEachModulesModeBack) {
  const ColourModel model;
  const std::shared_ptr<const vlalign::PairSource> pairs(new ColourPairs({"red"}, {{"red"}}));
  const auto module = model.encoder.module();
  module->train();
  module->text->eval();  // a frozen tower
  EXPECT_FALSE(vlalign::embed_pairs(model.encoder, pairs).image.requires_grad());
  EXPECT_FALSE(model.image->was_training);
  EXPECT_FALSE(model.image->saw_gradients);
  EXPECT_TRUE(module->is_training());
  EXPECT_TRUE(model.image->is_training());
  EXPECT_FALSE(module->text->is_training());
  EXPECT_TRUE(at::GradMode::is_enabled());
}

TEST(EmbedTexts, EmbedsEachDistinctTextOnce) {
  const ColourModel model;
  const Names texts{"red", "blue", "red", "red", "blue white"};
  const auto rows = vlalign::embed_texts(model.encoder, texts, {.batch_size = 2});
  EXPECT_EQ(model.text->rows_seen, 3);
  EXPECT_TRUE(rows[0].equal(rows[2]) && rows[0].equal(rows[3]));
  expect_rows(rows.slice(0, 0, 4), {"red", "blue", "red", "red"});
}

TEST(EmbedTexts, RefusesNothingAtAllAndSenselessOptions) {
  const ColourModel model;
  EXPECT_EQ(message_of<Error>([&] { vlalign::embed_texts(model.encoder, {}); }), "[embed_texts] there is no text");
  const Names one{"red"};
  EXPECT_EQ(message_of<Error>([&] { vlalign::embed_texts(model.encoder, one, {.batch_size = 0}); }),
            "[embed] batch_size: expected at least 1, got 0");
  EXPECT_EQ(message_of<Error>([&] { vlalign::embed_texts(model.encoder, one, {.threads = 0}); }),
            "[embed] threads: expected at least 1, got 0");
  EXPECT_EQ(message_of<Error>([&] { vlalign::embed_texts(model.encoder, one, {.threads = 100'000}); }),
            "[embed] threads: expected at most 1024, got 100000");
}

TEST(EmbedImages, RefusesAFunctionThatIsNoneAndNoPictures) {
  const ColourModel model;
  EXPECT_EQ(message_of<Error>([&] { vlalign::embed_images(model.encoder, 1, {}); }),
            "[embed_images] read: expected a function, got an empty one");
  for (const std::int64_t count : {0, -1})
    EXPECT_EQ(message_of<Error>([&] { vlalign::embed_images(model.encoder, count, {}); }),
              "[embed_images] there is no picture");
}

TEST(EmbedImages, RefusesEmbeddingsThatAreNotFinite) {
  const ColourModel model;
  {
    at::NoGradGuard no_grad;
    model.encoder.module()->image_projection->weight.fill_(std::numeric_limits<float>::quiet_NaN());
    model.encoder.module()->text_projection->weight.fill_(std::numeric_limits<float>::infinity());
  }
  const std::shared_ptr<const vlalign::PairSource> pairs(new ColourPairs({"red"}, {{"red"}}));
  EXPECT_EQ(message_of<Error>([&] { vlalign::embed_images(model.encoder, pairs); }),
            "[embed_images] the model's embeddings: row 0 is not finite");
  EXPECT_EQ(message_of<Error>([&] { vlalign::embed_texts(model.encoder, Names{"red"}); }),
            "[embed_texts] the model's embeddings: row 0 is not finite");
}

TEST(ZeroShot, ClassifiesPicturesByTheNamesOfTheirClasses) {
  const ColourModel model;
  const std::shared_ptr<const vlalign::PairSource> pairs(
      new ColourPairs({"red", "blue", "", "yellow", "red"}, {{"red"}, {"blue"}, {"red"}, {"yellow"}, {"blue"}}));
  const Names classes{"red", "green", "blue", "yellow", "white"};
  const Names templates{"a photo of a {}", "the colour {}"};
  const auto scores = vlalign::evaluate_zero_shot(model.encoder, pairs, classes, templates);
  EXPECT_EQ(scores.images, 4);
  EXPECT_EQ(scores.skipped, 1);
  EXPECT_EQ(scores.top1, 0.75);  // the last is labelled blue
  EXPECT_EQ(scores.top5, 1.0);
  EXPECT_NEAR(scores.mean_per_class, (1.0 + 0.5 + 1.0) / 3.0, 1e-12);
  const auto images = vlalign::embed_images(model.encoder, pairs);
  const auto prototypes = vlalign::embed_classes(model.encoder, classes, templates);
  const auto scale = model.encoder.logit_scale().item<double>();
  const auto likelihood = at::matmul(images.image, prototypes.t()).mul(scale).softmax(1);
  const auto of_labels = likelihood[0][0] * likelihood[1][2] * likelihood[2][3] * likelihood[3][2];
  EXPECT_NEAR(scores.negative_log_likelihood, -std::log(of_labels.item<double>()) / 4.0, 1e-4);
}

TEST(Retrieval, OfAModelTellsItsTemperature) {
  const ColourModel model;
  const std::shared_ptr<const vlalign::PairSource> pairs(new ColourPairs({"red", "blue"}, {{"red"}, {"blue"}}));
  const auto scores = vlalign::evaluate_retrieval(model.encoder, pairs);
  EXPECT_NEAR(*scores.temperature, 1.0 / model.encoder.logit_scale().item<double>(), 1e-12);
}

TEST(ZeroShot, NamesTheRecordWhoseCaptionIsNoClass) {
  const ColourModel model;
  const std::shared_ptr<const vlalign::PairSource> pairs(new ColourPairs({"red", "blue"}, {{"red"}, {"Blue"}}));
  const Names classes{"red", "blue"};
  EXPECT_EQ(message_of<Error>(
                [&] { vlalign::evaluate_zero_shot(model.encoder, pairs, classes, vlalign::default_templates()); }),
            "picture-1: its caption \"Blue\" is not one of the 2 classes, nor a class's number from 0 to 1");
  const std::shared_ptr<const vlalign::PairSource> mixed(new ColourPairs({"red", "blue"}, {{"red"}, {"1"}}));
  EXPECT_EQ(message_of<Error>(
                [&] { vlalign::evaluate_zero_shot(model.encoder, mixed, classes, vlalign::default_templates()); }),
            "picture-1: its caption \"1\" is a class's number, where other captions are names");
}

TEST(ZeroShot, TakesEqualNamesForOneClassWhereLabelsAreNames) {
  const ColourModel model;
  const std::shared_ptr<const vlalign::PairSource> pairs(
      new ColourPairs({"red", "blue", "yellow", "blue"}, {{"red"}, {"blue"}, {"yellow"}, {"red"}}));
  const Names classes{"red", "green", "blue", "yellow", "red", "white", "red"};
  const Names templates{"a photo of a {}"};
  const vlalign::test::CapturedLog log;
  const auto scores = vlalign::evaluate_zero_shot(model.encoder, pairs, classes, templates);
  EXPECT_EQ(scores.top1, 0.75);  // the last is blue
  EXPECT_NEAR(scores.mean_per_class, (0.5 + 1.0 + 1.0) / 3.0, 1e-12);
  const auto images = vlalign::embed_images(model.encoder, pairs);
  const auto prototypes = vlalign::embed_classes(model.encoder, classes, templates);
  const auto p = at::matmul(images.image, prototypes.t()).mul(model.encoder.logit_scale().item<double>()).softmax(1);
  const auto of_red = [&](int row) { return p[row][0] + p[row][4] + p[row][6]; };
  const auto of_labels = of_red(0) * p[1][2] * p[2][3] * of_red(3);
  EXPECT_NEAR(scores.negative_log_likelihood, -std::log(of_labels.item<double>()) / 4.0, 1e-4);
  EXPECT_EQ(log.count("1 of the class names stand more than once: \"red\""), 2);  // once for each call
}

TEST(ZeroShot, TakesNumbersForTheClassesOfThatPlaceAsArgmaxDoes) {
  const ColourModel model;
  const Names classes{"red", "green", "blue", "red"};
  const Names templates{"a photo of a {}"};
  const std::shared_ptr<const vlalign::PairSource> pairs(
      new ColourPairs({"red", "blue", "red", "green"}, {{"0"}, {"2"}, {"3"}, {"1"}}));
  const auto scores = vlalign::evaluate_zero_shot(model.encoder, pairs, classes, templates);
  const auto images = vlalign::embed_images(model.encoder, pairs);
  const auto prototypes = vlalign::embed_classes(model.encoder, classes, templates);
  const auto predicted = at::matmul(images.image, prototypes.t()).argmax(1);
  const std::vector<std::int64_t> labels{0, 2, 3, 1};
  double right = 0;
  for (std::int64_t i = 0; i < 4; ++i)
    right += predicted[i].item<std::int64_t>() == labels[static_cast<std::size_t>(i)];
  EXPECT_EQ(right, 3);
  EXPECT_EQ(scores.top1, right / 4);
  EXPECT_EQ(scores.top5, 1.0);
}

/// Red and blue, of which something was lost before.
class LossyPairs : public ColourPairs {
 public:
  LossyPairs() : ColourPairs({"red", "", "blue"}, {{"red"}, {"red"}, {"blue"}}) {}
  Names bad_records() const override { return {"a.tsv:3: the caption is empty"}; }
};

TEST(EmbedPairs, CountsWhatTheSourceLeftOutAmongTheBad) {
  const ColourModel model;
  const auto embeddings = vlalign::embed_pairs(model.encoder, std::make_shared<LossyPairs>());
  ASSERT_EQ(embeddings.bad.size(), 2U);
  EXPECT_EQ(embeddings.bad[0], "a.tsv:3: the caption is empty");
  EXPECT_NE(embeddings.bad[1].find("picture-1: "), std::string::npos) << embeddings.bad[1];
  EXPECT_EQ(embeddings.records, (std::vector<std::int64_t>{0, 2}));
  EXPECT_EQ(
      vlalign::evaluate_zero_shot(model.encoder, std::make_shared<LossyPairs>(), Names{"red", "blue"}, Names{"{}"})
          .skipped,
      2);
}

TEST(Search, FindsThePicturesThatFitAndSkipsBrokenOnes) {
  const ColourModel model;
  const vlalign::test::TempFolder folder;
  std::filesystem::create_directories(folder.path() / "more");
  const auto write = [&](const std::string& name, const std::vector<std::byte>& bytes) {
    std::ofstream(folder.path() / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
  };
  write("b.png", png_of("blue"));
  write("more/a.png", png_of("red"));
  write("a.png", png_of("yellow"));
  write("broken.PNG", std::vector<std::byte>(30));
  write("notes.txt", std::vector<std::byte>(30));

  const auto index = vlalign::index_images(model.encoder, folder.path());
  const std::vector<std::filesystem::path> paths{folder.path() / "a.png", folder.path() / "b.png",
                                                 folder.path() / "more" / "a.png"};
  EXPECT_EQ(index.paths, paths);
  ASSERT_EQ(index.bad.size(), 1U);
  EXPECT_NE(index.bad[0].find("broken.PNG"), std::string::npos);

  const auto hits = vlalign::search(model.encoder, index, "red", 2);
  ASSERT_EQ(hits.size(), 2U);
  EXPECT_EQ(hits[0].path, paths[2]);
  EXPECT_NEAR(hits[0].score, 1.0, 1e-5);
  EXPECT_EQ(hits[1].path, paths[0]);
  EXPECT_NEAR(hits[1].score, std::sqrt(0.5), 1e-5);  // between red and yellow there are 45 degrees
  EXPECT_EQ(vlalign::search_images(model.encoder, folder.path(), "blue", 9).size(), 3U);
}

/// A picture that Pillow made, under two names: as pairs and in a folder.
TEST(Pixels, OfTransparentPicturesAreThosePreprocessAsksFor) {
  const auto odd = std::filesystem::path(VLALIGN_FIXTURES) / "odd_images";
  const auto file = odd / "good/palette_alpha.png";
  const vlalign::test::TempFolder folder;
  std::filesystem::copy_file(file, folder.path() / "a.png");
  std::ofstream(folder.path() / "pairs.tsv") << "filepath\ttitle\na.png\tred\n";
  for (const auto as : {vlalign::PixelsAs::vlalign, vlalign::PixelsAs::peer}) {
    const ColourModel model{as};
    const bool peer = as == vlalign::PixelsAs::peer;
    const auto reference = (peer ? odd / "peer/palette_alpha.png" : file).string() + ".ppm";
    const auto expected =
        vlalign::embed_images(model.encoder, 1, [&](auto) { return vlalign::test::read_ppm(reference); });
    const auto pairs = vlalign::open_pairs((folder.path() / "pairs.tsv").string());
    EXPECT_TRUE(vlalign::embed_images(model.encoder, pairs).image.equal(expected.image));
    EXPECT_TRUE(vlalign::index_images(model.encoder, folder.path()).image.equal(expected.image));
  }
}

/// A JPEG may be decoded at a fraction of its size, but not below what the picture is resized to before the crop.
TEST(Search, EmbedsWhatTheWholePictureGives) {
  auto config = vlalign::preset("tiny");
  config.vision = vlalign::VitConfig{.patch_size = 4, .width = 16, .layers = 1, .head_width = 8};
  config.image_projection.bias = false;
  config.preprocess.image_size = 16;
  config.preprocess.resize_size = 24;
  const auto model = vlalign::DualEncoder::create(
      config, std::make_shared<vlalign::ClipTokenizer>(std::vector<vlalign::ClipTokenizer::Merge>{}));
  const vlalign::test::TempFolder folder;
  const auto picture = folder.path() / "large.jpg";  // 49 x 32 pixels, and half of 32 would be 16
  std::filesystem::copy_file(std::filesystem::path(VLALIGN_FIXTURES) / "images" / "large.jpg", picture);
  const auto index = vlalign::index_images(model, folder.path());
  const auto whole = vlalign::embed_images(model, 1, [&](std::int64_t) { return vlalign::read_image(picture); });
  EXPECT_TRUE(index.image.equal(whole.image));
}

TEST(Search, SaysWhatIsMissing) {
  const ColourModel model;
  const vlalign::test::TempFolder folder;
  EXPECT_EQ(message_of<Error>([&] { vlalign::index_images(model.encoder, folder.path() / "none"); }),
            (folder.path() / "none").string() + ": no such folder");
  EXPECT_EQ(message_of<Error>([&] { vlalign::index_images(model.encoder, folder.path()); }),
            folder.path().string() +
                ": no pictures in this folder or below (.jpg, .jpeg, .jpe, .jfif, .png, .apng or .webp)");
}

TEST(Search, KeepsTheOrderOfPathsAmongEqualScores) {
  vlalign::ImageIndex index;
  index.paths = {"a", "b", "c", "d"};
  index.image = at::tensor({0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0}, at::kFloat).view({4, 2});
  const auto hits = vlalign::best_matches(index, at::tensor({1.0, 0.0}, at::kFloat), 3);
  ASSERT_EQ(hits.size(), 3U);
  EXPECT_EQ(hits[0].path, "b");
  EXPECT_EQ(hits[1].path, "d");
  EXPECT_EQ(hits[2].path, "a");
  EXPECT_EQ(vlalign::to_json(hits), R"([{"path":"b","score":1.0},{"path":"d","score":1.0},{"path":"a","score":0.0}])");
}

}  // namespace
