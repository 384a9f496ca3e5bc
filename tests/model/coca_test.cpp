// CoCa against open_clip's (tests/fixtures/make_coca.py): the towers compute, the decoder is kept.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/io/files.hpp"
#include "model/peers/model_folder.hpp"
#include "support/captured_log.hpp"
#include "support/model_fixture.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/model/interpolate.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::coca_test {
namespace {

namespace fs = std::filesystem;
using test::byte_tokenizer;
using test::largest_difference;
using test::message_of;
using test::TempFolder;

const fs::path fixture = fs::path(VLALIGN_FIXTURES) / "towers" / "coca";
constexpr auto weights_file = "open_clip_model.safetensors";

/// The peer's folder with a tokenizer of its vocabulary beside it.
class Coca : public testing::Test {
 protected:
  Coca() {
    fs::copy(fixture / weights_file, folder() / weights_file);
    fs::copy(fixture / "open_clip_config.json", folder() / "open_clip_config.json");
    byte_tokenizer()->save(folder());
  }
  const fs::path& folder() const { return folder_.path(); }
  NamedTensors decoder_in(const fs::path& model) const {
    auto tensors = read_folder_tensors(model).tensors;
    std::erase_if(tensors, [](const auto& entry) { return !entry.first.starts_with("text_decoder."); });
    return tensors;
  }
  void write(const NamedTensors& tensors) { write_safetensors(folder() / weights_file, tensors, {{"format", "pt"}}); }

  TempFolder out_;

 private:
  TempFolder folder_;
};

void expect_same_bits(const NamedTensors& a, const NamedTensors& b) {
  EXPECT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    ASSERT_TRUE(b.contains(name)) << name;
    EXPECT_EQ(tensor.scalar_type(), b.at(name).scalar_type()) << name;
    EXPECT_TRUE(tensor.equal(b.at(name))) << name;
  }
}

TEST_F(Coca, GivesThePeersEmbeddings) {
  const at::NoGradGuard no_grad;
  const auto model = DualEncoder::load(folder());
  const auto expected = read_safetensors(fixture / "expected.safetensors").tensors;
  EXPECT_LT(largest_difference(model.encode_image(expected.at("pixels")), expected.at("image_embedding")), 1e-5);
  EXPECT_LT(largest_difference(model.encode_text(expected.at("tokens")), expected.at("text_embedding")), 1e-5);
}

TEST_F(Coca, KeepsTheDecoderBitForBitAndSaysSo) {
  const test::CapturedLog log;
  const auto model = DualEncoder::load(folder());
  EXPECT_NE(log.text().find("its text decoder is kept as it is, not trained, and written back: "), std::string::npos);
  model.save(out_.path() / "model");
  const auto decoder = decoder_in(folder());
  ASSERT_FALSE(decoder.empty());
  expect_same_bits(decoder, decoder_in(out_.path() / "model"));
  expect_same_bits(read_folder_tensors(folder()).tensors, read_folder_tensors(out_.path() / "model").tensors);
  const auto config = nlohmann::json::parse(read_file(out_.path() / "model" / "open_clip_config.json"));
  const auto before = nlohmann::json::parse(read_file(folder() / "open_clip_config.json"));
  EXPECT_EQ(config["model_cfg"]["multimodal_cfg"], before["model_cfg"]["multimodal_cfg"]);
  EXPECT_EQ(config["model_cfg"]["custom_text"], true);
  for (const auto* tower : {"vision_cfg", "text_cfg"})  // without them the peer's decoder has nothing to read
    EXPECT_EQ(config["model_cfg"][tower]["output_tokens"], before["model_cfg"][tower]["output_tokens"]);
}

TEST_F(Coca, OutlivesTheFolderItWasReadFrom) {
  const auto before = decoder_in(folder());
  NamedTensors copies;
  for (const auto& [name, tensor] : before) copies.emplace(name, tensor.clone());
  const auto model = DualEncoder::load(folder());
  fs::resize_file(folder() / weights_file, 0);
  expect_same_bits(copies, model.decoder());
}

TEST_F(Coca, IsMadeWithoutADecoderAndSavedAsAClipModel) {
  const test::CapturedLog log;
  const auto model = DualEncoder::create(read_model_config(folder() / "open_clip_config.json"), byte_tokenizer());
  EXPECT_NE(log.text().find("made without its text decoder"), std::string::npos);
  EXPECT_TRUE(model.config().decoder.empty());
  model.save(out_.path() / "model");
  const auto config = nlohmann::json::parse(read_file(out_.path() / "model" / "open_clip_config.json"));
  EXPECT_FALSE(config["model_cfg"].contains("multimodal_cfg"));
  EXPECT_EQ(config["model_cfg"]["custom_text"], true);
  DualEncoder::load(out_.path() / "model");
}

TEST_F(Coca, WithoutADecoderItTakesTheTowersOfAFolderThatHasOne) {
  const at::NoGradGuard no_grad;
  auto model = DualEncoder::create(read_model_config(folder() / "open_clip_config.json"), byte_tokenizer());
  model.load_weights(folder());
  model.train(false);
  EXPECT_TRUE(model.decoder().empty());
  const auto expected = read_safetensors(fixture / "expected.safetensors").tensors;
  EXPECT_LT(largest_difference(model.encode_image(expected.at("pixels")), expected.at("image_embedding")), 1e-5);
}

TEST_F(Coca, LoadedWeightsBringTheirDecoder) {
  auto model = DualEncoder::load(folder());
  auto tensors = read_folder_tensors(folder()).tensors;
  for (auto& [name, tensor] : tensors) tensor = tensor.is_floating_point() ? tensor * 2 : tensor.clone();
  write(tensors);
  model.load_weights(folder());
  expect_same_bits(decoder_in(folder()), model.decoder());
}

TEST_F(Coca, LoadedWeightsWithoutADecoderLeaveTheModelsOwn) {
  auto model = DualEncoder::load(folder());
  DualEncoder::create(read_model_config(folder() / "open_clip_config.json"), byte_tokenizer())
      .save(out_.path() / "plain");
  model.load_weights(out_.path() / "plain");
  expect_same_bits(decoder_in(folder()), model.decoder());
}

TEST_F(Coca, ADecoderOfAnotherShapeIsAnError) {
  auto model = DualEncoder::load(folder());
  auto tensors = read_folder_tensors(folder()).tensors;
  for (auto& [name, tensor] : tensors) tensor = tensor.clone();
  tensors["text_decoder.ln_final.weight"] = tensors.at("text_decoder.ln_final.weight").narrow(0, 0, 8).clone();
  write(tensors);
  EXPECT_NE(message_of<Error>([&] { model.load_weights(folder()); }).find("text_decoder.ln_final.weight"),
            std::string::npos);
}

TEST_F(Coca, AConfigThatPromisesADecoderNeedsOne) {
  auto tensors = read_folder_tensors(folder()).tensors;
  for (auto& [name, tensor] : tensors) tensor = tensor.clone();
  std::erase_if(tensors, [](const auto& entry) { return entry.first.starts_with("text_decoder."); });
  write(tensors);
  EXPECT_NE(message_of<Error>([&] {
              DualEncoder::load(folder());
            }).find("no text_decoder.* in it, where the config has multimodal_cfg"),
            std::string::npos);
}

TEST_F(Coca, HuggingFacesLayoutDoesNotHoldIt) {
  auto model = DualEncoder::load(folder());
  EXPECT_NE(message_of<Error>([&] { model.set_layout(Layout::hugging_face); }).find("layout can't hold it"),
            std::string::npos);
}

TEST_F(Coca, LiesBetweenTwoModelsDecodersToo) {
  const auto a = DualEncoder::load(folder());
  auto tensors = read_folder_tensors(folder()).tensors;
  for (auto& [name, tensor] : tensors) tensor = tensor + 1;
  write(tensors);
  const auto b = DualEncoder::load(folder());
  const auto between = interpolate(a, b, 0.25);
  ASSERT_EQ(between.decoder().size(), a.decoder().size());
  for (const auto& [name, tensor] : between.decoder())
    EXPECT_LT(largest_difference(tensor, a.decoder().at(name) + 0.25), 2e-3) << name;
  expect_same_bits(interpolate(a, a, 0.5).decoder(), a.decoder());
  EXPECT_EQ(between.config().decoder, a.config().decoder);
}

}  // namespace
}  // namespace vlalign::coca_test
