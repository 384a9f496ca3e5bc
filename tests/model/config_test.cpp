#include "vlalign/model/config.hpp"

#include <gtest/gtest.h>

#include "core/files.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign {
namespace {

using test::message_of;
using test::TempFolder;

class Config : public testing::Test {
 protected:
  ModelConfig read(const std::string& text) {
    write_file_atomically(file_, text);
    return read_model_config(file_);
  }
  std::string error_of(const std::string& text) {
    auto message = message_of<Error>([&] { read(text); });
    return message.starts_with(file_.string()) ? message.substr(file_.string().size()) : message;
  }

  TempFolder folder_;
  std::filesystem::path file_ = folder_.path() / "own.json";
};

TEST_F(Config, ReadsThePeersForm) {
  const auto config = read(R"({"embed_dim": 640, "vision_cfg": {"image_size": 288, "layers": [4, 6, 10, 6], "width": 80,
    "patch_size": null}, "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 640, "heads": 10, "layers": 12}})");
  EXPECT_EQ(config.name, "own");
  EXPECT_EQ(config.embed_dim, 640);
  EXPECT_EQ(config.preprocess.image_size, 288);
  EXPECT_EQ(std::get<ModifiedResNetConfig>(config.vision).layers, (std::vector<std::int64_t>{4, 6, 10, 6}));
  EXPECT_EQ(config.text.heads, 10);
  EXPECT_EQ(config.text.activation, Activation::gelu);
}

TEST_F(Config, ReadsBackWhatItWrites) {
  for (const auto& name : preset_names()) {
    const auto before = preset(name);
    if (before.layout != Layout::open_clip) continue;
    const auto after = read(to_open_clip_json(before));
    EXPECT_EQ(to_open_clip_json(after), to_open_clip_json(before)) << name;
    EXPECT_EQ(after.name, name);
    EXPECT_EQ(after.text.activation == Activation::quick_gelu, name.ends_with("-quickgelu"));
  }
}

TEST_F(Config, NamesTheKeyThatIsMissingOrWrong) {
  EXPECT_EQ(error_of(R"({"vision_cfg": {}, "text_cfg": {}})"), ": (top).embed_dim is missing");
  EXPECT_EQ(error_of(R"({"embed_dim": -4, "vision_cfg": {}, "text_cfg": {}})"),
            ": (top).embed_dim: expected a positive number, got -4");
  EXPECT_EQ(error_of(R"({"embed_dim": 4, "vision_cfg": {"width": "wide"}, "text_cfg": {}})"),
            ": (top).vision_cfg.width: not a value of the expected kind: \"wide\"");
  EXPECT_EQ(error_of(R"({"embed_dim": 4, "vision_cfg": {"image_size": [224, 196]}, "text_cfg": {}})"),
            ": (top).vision_cfg.image_size: only square images are built here, got [224,196]");
}

TEST_F(Config, RefusesWhatItDoesNotBuild) {
  EXPECT_EQ(error_of(R"({"embed_dim": 4, "vision_cfg": {"timm_model_name": "convnext"}, "text_cfg": {}})"),
            ": (top).vision_cfg.timm_model_name: SigLIP's ViTs and resnet18 to resnet152 are built here, not convnext");
  EXPECT_EQ(error_of(R"({"embed_dim": 4, "vision_cfg": {"qk_norm": true}, "text_cfg": {}})"),
            ": (top).vision_cfg.qk_norm = true asks for something that is not built here");
  EXPECT_EQ(
      error_of(R"({"model_type": "blip"})"),
      ": model_type \"blip\" is not one that is built here: clip, siglip (SigLIP 2 of fixed resolution too) or align");
}

TEST_F(Config, RefusesWhatIsNotJson) { EXPECT_NE(error_of("{\"embed_dim\": ").find(": not JSON"), std::string::npos); }

TEST_F(Config, ListsThePresetsWhenThereIsNoneOfThatName) {
  const auto message = message_of<Error>([] { preset("ViT-B-33"); });
  EXPECT_NE(message.find("unknown model \"ViT-B-33\""), std::string::npos);
  EXPECT_NE(message.find("ViT-B-32-quickgelu"), std::string::npos);
}

}  // namespace
}  // namespace vlalign
