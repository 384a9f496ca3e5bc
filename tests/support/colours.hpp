#pragma once

#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/io/files.hpp"
#include "support/temp_folder.hpp"
#include "tokenizers/clip_tokenizer.hpp"
#include "vlalign/loss/info_nce.hpp"
#include "vlalign/train/trainer.hpp"

namespace vlalign::test {

/// Squares of one colour each, captioned with the colour: pairs that a small model learns in seconds.
class Colours : public testing::Test {
 protected:
  void SetUp() override {
    std::string table = "filepath\ttitle\n";
    const std::vector<std::pair<std::string, std::array<std::uint8_t, 3>>> colours{
        {"red", {220, 30, 30}},  {"green", {30, 180, 40}},   {"blue", {30, 40, 220}},    {"white", {240, 240, 240}},
        {"black", {10, 10, 10}}, {"yellow", {240, 230, 20}}, {"violet", {150, 30, 200}}, {"orange", {250, 140, 20}}};
    for (const auto& [name, rgb] : colours) {
      Image image{.width = 40, .height = 32, .rgb = {}};
      for (int i = 0; i < image.width * image.height; ++i) image.rgb.insert(image.rgb.end(), rgb.begin(), rgb.end());
      const auto png = encode_png(image);
      write_file_atomically(folder_.path() / (name + ".png"), {reinterpret_cast<const char*>(png.data()), png.size()});
      table += name + ".png\ta " + name + " square\n";
    }
    write_file_atomically(folder_.path() / "pairs.tsv", table);
    pairs_ = open_pairs((folder_.path() / "pairs.tsv").string());
  }

  static DualEncoder model(std::uint64_t seed = 1, bool resnet = false, std::int64_t layers = 1) {
    ModelConfig config;
    config.name = "small";
    config.embed_dim = 16;
    if (resnet) {
      config.vision = ModifiedResNetConfig{.layers = {1, 1, 1, 1}, .width = 4};
    } else {
      config.vision = VitConfig{.patch_size = 16, .width = 32, .layers = layers, .head_width = 16};
    }
    config.text = {.context_length = 16, .vocab_size = 514, .width = 32, .heads = 2, .layers = layers};
    config.preprocess.image_size = 32;
    return DualEncoder::create(config, std::make_shared<ClipTokenizer>(std::vector<ClipTokenizer::Merge>{}), seed);
  }

  TrainerOptions options(std::int64_t steps) const {
    TrainerOptions o;
    o.batch_size = 4;
    o.steps = steps;
    o.learning_rate = 3e-3;
    o.augmentation = augmentation_policy("mild");
    o.seed = 7;
    return o;
  }

  TrainSummary train(const DualEncoder& trained, const TrainerOptions& how) const {
    return Trainer(trained, InfoNCE(), how).fit(pairs_);
  }

  static void expect_equal_bits(const DualEncoder& a, const DualEncoder& b) {
    const TempFolder folder;
    a.save(folder.path() / "a"), b.save(folder.path() / "b");
    EXPECT_EQ(read_file(folder.path() / "a" / "open_clip_model.safetensors"),
              read_file(folder.path() / "b" / "open_clip_model.safetensors"));
  }

  static std::vector<nlohmann::json> metrics(const std::filesystem::path& run) {
    std::vector<nlohmann::json> lines;
    std::istringstream text(read_file(run / "metrics.jsonl"));
    for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
  }

  TempFolder folder_;
  std::shared_ptr<const PairSource> pairs_;
};

}  // namespace vlalign::test
