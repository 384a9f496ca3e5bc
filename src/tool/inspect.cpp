#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "commands.hpp"

namespace vlalign::tool {
namespace {

const char* name_of(Activation activation) {
  switch (activation) {
    case Activation::gelu:
      return "gelu";
    case Activation::quick_gelu:
      return "quick_gelu";
    case Activation::gelu_tanh:
      return "gelu_tanh";
  }
  return "";
}

struct Describe {
  nlohmann::json operator()(const VitConfig& vit) const {
    return {{"tower", "ViT"}, {"patch_size", vit.patch_size}, {"width", vit.width}, {"layers", vit.layers}};
  }
  nlohmann::json operator()(const ModifiedResNetConfig& resnet) const {
    return {{"tower", "ModifiedResNet"}, {"width", resnet.width}, {"layers", resnet.layers}};
  }
  nlohmann::json operator()(const ResNetConfig& resnet) const {
    return {{"tower", "ResNet"}, {"width", resnet.width}, {"layers", resnet.layers}};
  }
  nlohmann::json operator()(const EfficientNetConfig& net) const {
    return {{"tower", "EfficientNet"},
            {"width_coefficient", net.width_coefficient},
            {"depth_coefficient", net.depth_coefficient}};
  }
  nlohmann::json operator()(const OwnTowers&) const { return {{"tower", "own"}}; }
};

nlohmann::ordered_json describe(const DualEncoder& model) {
  const auto& config = model.config();
  const auto& how = config.preprocess;
  return {{"name", config.name},
          {"family", family(config)},
          {"layout", config.layout == Layout::open_clip ? "open_clip" : "hugging_face"},
          {"parameters", model.parameter_count()},
          {"image_size", how.image_size},
          {"context_length", config.text.context_length},
          {"embed_dim", config.embed_dim},
          {"activation", name_of(config.text.activation)},
          {"vocab_size", config.text.vocab_size},
          {"logit_scale", model.logit_scale().item<double>()},
          {"vision", std::visit(Describe{}, config.vision)},
          {"text", {{"width", config.text.width}, {"heads", config.text.heads}, {"layers", config.text.layers}}},
          {"preprocess",
           {{"resize", how.resize == Preprocess::Resize::shortest ? "shortest" : "squash"},
            {"interpolation", how.interpolation == Interpolation::bicubic ? "bicubic" : "bilinear"},
            {"mean", how.mean},
            {"std", how.std}}}};
}

}  // namespace

void add_inspect(CLI::App& program) {
  struct Flags {
    std::string folder;
    bool json = false;
  };
  auto* command = program.add_subcommand("inspect", "What a model folder holds");
  const auto flags = std::make_shared<Flags>();
  command->add_option("--model", flags->folder, "Model folder, such as RUN/model")->required();
  command->add_flag("--json", flags->json, "Print one JSON object on stdout and nothing else there");
  command->callback([flags] {
    const auto facts = describe(DualEncoder::load(flags->folder));
    if (flags->json) {
      fmt::print("{}\n", facts.dump());
      return;
    }
    for (const auto& [key, value] : facts.items())
      fmt::print("{:<15} {}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
  });
}

}  // namespace vlalign::tool
