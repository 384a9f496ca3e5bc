// Checkpoints as older versions and other programs left them give what the peer's own file gives.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/io/files.hpp"
#include "model/peers/model_folder.hpp"
#include "support/log_lines.hpp"
#include "support/model_fixture.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/model/peers/read_config.hpp"
#include "vlalign/nn/bert.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::old_weights_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::expected_of;
using test::largest_difference;
using test::message_of;
using test::model_fixture;
using test::TempFolder;

constexpr double close = 1e-5;

const char* weights_name(const std::string& fixture) {
  return fixture.starts_with("hf_") ? "model.safetensors" : "open_clip_model.safetensors";
}

/// A copy of a fixture with other weights.
template <typename Change>
void write_changed(const std::string& fixture, const fs::path& folder, const Change& change) {
  for (const auto& entry : fs::directory_iterator(model_fixture(fixture)))
    if (entry.path().extension() == ".json" && entry.path().filename() != "model.safetensors.index.json")
      fs::copy_file(entry.path(), folder / entry.path().filename());
  NamedTensors changed;
  for (const auto& [name, tensor] : read_folder_tensors(model_fixture(fixture)).tensors) change(name, tensor, changed);
  write_safetensors(folder / weights_name(fixture), changed, {});
}

void expect_peers_embeddings(const DualEncoder& model, const std::string& fixture) {
  const at::NoGradGuard no_grad;
  const auto expected = expected_of(fixture);
  EXPECT_LT(largest_difference(model.encode_image(expected.at("pixels")), expected.at("image_embedding")), close);
  EXPECT_LT(largest_difference(model.encode_text(expected.at("tokens")), expected.at("text_embedding")), close);
}

DualEncoder peer_model(const fs::path& folder) { return test::peer_model(folder, config_file_of(folder)); }

/// As bert-base-uncased's first checkpoint names them, with the buffers of versions before 4.31.
void as_first_bert(const std::string& name, const at::Tensor& tensor, NamedTensors& out) {
  auto old = name;
  if (name.find("LayerNorm.") != name.npos) {
    const auto at = name.rfind('.') + 1;
    old.replace(at, name.npos, name.ends_with("weight") ? "gamma" : "beta");
  }
  out.emplace(old, tensor);
  if (const auto at = name.find("embeddings.word_embeddings"); at != name.npos) {
    out.emplace(name.substr(0, at) + "embeddings.position_ids", at::arange(12).unsqueeze(0));
    out.emplace(name.substr(0, at) + "embeddings.token_type_ids", at::zeros({1, 12}, at::kLong));
  }
}

TEST(OldWeights, LayerNormsCalledGammaAndBeta) {
  const TempFolder align, bert;
  write_changed("hf_align", align.path(), as_first_bert);
  expect_peers_embeddings(peer_model(align.path()), "hf_align");

  write_changed("hf_bert", bert.path(), as_first_bert);
  auto config = read_model_config(model_fixture("vit") / "open_clip_config.json");
  config.text = read_text_config(bert.path());
  auto model = DualEncoder::create(config, test::byte_tokenizer());
  model.load_text_tower(bert.path());
  const at::NoGradGuard no_grad;
  model.train(false);
  const auto expected = expected_of("hf_bert");
  EXPECT_LT(
      largest_difference(model.module()->text->forward(expected.at("tokens"), at::kFloat), expected.at("pooled.first")),
      close);
}

TEST(OldWeights, ANameThatIsThereInBothSpellingsIsAnError) {
  const TempFolder folder;
  write_changed("hf_bert", folder.path(), [](const auto& name, const auto& tensor, NamedTensors& out) {
    as_first_bert(name, tensor, out);
    out.emplace(name, tensor);
  });
  EXPECT_NE(message_of<Error>([&] { read_folder_tensors(folder.path()); }).find("twice, under an old name too"),
            std::string::npos);
}

TEST(OldWeights, PositionIdsWhereverTheyLie) {
  for (const auto* fixture : {"hf_clip", "hf_siglip", "open_clip_average"}) {
    const TempFolder folder;
    write_changed(fixture, folder.path(), [](const auto& name, const auto& tensor, NamedTensors& out) {
      out.emplace(name, tensor);
      for (const auto* ids :
           {"position_ids", "text_model.embeddings.position_ids", "vision_model.embeddings.position_ids"})
        out.emplace(ids, at::arange(12));
    });
    expect_peers_embeddings(peer_model(folder.path()), fixture);
  }
}

/// Lists of one number where the peer now has scalars, and the other way round.
void with_other_shapes(const std::string& name, const at::Tensor& tensor, NamedTensors& out) {
  const bool number = name == "logit_scale" || name == "logit_bias" || name == "temperature";
  out.emplace(name, !number ? tensor : tensor.dim() == 0 ? tensor.reshape({1}) : tensor.reshape({}));
}

TEST(OldWeights, AScaleAndABiasOfEitherShape) {
  for (const auto* fixture : {"vit", "open_clip_custom_text", "hf_clip", "hf_siglip", "hf_align"}) {
    const TempFolder folder;
    write_changed(fixture, folder.path(), with_other_shapes);
    const auto model = peer_model(folder.path());
    expect_peers_embeddings(model, fixture);
    EXPECT_EQ(model.logit_scale().dim(), 0) << fixture;
    EXPECT_EQ(model.logit_scale().item<float>(), test::peer_model(fixture).logit_scale().item<float>()) << fixture;
  }
}

TEST(OldWeights, AConfigThatSaysSo) {
  const TempFolder folder, saved;
  write_changed("open_clip_custom_text", folder.path(), with_other_shapes);
  auto config = json::parse(read_file(folder.path() / "open_clip_config.json"));
  config["model_cfg"]["nonscalar_logit_scale"] = true;
  write_file_atomically(folder.path() / "open_clip_config.json", config.dump());
  const auto model = peer_model(folder.path());
  expect_peers_embeddings(model, "open_clip_custom_text");
  model.save(saved.path() / "model");  // as scalars, and the config says nothing else
  EXPECT_EQ(read_folder_tensors(saved.path() / "model").tensors.at("logit_bias").dim(), 0);
  EXPECT_FALSE(json::parse(read_file(saved.path() / "model/open_clip_config.json"))["model_cfg"].contains(
      "nonscalar_logit_scale"));
}

TEST(OldWeights, OtherShapesOfOneNumberAreNone) {
  const TempFolder folder;
  write_changed("vit", folder.path(), [](const auto& name, const auto& tensor, NamedTensors& out) {
    out.emplace(name, name == "logit_scale" ? tensor.expand({2}).contiguous() : tensor);
  });
  EXPECT_NE(message_of<Error>([&] { peer_model(folder.path()); }).find("logit_scale: expected [], got [2]"),
            std::string::npos);
}

/// Files of both peers in one folder: each config goes with its own weights.
TEST(OldWeights, InAFolderOfBothPeersAConfigGoesWithItsOwnWeights) {
  const auto copy = [](const std::string& fixture, const fs::path& to, bool weights) {
    for (const auto& entry : fs::directory_iterator(model_fixture(fixture))) {
      const auto name = entry.path().filename().string();
      if (name != "expected.safetensors" && (weights || entry.path().extension() == ".json"))
        fs::copy_file(entry.path(), to / entry.path().filename());
    }
  };
  const test::LogLines log;
  const TempFolder both, hugging_face, open_clip;
  copy("vit", both.path(), true), copy("hf_clip", both.path(), true);
  expect_peers_embeddings(peer_model(both.path()), "vit");
  EXPECT_TRUE(log.has("holds both peers' configs; open_clip_config.json and the weights that go with it are taken"));

  copy("vit", hugging_face.path(), false), copy("hf_clip", hugging_face.path(), true);
  write_file_atomically(hugging_face.path() / "open_clip_pytorch_model.bin", "a pickle");
  expect_peers_embeddings(peer_model(hugging_face.path()), "hf_clip");
  EXPECT_TRUE(log.has("; config.json and the weights that go with it are taken"));

  copy("vit", open_clip.path(), true), copy("hf_clip", open_clip.path(), false);
  expect_peers_embeddings(peer_model(open_clip.path()), "vit");
}

}  // namespace
}  // namespace vlalign::old_weights_test
