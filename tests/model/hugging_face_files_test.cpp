// What transformers reads from a folder's files, and where (tests/fixtures/make_hugging_face.py).
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "support/log_lines.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/config/model_config.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/model/peers/read_config.hpp"

namespace vlalign::hugging_face_files_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::message_of;
using test::TempFolder;

const json& fixture() {
  static const auto all = json::parse(read_file(fs::path(VLALIGN_FIXTURES) / "hugging_face.json"));
  return all;
}

void write_files(const fs::path& folder, const json& files) {
  for (const auto& [name, content] : files.items()) write_file_atomically(folder / name, content.dump());
}

json config_of(const std::string& model_type, int image_size) {
  return {{"model_type", model_type}, {"vision_config", {{"image_size", image_size}}}};
}

/// Of a 2 x 2 picture, three numbers a pixel.
std::vector<double> pixels_of(const Preprocess& how) {
  std::vector<double> pixels;
  for (const int value : {0, 51, 255, 64, 128, 200, 10, 20, 30, 255, 255, 255}) {
    const auto channel = pixels.size() % 3;
    pixels.push_back((value / 255.0 - how.mean[channel]) / how.std[channel]);
  }
  return pixels;
}

TEST(HuggingFaceFiles, PreparePicturesAsTransformersDoes) {
  for (const auto& entry : fixture().at("processors")) {
    const TempFolder folder;
    const int crop = entry.at("crop"), resize = entry.at("resize").at(0);
    write_files(folder.path(), entry.at("files"));
    write_files(folder.path(), {{"config.json", config_of(entry.at("model_type"), crop)}});
    const auto how = read_model_config(folder.path() / "config.json").preprocess;
    const auto expected = entry.at("pixels").get<std::vector<double>>(), pixels = pixels_of(how);
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(pixels[i], expected[i], 2e-6) << entry.at("files");
    EXPECT_EQ(how.image_size, crop) << entry.at("files");
    EXPECT_EQ(how.resize_size > 0 ? how.resize_size : crop, resize) << entry.at("files");
    EXPECT_EQ(how.resize == Preprocess::Resize::squash, entry.at("resize").at(1) == "square") << entry.at("files");
    EXPECT_EQ(how.interpolation == Interpolation::bicubic ? 3 : 2, entry.at("resample")) << entry.at("files");
  }
}

TEST(HuggingFaceFiles, WithoutPreprocessingAModelIsFedItsFamilysWayAndAWarningSaysSo) {
  const Preprocess openai;
  constexpr std::array<double, 3> halves{0.5, 0.5, 0.5};
  for (const auto* type : {"clip", "siglip", "align"}) {
    const TempFolder folder;
    write_files(folder.path(), {{"config.json", config_of(type, 64)}});
    const test::LogLines log;
    const auto how = read_model_config(folder.path() / "config.json").preprocess;
    const bool clip = std::string_view(type) == "clip";
    EXPECT_EQ(how.mean, clip ? openai.mean : halves);
    EXPECT_EQ(how.std, clip ? openai.std : halves);
    EXPECT_EQ(how.resize, clip ? Preprocess::Resize::shortest : Preprocess::Resize::squash);
    EXPECT_EQ(how.image_size, 64);
    EXPECT_TRUE(log.has("neither processor_config.json nor preprocessor_config.json"));
  }
}

TEST(HuggingFaceFiles, NameTheFileAndKeyThatIsWrong) {
  const TempFolder folder;
  write_files(folder.path(), {{"config.json", config_of("clip", 64)}});
  const auto error_of = [&](const json& files) {
    write_files(folder.path(), files);
    auto message = message_of<Error>([&] { read_model_config(folder.path() / "config.json"); });
    return message.starts_with(folder.path().string()) ? message.substr(folder.path().string().size() + 1) : message;
  };
  const json side{{"height", 64}, {"width", 64}};
  EXPECT_EQ(error_of({{"processor_config.json",
                       {{"image_processor", {{"size", side}, {"crop_size", side}, {"image_std", {0, 1, 1}}}}}}}),
            "processor_config.json.image_processor.image_std: expected positive numbers");
  EXPECT_EQ(error_of({{"processor_config.json", {{"image_processor", 3}}}}),
            "processor_config.json.image_processor: expected an object, got number");
  EXPECT_NE(error_of({{"processor_config.json",
                       {{"image_processor", {{"size", {{"shortest_edge", 64}, {"longest_edge", 99}}}}}}}})
                .find("longest_edge = 99 asks for something that is not built here"),
            std::string::npos);
}

std::string name_of(Activation activation) {
  return activation == Activation::gelu         ? "gelu"
         : activation == Activation::quick_gelu ? "quick_gelu"
                                                : "gelu_pytorch_tanh";
}

TEST(HuggingFaceFiles, OldKeysOfAConfigCountAsInTransformers) {
  for (const auto& entry : fixture().at("configs")) {
    const TempFolder folder;
    write_files(folder.path(), {{"config.json", entry.at("config")}});
    const test::LogLines log;
    const auto config = read_model_config(folder.path() / "config.json");
    const auto& text = config.text;
    const auto& vit = std::get<VitConfig>(config.vision);
    const auto whole = [](std::int64_t width, double ratio) { return std::lround(static_cast<double>(width) * ratio); };
    const auto expect = [&](const json& wanted, const json& ours) {
      for (const auto& [key, value] : ours.items()) EXPECT_EQ(value, wanted.at(key)) << key << entry.at("config");
    };
    json ours{{"hidden_size", text.width},
              {"intermediate_size", whole(text.width, text.mlp_ratio)},
              {"num_hidden_layers", text.layers},
              {"num_attention_heads", text.heads},
              {"hidden_act", name_of(text.activation)},
              {"layer_norm_eps", text.norm_eps},
              {"vocab_size", text.vocab_size},
              {"max_position_embeddings", text.context_length}};
    if (config.scale.bias == std::nullopt) ours["eos_token_id"] = text.end_id;  // SigLIP pools at no token
    expect(entry.at("text"), ours);
    expect(entry.at("vision"), {{"hidden_size", vit.width},
                                {"intermediate_size", whole(vit.width, vit.mlp_ratio)},
                                {"num_hidden_layers", vit.layers},
                                {"num_attention_heads", vit.width / vit.head_width},
                                {"hidden_act", name_of(vit.activation)},
                                {"layer_norm_eps", vit.norm_eps},
                                {"image_size", config.preprocess.image_size},
                                {"patch_size", vit.patch_size}});
  }
}

}  // namespace
}  // namespace vlalign::hugging_face_files_test
