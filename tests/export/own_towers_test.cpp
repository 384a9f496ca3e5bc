// Towers of one's own: what is exported, and what is refused in which words.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/erfinv.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "core/io/files.hpp"
#include "export/onnx_reader.hpp"
#include "support/model_fixture.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/export/onnx.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::own_towers_test {
namespace {

using test::message_of;
using test::TempFolder;

using Formula = std::function<at::Tensor(const at::Tensor&)>;

/// Any formula from pixels or tokens to [B, 2].
class FormulaTower : public nn::Tower {
 public:
  explicit FormulaTower(Formula formula) : formula_(std::move(formula)) {
    scale = register_parameter("scale", at::ones({2}) * 3);
  }
  at::Tensor forward(const at::Tensor& x, at::ScalarType) override { return formula_(x) * scale; }
  std::int64_t width() const override { return 2; }

  at::Tensor scale;

 private:
  Formula formula_;
};

at::Tensor mean_colours(const at::Tensor& pixels) { return pixels.mean({2, 3}).narrow(1, 0, 2); }
at::Tensor two_tokens(const at::Tensor& tokens) { return tokens.narrow(1, 0, 2).to(at::kFloat); }

DualEncoder model_of(const Formula& image, const Formula& text = two_tokens) {
  ModelConfig config;
  config.name = "own";
  config.embed_dim = 4;
  config.vision = OwnTowers{};
  config.preprocess.image_size = 8;
  config.text.context_length = 16;
  config.text.vocab_size = 514;
  nn::Initializer initializer(1);
  const auto module =
      std::make_shared<nn::DualEncoderImpl>(std::make_shared<FormulaTower>(image), std::make_shared<FormulaTower>(text),
                                            config.embed_dim, nn::DualEncoderImpl::Options{}, initializer);
  return {module, config, test::byte_tokenizer()};
}

/// What the export of a model says; nothing may be left behind.
std::string refusal_of(const DualEncoder& model) {
  const TempFolder folder;
  const auto message = message_of<Error>([&] { export_onnx(model, folder.path() / "onnx"); });
  EXPECT_TRUE(entries_of(folder.path()).empty());
  return message;
}

TEST(OwnTowers, AreExportedWithTheirParametersByName) {
  const TempFolder folder;
  export_onnx(model_of(mean_colours), folder.path() / "onnx");
  const auto graph = test::read_onnx(folder.path() / "onnx" / "image.onnx");
  EXPECT_EQ(graph.opset, 17);
  EXPECT_EQ(graph.inputs, (std::map<std::string, test::OnnxValue>{{"pixels", {1, {"batch", "3", "8", "8"}}}}));
  EXPECT_EQ(graph.outputs, (std::map<std::string, test::OnnxValue>{{"embedding", {1, {"batch", "4"}}}}));
  ASSERT_TRUE(graph.weights.contains("visual.scale"));
  const float three[] = {3, 3};
  EXPECT_EQ(graph.weights.at("visual.scale").bytes, std::string(reinterpret_cast<const char*>(three), sizeof three));
  EXPECT_NE(std::find(graph.operations.begin(), graph.operations.end(), "ReduceMean"), graph.operations.end());
}

TEST(OwnTowers, ThatComputeThroughPointersAreRefusedByTheOperatorThatReadsIt) {
  const auto through_pointers = [](const at::Tensor& pixels) {
    const auto means = at::empty({pixels.size(0), 2});
    for (std::int64_t i = 0; i < means.numel(); ++i)
      means.mutable_data_ptr<float>()[i] = pixels.const_data_ptr<float>()[i];
    return means;
  };
  const auto message = refusal_of(model_of(through_pointers));
  EXPECT_EQ(message.find("[export] the image tower: aten::"), 0) << message;
  const auto of_constant_size = [](const at::Tensor& pixels) {
    const auto first = at::zeros({1, 2});
    first.mutable_data_ptr<float>()[0] = pixels.const_data_ptr<float>()[0];
    return mean_colours(pixels) + first.detach().data();
  };
  EXPECT_NE(refusal_of(model_of(of_constant_size))
                .find("[export] the image tower: aten::add reads a tensor [1, 2] that "
                      "changes with the input"),
            std::string::npos);
}

TEST(OwnTowers, WithAnOperatorThatHasNoRowAreRefusedByItsName) {
  const auto formula = [](const at::Tensor& pixels) { return at::erfinv(mean_colours(pixels)); };
  EXPECT_EQ(refusal_of(model_of(formula)),
            "[export] the image tower: aten::erfinv is no operator that can be written in ONNX yet");
}

TEST(OwnTowers, WithASizeThatIsNoSumOfProductsAreRefused) {
  const auto half = [](const at::Tensor& tokens) {
    return tokens.narrow(1, 0, tokens.size(1) / 2).to(at::kFloat).mean(1, /*keepdim=*/true).expand({-1, 2});
  };
  const auto message = refusal_of(model_of(mean_colours, half));
  EXPECT_NE(message.find("the text tower: aten::narrow: a number that it is given is no sum of products of the batch's "
                         "rows and tokens: 4 for 2 rows of 8 tokens"),
            std::string::npos)
      << message;
}

TEST(OwnTowers, ThatGoOtherWaysForOtherBatchesAreRefused) {
  const auto formula = [](const at::Tensor& pixels) {
    return pixels.size(0) > 3 ? at::relu(mean_colours(pixels)) : mean_colours(pixels);
  };
  const auto message = refusal_of(model_of(formula));
  EXPECT_NE(message.find("the image tower goes other ways for inputs of other sizes"), std::string::npos) << message;
  EXPECT_NE(message.find("aten::relu"), std::string::npos) << message;
}

TEST(OwnTowers, ThatWriteIntoAPartOfATensorAreRefused) {
  const auto formula = [](const at::Tensor& pixels) {
    const auto means = mean_colours(pixels).clone();
    means.select(1, 0).zero_();
    return means;
  };
  EXPECT_NE(refusal_of(model_of(formula)).find("aten::zero_ writes into a tensor that others see a part of"),
            std::string::npos);
}

}  // namespace
}  // namespace vlalign::own_towers_test
