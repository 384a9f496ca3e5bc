// The folder that an export makes. That its graphs compute the same in other engines is
// tests/peers/onnx_agreement.py's.
#include "vlalign/export/onnx.hpp"

#include <ATen/ops/randint.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/io/files.hpp"
#include "export/onnx_reader.hpp"
#include "support/model_fixture.hpp"
#include "support/temp_folder.hpp"
#include "vla/small_policy.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/model/live_encoder.hpp"
#include "vlalign/model/quantize.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::onnx_test {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::peer_model;
using test::read_onnx;
using test::TempFolder;

using Values = std::map<std::string, test::OnnxValue>;
constexpr std::uint64_t float32 = 1, uint8 = 2, int8 = 3, int64 = 7, boolean = 9;  // TensorProto.DataType

bool holds(const test::OnnxGraph& graph, const std::string& operation) {
  return std::find(graph.operations.begin(), graph.operations.end(), operation) != graph.operations.end();
}

TEST(ExportedModel, HasGraphsTokenizerAndFacts) {
  const TempFolder folder;
  const auto out = folder.path() / "onnx";
  const auto model = peer_model("vit");
  export_onnx(model, out);
  for (const auto* name : {"image.onnx", "text.onnx", "export.json", "tokenizer_config.json"})
    EXPECT_TRUE(fs::exists(out / name)) << name;
  const auto facts = nlohmann::json::parse(read_file(out / "export.json"));
  EXPECT_EQ(facts["graphs"], (std::vector<std::string>{"image.onnx", "text.onnx"}));
  EXPECT_EQ(facts["image_size"], 16);
  EXPECT_EQ(facts["embed_dim"], model.config().embed_dim);
  EXPECT_NEAR(facts["logit_scale"].get<double>(), model.logit_scale().item<double>(), 1e-5);

  const auto image = read_onnx(out / "image.onnx"), text = read_onnx(out / "text.onnx");
  const auto width = std::to_string(model.config().embed_dim);
  EXPECT_EQ(image.inputs, (Values{{"pixels", {float32, {"batch", "3", "16", "16"}}}}));
  EXPECT_EQ(image.outputs, (Values{{"embedding", {float32, {"batch", width}}}}));
  EXPECT_EQ(text.inputs, (Values{{"tokens", {int64, {"batch", "length"}}}}));
  EXPECT_EQ(image.metadata.at("image_size"), "16");
  EXPECT_EQ(nlohmann::json::parse(image.metadata.at("mean")), facts["mean"]);
}

std::string bytes_of(const at::Tensor& tensor) {
  const auto dense = tensor.contiguous();
  return {static_cast<const char*>(dense.const_data_ptr()), dense.nbytes()};
}

TEST(ExportedModel, HoldsTheTowersParametersUnderTheirNamesBitForBit) {
  const TempFolder folder;
  const auto model = peer_model("vit");
  export_onnx(model, folder.path() / "onnx");
  const auto graph = read_onnx(folder.path() / "onnx" / "image.onnx");
  int whole = 0;
  for (const auto& item : model.module()->visual->named_parameters()) {
    const auto name = "visual." + item.key();
    ASSERT_TRUE(graph.weights.contains(name)) << name;
    const auto& bytes = graph.weights.at(name).bytes;
    const auto& parameter = item.value();
    // The last block's query is computed for one token and its keys for all: their weight lies in two parts.
    if (bytes.size() < parameter.nbytes()) continue;
    ++whole;
    // A product's matrix is written as ONNX reads it, [in, out].
    EXPECT_TRUE(bytes == bytes_of(parameter) || (parameter.dim() == 2 && bytes == bytes_of(parameter.t()))) << name;
  }
  EXPECT_GT(whole, 20);
}

TEST(ExportedModel, WritesNormsAndAttentionAsOneOperatorOrThree) {
  const TempFolder folder;
  export_onnx(peer_model("vit"), folder.path() / "vit");
  const auto vit = read_onnx(folder.path() / "vit" / "image.onnx");
  for (const auto* operation : {"LayerNormalization", "Conv", "MatMul", "Softmax", "ReduceL2"})
    EXPECT_TRUE(holds(vit, operation)) << operation;
  export_onnx(peer_model("resnet"), folder.path() / "resnet");
  const auto resnet = read_onnx(folder.path() / "resnet" / "image.onnx");
  for (const auto* operation : {"BatchNormalization", "AveragePool", "Relu"})
    EXPECT_TRUE(holds(resnet, operation)) << operation;
}

TEST(ExportedModel, TakesAndGivesWhatTheOptionsSay) {
  const TempFolder folder;
  const auto out = folder.path() / "onnx";
  const auto model = peer_model("vit");
  export_onnx(model, out,
              {.normalize = true, .raw = true, .tokens = true, .layers = {-1}, .text_length = 5, .preprocess = true});
  const auto image = read_onnx(out / "image.onnx"), text = read_onnx(out / "text.onnx");
  EXPECT_EQ(image.inputs.at("pixels").type, uint8);
  EXPECT_TRUE(image.outputs.contains("token_features") && image.outputs.contains("hidden.-1"));
  EXPECT_FALSE(holds(image, "ReduceL2"));
  EXPECT_EQ(text.inputs.at("tokens").shape, (std::vector<std::string>{"batch", "5"}));
  EXPECT_EQ(text.outputs.at("mask").type, boolean);
  const auto preprocess = read_onnx(out / "preprocess.onnx");
  EXPECT_EQ(preprocess.opset, 18);
  EXPECT_EQ(preprocess.inputs, (Values{{"picture", {uint8, {"height", "width", "3"}}}}));
  EXPECT_EQ(preprocess.outputs, (Values{{"pixels", {float32, {"1", "3", "16", "16"}}}}));
}

TEST(ExportedModel, KeepsLargeWeightsInAFileBesideAtMultiplesOf4096) {
  const TempFolder folder;
  const auto out = folder.path() / "onnx";
  const auto model = peer_model("vit");
  export_onnx(model, folder.path() / "inside");
  export_onnx(model, out, {.external_above = 0});
  const auto inside = read_onnx(folder.path() / "inside" / "image.onnx"), graph = read_onnx(out / "image.onnx");
  const auto data = read_file(out / "image.onnx.data");
  int outside = 0;
  for (const auto& [name, weight] : graph.weights) {
    const auto& expected = inside.weights.at(name).bytes;
    if (weight.external.empty()) {
      EXPECT_EQ(weight.bytes, expected) << name;
      continue;
    }
    ++outside;
    const auto offset = std::stoull(weight.external.at("offset")), length = std::stoull(weight.external.at("length"));
    EXPECT_EQ(weight.external.at("location"), "image.onnx.data");
    EXPECT_EQ(offset % 4096, 0) << name;
    EXPECT_EQ(data.substr(offset, length), expected) << name;
  }
  EXPECT_GT(outside, 0);
  EXPECT_FALSE(fs::exists(folder.path() / "inside" / "image.onnx.data"));
}

TEST(ExportedModel, ReplacesAnEarlierExportAndNothingElse) {
  const TempFolder folder;
  const auto model = peer_model("vit");
  const auto out = folder.path() / "onnx", notes = folder.path() / "notes";
  export_onnx(model, out, {.preprocess = true});
  export_onnx(model, out);
  EXPECT_FALSE(fs::exists(out / "preprocess.onnx"));
  fs::create_directory(notes);
  std::ofstream(notes / "notes.txt") << "mine";
  const auto message = message_of<Error>([&] { export_onnx(model, notes); });
  EXPECT_NE(message.find("notes.txt is in it"), std::string::npos) << message;
  EXPECT_EQ(read_file(notes / "notes.txt"), "mine");
}

TEST(ExportedModel, IsTheSameWhileAControlLoopHasTheModel) {
  const TempFolder folder;
  const auto model = peer_model("vit");
  export_onnx(model, folder.path() / "before");
  const LiveEncoder live(model);
  export_onnx(model, folder.path() / "after");
  for (const auto* name : {"image.onnx", "text.onnx"})
    EXPECT_EQ(read_file(folder.path() / "before" / name), read_file(folder.path() / "after" / name)) << name;
}

/// Products that int8 inference computes in bytes, of codes between pairs that engines know.
TEST(ExportedModel, HoldsBytesWhereItIsPreparedForInt8) {
  const TempFolder folder;
  const auto model = test::towers();
  EXPECT_EQ(message_of<Error>([&] { export_onnx(model, folder.path() / "int8", {.precision = Precision::int8}); }),
            "[int8] model small: not prepared for int8: quantize() does that, and `vlalign quantize`");
  auto tokens = at::randint(1, 500, {8, 16}, at::kLong);
  tokens.select(1, 15).fill_(513);
  const auto result = quantize(model, at::randint(256, {8, 3, 32, 32}, at::kByte), tokens, {.cosine = 0});
  export_onnx(model, folder.path() / "int8", {.precision = Precision::int8});
  export_onnx(model, folder.path() / "fp32");
  const auto graph = read_onnx(folder.path() / "int8" / "image.onnx");
  std::int64_t bytes = 0, products = 0;
  for (const auto& [name, weight] : graph.weights) bytes += weight.type == int8 && weight.shape.size() == 2 ? 1 : 0;
  for (const auto& product : result.products) products += product.name.starts_with("visual.") ? 1 : 0;
  EXPECT_GE(bytes, products);
  EXPECT_GE(std::count(graph.operations.begin(), graph.operations.end(), "QuantizeLinear"), products);
  EXPECT_FALSE(holds(read_onnx(folder.path() / "fp32" / "image.onnx"), "QuantizeLinear"));
}

TEST(ExportedModel, IsRefusedWithLengthsAndLayersThatArentThere) {
  const TempFolder folder;
  const auto model = peer_model("vit");
  const auto out = folder.path() / "onnx";
  EXPECT_EQ(message_of<Error>([&] { export_onnx(model, out, {.text_length = 13}); }),
            "[export] text_length: expected 1 to 12, the context length, got 13");
  EXPECT_NE(message_of<Error>([&] { export_onnx(model, out, {.layers = {99}}); }).find("99"), std::string::npos);
  EXPECT_FALSE(fs::exists(out));
}

TEST(ExportedPolicy, TakesPixelsWordsAndStateToActions) {
  const TempFolder folder;
  const auto out = folder.path() / "onnx";
  const auto policy = vla::Policy::create(test::towers(), test::config_of("text_queries", "bins"));
  export_onnx(policy, out, {.normalize = true});
  const auto graph = read_onnx(out / "policy.onnx");
  EXPECT_EQ(graph.inputs, (Values{{"pixels", {uint8, {"batch", "3", "32", "32"}}},
                                  {"tokens", {int64, {"batch", "length"}}},
                                  {"state", {float32, {"batch", "4"}}}}));
  EXPECT_EQ(graph.outputs, (Values{{"actions", {float32, {"batch", "3", "2"}}}}));
  EXPECT_EQ(message_of<Error>([&] { export_onnx(policy, out, {.raw = true}); }),
            "[export] raw, tokens and layers are for a model of two towers; a policy's graph gives actions");
}

TEST(ExportedPolicy, ThatMatchesFlowsIsTwoGraphsAndANumberOfSteps) {
  const TempFolder folder;
  const auto out = folder.path() / "onnx";
  export_onnx(vla::Policy::create(test::towers(), test::config_of("late_concat", "flow_matching")), out);
  const auto step = read_onnx(out / "policy_step.onnx");
  EXPECT_EQ(step.inputs, (Values{{"features", {float32, {"batch", "32"}}},
                                 {"x", {float32, {"batch", "3", "2"}}},
                                 {"time", {float32, {"batch"}}}}));
  for (const auto* output : {"velocity", "next", "actions"}) EXPECT_TRUE(step.outputs.contains(output)) << output;
  EXPECT_EQ(step.metadata.at("steps"), "10");
  EXPECT_TRUE(read_onnx(out / "policy_features.onnx").outputs.contains("features"));
}

}  // namespace
}  // namespace vlalign::onnx_test
