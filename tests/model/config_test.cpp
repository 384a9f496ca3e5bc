#include <gtest/gtest.h>

#include <set>
#include <string>

#include "core/io/files.hpp"
#include "model/peers/config_json.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/config/model_config.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/model/peers/read_config.hpp"
#include "vlalign/model/presets.hpp"

namespace vlalign::config_test {
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
  const std::set<std::string> not_built{"gte-modernbert-base-ViT-B-32-256", "swin_base_patch4_window7_224",
                                        "vit_relpos_medium_patch16_cls_224"};
  for (const auto& name : preset_names()) {
    if (not_built.contains(name)) {
      EXPECT_NE(message_of<Error>([&] { preset(name); }).find("model_name"), std::string::npos) << name;
      continue;
    }
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
            ": (top).embed_dim: expected a positive number of at most 2^24, got -4");
  EXPECT_EQ(error_of(R"({"embed_dim": 4, "vision_cfg": {"width": "wide"}, "text_cfg": {}})"),
            ": (top).vision_cfg.width: not a value of the expected kind: \"wide\"");
  EXPECT_EQ(error_of(R"({"embed_dim": 4, "vision_cfg": {"image_size": [224, 196]}, "text_cfg": {}})"),
            ": (top).vision_cfg.image_size: only square images are built here, got [224,196]");
}

TEST_F(Config, RefusesWhatItDoesNotBuild) {
  const auto convnext = error_of(R"({"embed_dim": 4, "vision_cfg": {"timm_model_name": "convnext"}, "text_cfg": {}})");
  EXPECT_TRUE(convnext.starts_with(": (top).vision_cfg.timm_model_name: ")) << convnext;
  EXPECT_TRUE(convnext.ends_with(" are built here, not convnext")) << convnext;
  EXPECT_EQ(error_of(R"({"embed_dim": 4, "vision_cfg": {"timm_model_name": "resnet18", "qk_norm": true},
                         "text_cfg": {}})"),
            ": (top).vision_cfg.qk_norm = true asks for something that is not built here");
  const auto blip = error_of(R"({"model_type": "blip"})");
  EXPECT_TRUE(blip.starts_with(": model_type \"blip\" is not one that is built here: ")) << blip;
  EXPECT_NE(blip.find("clip, siglip"), std::string::npos) << blip;
}

TEST_F(Config, RefusesNumbersThatWouldBeCutOrOverflow) {
  const auto model = [](const std::string& vision) {
    return R"({"embed_dim": 4, "vision_cfg": )" + vision + R"(, "text_cfg": {}})";
  };
  EXPECT_EQ(error_of(model(R"({"width": 1e300})")),
            ": (top).vision_cfg.width: not a value of the expected kind: 1e+300");
  EXPECT_EQ(error_of(model(R"({"width": 96.5})")), ": (top).vision_cfg.width: not a value of the expected kind: 96.5");
  EXPECT_EQ(error_of(model(R"({"width": 18446744073709551615})")),
            ": (top).vision_cfg.width: not a value of the expected kind: 18446744073709551615");
  EXPECT_EQ(error_of(model(R"({"layers": [3, 4, 6.5, 3]})")),
            ": (top).vision_cfg.layers: not a value of the expected kind: [3,4,6.5,3]");
  EXPECT_EQ(error_of(R"({"embed_dim": 4, "init_logit_scale": 1e300, "vision_cfg": {}, "text_cfg": {}})"),
            ": (top).init_logit_scale: expected -50 to 50, got 1e+300");
}

TEST_F(Config, NamesTheLimitOfWhatIsTooLarge) {
  const auto vision = [](const std::string& cfg) {
    return R"({"embed_dim": 4, "vision_cfg": )" + cfg + R"(, "text_cfg": {}})";
  };
  EXPECT_EQ(error_of(vision(R"({"image_size": 1000000000})")),
            ": (top).vision_cfg.image_size: expected the side in pixels, 1 to 8192, got 1000000000");
  EXPECT_EQ(error_of(vision(R"({"layers": 1000000000})")),
            ": (top).vision_cfg.layers: expected 0 to 2^24, got 1000000000");
  EXPECT_EQ(error_of(vision(R"({"layers": [1, 1000000000, 1, 1]})")),
            ": (top).vision_cfg.layers: expected positive numbers of at most 2^24, got 1000000000");
}

TEST_F(Config, ShowsWhatIsNoNumberAsTheFileHasIt) {
  const auto of_size = [](const std::string& size) {
    return R"({"embed_dim": 4, "vision_cfg": {"image_size": )" + size + R"(}, "text_cfg": {}})";
  };
  const std::string where = ": (top).vision_cfg.image_size: expected the side in pixels, 1 to 8192, got ";
  EXPECT_EQ(error_of(of_size("NaN")), where + "NaN");
  EXPECT_EQ(error_of(of_size("[Infinity, 224]")), where + "[Infinity,224]");
  EXPECT_EQ(error_of(R"({"embed_dim": -Infinity, "vision_cfg": {}, "text_cfg": {}})"),
            ": (top).embed_dim: not a value of the expected kind: -Infinity");
}

TEST_F(Config, RefusesAPreprocessingThatDividesByZeroOrHasAFourthColour) {
  const auto preprocess = [](const std::string& how) {
    return R"({"model_cfg": {"embed_dim": 4, "vision_cfg": {}, "text_cfg": {}}, "preprocess_cfg": )" + how + "}";
  };
  EXPECT_EQ(error_of(preprocess(R"({"std": [0.5, 0, 0.5]})")), ": preprocess_cfg.std: expected positive numbers");
  EXPECT_EQ(error_of(preprocess(R"({"vlalign_pixels_as": "pillow"})")),
            ": preprocess_cfg.vlalign_pixels_as: vlalign or peer, got pillow");
  EXPECT_EQ(error_of(preprocess(R"({"mean": [0, 0, 0, 0]})")),
            ": preprocess_cfg.mean: not a value of the expected kind: [0,0,0,0]");
}

TEST_F(Config, RefusesAKeyNamedTwiceAndValuesThatWouldOverflowTheStack) {
  EXPECT_EQ(error_of(R"({"embed_dim": 4, "embed_dim": 5, "vision_cfg": {}, "text_cfg": {}})"),
            ": \"embed_dim\" is named twice");
  EXPECT_EQ(error_of(R"({"embed_dim": )" + std::string(100'000, '[') + std::string(100'000, ']') + "}"),
            ": values are nested more than 64 deep");
}

TEST_F(Config, KeepsThePatchDropoutOfATowerThatTimmNames) {
  auto before = preset("ViT-B-16-SigLIP");
  std::get<VitConfig>(before.vision).patch_dropout = 0.25;
  EXPECT_EQ(std::get<VitConfig>(read(to_open_clip_json(before)).vision).patch_dropout, 0.25);
}

TEST_F(Config, KeepsTheSpreadOfTokenEmbeddings) {
  auto before = preset("ViT-B-32");
  EXPECT_EQ(to_open_clip_json(before).find("token_std"), std::string::npos);
  before.text.token_std = 0.5;
  EXPECT_EQ(read(to_open_clip_json(before)).text.token_std, 0.5);
  EXPECT_NE(error_of(R"({"embed_dim": 4, "vision_cfg": {}, "text_cfg": {"token_std": -1}})").find("text_cfg.token_std"),
            std::string::npos);
}

TEST_F(Config, KeepsAStemAndTowersWithoutBlocksAndNoPeerIsOfferedThem) {
  auto before = preset("ViT-B-32");
  auto& vit = std::get<VitConfig>(before.vision);
  vit.stem = {8, 16}, vit.layers = 0, before.text.layers = 0;
  const auto after = read(to_open_clip_json(before));
  EXPECT_EQ(std::get<VitConfig>(after.vision).stem, vit.stem);
  EXPECT_EQ(std::get<VitConfig>(after.vision).layers, 0);
  EXPECT_EQ(after.text.layers, 0);
  EXPECT_NE(message_of<Error>([&] {
              config_files(with_layout(before, Layout::hugging_face));
            }).find("transformers has no such image tower"),
            std::string::npos);
  EXPECT_EQ(error_of(R"({"embed_dim": 4, "vision_cfg": {"layers": -1}, "text_cfg": {}})"),
            ": (top).vision_cfg.layers: expected 0 to 2^24, got -1");
}

TEST_F(Config, RefusesWidthsThatHeadsDoNotDivideAndAbsurdOnes) {
  EXPECT_EQ(error_of(R"({"embed_dim": 4, "vision_cfg": {"width": 100, "head_width": 64}, "text_cfg": {}})"),
            ": (top).vision_cfg: width 100 is not a multiple of head_width 64");
  EXPECT_EQ(error_of(R"({"model_type": "clip", "text_config": {"hidden_size": 4, "intermediate_size": 300}})"),
            ".text_config.intermediate_size: expected at most 64 times the width 4, got 300");
}

TEST_F(Config, RefusesAnEmbeddingOfAnotherWidthThanATowerWithoutProjection) {
  EXPECT_EQ(error_of(R"({"embed_dim": 767, "vision_cfg": {"image_size": 224, "timm_pool": "map", "timm_proj": "none",
    "timm_model_name": "vit_base_patch16_siglip_224"}, "text_cfg": {}})"),
            ": (top).vision_cfg: without a projection the width of vit_base_patch16_siglip_224, 768, must be "
            "embed_dim, 767");
}

TEST_F(Config, RefusesALayoutThatWouldLoseAPartOfTheModel) {
  const auto error = [](const ModelConfig& config) {
    return message_of<Error>([&] { config_files(with_layout(config, Layout::hugging_face)); });
  };
  auto config = preset("ViT-B-32");
  config.scale.bias = -10;
  EXPECT_NE(error(config).find("transformers' CLIP has no logit bias"), std::string::npos);
  config = preset("ViT-B-32");
  std::get<VitConfig>(config.vision).norm_after_pool = true;
  EXPECT_NE(error(config).find("transformers has no such image tower"), std::string::npos);
}

TEST_F(Config, KeepsThatAnAlignHasNoPooler) {
  auto config = preset("align-base");
  for (const bool pooler : {true, false}) {
    config.text.pooler = pooler;
    EXPECT_EQ(read(config_files(with_layout(config, Layout::hugging_face))[0].text).text.pooler, pooler);
  }
}

TEST_F(Config, SaysThatAPathIsNoFile) {
  const auto error = [](const std::filesystem::path& path) {
    return message_of<Error>([&] { read_model_config(path); });
  };
  EXPECT_EQ(error(folder_.path()), folder_.path().string() + ": is a folder, a file is needed");
  const auto long_name = folder_.path() / std::string(300, 'a');
  EXPECT_EQ(error(long_name), long_name.string() + ": cannot read: File name too long");
}

TEST_F(Config, RefusesWhatIsNotJson) { EXPECT_NE(error_of("{\"embed_dim\": ").find(": not JSON"), std::string::npos); }

TEST_F(Config, ListsThePresetsWhenThereIsNoneOfThatName) {
  const auto message = message_of<Error>([] { preset("ViT-B-33"); });
  EXPECT_NE(message.find("unknown model \"ViT-B-33\""), std::string::npos);
  const auto nearest = [](const std::string& name) {
    const auto said = message_of<Error>([&] { preset(name); });
    const auto begin = said.rfind("such as ") + 8;
    return said.substr(begin, said.find(',', begin) - begin);
  };
  EXPECT_EQ(nearest("vit-b-32"), "ViT-B-32");
  EXPECT_EQ(nearest("ViT_B_32"), "ViT-B-32");
  EXPECT_EQ(nearest("ViT-B-16-SigLP"), "ViT-B-16-SigLIP");
  EXPECT_EQ(nearest("mobileclip2-s0"), "MobileCLIP2-S0");
  EXPECT_NE(nearest("siglip").find("SigLIP"), std::string::npos);
  EXPECT_EQ(nearest("RN50-quickgelu-quickgelu"), "RN50-quickgelu");
  EXPECT_LT(message_of<Error>([] { preset(""); }).size(), 200U);  // not all of them
}

}  // namespace
}  // namespace vlalign::config_test
