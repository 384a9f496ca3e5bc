// Weights that are no numbers are neither written nor read.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <limits>

#include "support/model_fixture.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/model/interpolate.hpp"
#include "vlalign/model/lora.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::finite_weights_test {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::TempFolder;

constexpr auto fixture = "vit";
constexpr auto bias = "text.ln_final.bias";

DualEncoder with(float value) {
  auto model = test::peer_model(fixture);
  const at::NoGradGuard no_graph;
  model.module()->named_parameters()[bias][3].fill_(value);
  return model;
}

TEST(FiniteWeights, OthersAreNotWrittenAndTheTensorIsNamed) {
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity()}) {
    const TempFolder folder;
    const auto complaint = message_of<Error>([&] { with(value).save(folder.path() / "model"); });
    EXPECT_EQ(complaint.find("[DualEncoder::save] "), 0U) << complaint;
    EXPECT_NE(complaint.find("ln_final.bias"), std::string::npos) << complaint;
    EXPECT_TRUE(fs::is_empty(folder.path()));
  }
}

TEST(FiniteWeights, TheLargestNumbersAreFinite) {
  const TempFolder folder;
  with(std::numeric_limits<float>::max()).save(folder.path() / "model");
  const auto loaded = DualEncoder::load(folder.path() / "model");
  EXPECT_EQ(loaded.module()->named_parameters()[bias][3].item<float>(), std::numeric_limits<float>::max());
}

TEST(FiniteWeights, OthersAreNotReadAndTheModelStays) {
  const TempFolder folder;
  const auto place = folder.path() / "model";
  test::peer_model(fixture).save(place);
  const auto file = place / "open_clip_model.safetensors";
  auto tensors = read_safetensors(file).tensors;
  for (auto& [name, tensor] : tensors) tensor = tensor.clone();
  tensors.at("ln_final.bias")[3].fill_(std::numeric_limits<float>::quiet_NaN());
  write_safetensors(file, tensors);

  EXPECT_EQ(message_of<Error>([&] { DualEncoder::load(place); }).find(file.string() + ": ln_final.bias ["), 0U);
  auto model = test::peer_model(fixture);
  const auto before = model.module()->named_parameters()["text.ln_final.weight"].detach().clone();
  EXPECT_THROW(model.load_weights(place), Error);
  EXPECT_TRUE(model.module()->named_parameters()["text.ln_final.weight"].equal(before));
  EXPECT_THROW(model.load_text_tower(place), Error);
}

TEST(FiniteWeights, AMaskOfMinusInfinitiesIsWrittenAndReadBack) {
  const auto masked = [](float outside) {
    auto model = test::peer_model(fixture);
    model.module()->text->register_buffer("mask", at::full({4, 4}, outside).triu_(1));
    return model;
  };
  constexpr auto infinity = std::numeric_limits<float>::infinity();
  const TempFolder folder;
  masked(-infinity).save(folder.path() / "model");
  auto same = masked(-infinity), other = masked(0);
  same.load_weights(folder.path() / "model");
  EXPECT_THROW(other.load_weights(folder.path() / "model"), Error);  // whose mask it isn't
  EXPECT_THROW(masked(infinity).save(folder.path() / "no mask"), Error);
  EXPECT_THROW(masked(std::numeric_limits<float>::quiet_NaN()).save(folder.path() / "no mask"), Error);
}

TEST(FiniteWeights, OthersAreNotInterpolated) {
  const auto good = test::peer_model(fixture), bad = with(std::numeric_limits<float>::quiet_NaN());
  EXPECT_THROW(interpolate(good, bad, 0.5), Error);
  EXPECT_THROW(interpolate(bad, good, 0.5), Error);
}

TEST(FiniteWeights, AnAdapterOfOthersIsNotWritten) {
  const TempFolder folder;
  const auto model = test::peer_model(fixture);
  add_lora(model, {.rank = 2});
  for (const auto& item : model.module()->named_parameters()) {
    const at::NoGradGuard no_graph;
    if (item.key().ends_with(".lora.b")) item.value().fill_(std::numeric_limits<float>::quiet_NaN());
  }
  EXPECT_EQ(message_of<Error>([&] { save_lora(model, folder.path() / "adapter.safetensors"); }).find("[save_lora] "),
            0U);
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

}  // namespace
}  // namespace vlalign::finite_weights_test
