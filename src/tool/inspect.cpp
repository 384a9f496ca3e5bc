#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "config/config_fields.hpp"
#include "tool/commands.hpp"
#include "tool/output.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::tool {
namespace {

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
  nlohmann::json operator()(const ConvNextConfig& net) const {
    return {{"tower", "ConvNeXt"}, {"layers", net.layers}, {"widths", net.widths}};
  }
  nlohmann::json operator()(const FastVitConfig& net) const {
    return {{"tower", "FastViT"}, {"layers", net.layers}, {"widths", net.widths}, {"folded", net.folded}};
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
            {"resize_size", how.resize_size > 0 ? how.resize_size : how.image_size},
            {"interpolation", how.interpolation == Interpolation::bicubic ? "bicubic" : "bilinear"},
            {"pixels_as", how.pixels_as == PixelsAs::peer ? "peer" : "vlalign"},
            {"mean", how.mean},
            {"std", how.std}}}};
}

/// [{"name", "shape", "tower", "group", "groups"}]: what patterns, locks and layer decay go by.
nlohmann::ordered_json parameters_of(const DualEncoder& model) {
  auto all = nlohmann::ordered_json::array();
  for (const auto& item : model.module()->named_parameters()) {
    nlohmann::ordered_json entry{{"name", item.key()}, {"shape", item.value().sizes().vec()}};
    if (const auto place = model.module()->place_of(item.key())) {
      entry["tower"] = place->side == nn::DualEncoderImpl::Place::Side::image ? "image" : "text";
      entry["group"] = place->group;
      entry["groups"] = place->groups;
    }
    all.push_back(std::move(entry));
  }
  return all;
}

void print_parameters(const nlohmann::ordered_json& parameters) {
  for (const auto& p : parameters) {
    const auto group = p.contains("tower") ? fmt::format("{} {} of {}", p["tower"].get<std::string>(),
                                                         p["group"].get<int>() + 1, p["groups"].get<int>())
                                           : std::string("-");
    fmt::print("{:<15} {:<16} {}\n", group, p["shape"].dump(), p["name"].get<std::string>());
  }
}

}  // namespace

void add_inspect(CLI::App& program) {
  struct Flags {
    std::string folder;
    bool json = false, parameters = false;
  };
  auto* command = program.add_subcommand("inspect", "What a model folder holds");
  const auto flags = std::make_shared<Flags>();
  command->add_option("--model", flags->folder, "Model folder, such as RUN/model")->required()->check(not_empty);
  command->add_flag("--json", flags->json, "Print one JSON object on stdout and nothing else there");
  command->add_flag("--parameters", flags->parameters,
                    "List the parameters with the groups that locking and layer decay go by, input first");
  command->callback([flags] {
    const auto model = DualEncoder::load(flags->folder);
    const auto facts = flags->parameters ? parameters_of(model) : describe(model);
    if (flags->json) return print_json(facts);
    if (flags->parameters) return print_parameters(facts);
    for (const auto& [key, value] : facts.items())
      fmt::print("{:<15} {}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
  });
}

}  // namespace vlalign::tool
