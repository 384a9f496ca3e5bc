// transformers' DINOv3ConvNextModel, which is a ConvNeXt under other names.
#include "core/check.hpp"
#include "model/peers/image_family.hpp"

namespace vlalign {
namespace {

VisionConfig read_dinov3_convnext(JsonSection& section) {
  section.ignore({"initializer_range", "image_size", "out_features", "out_indices", "stage_names"});
  const auto channels = section.positive("num_channels", 3);
  check(channels == 3, "{}.num_channels: expected 3, got {}", section.where(), channels);
  const auto activation = section.get<std::string>("hidden_act", "gelu");
  check(activation == "gelu", "{}.hidden_act: a ConvNeXt is built here with gelu, got {}", section.where(), activation);
  const ConvNextConfig usual;
  return ConvNextConfig{.layers = section.positives("depths", usual.layers),
                        .widths = section.positives("hidden_sizes", usual.widths),
                        .norm_eps = section.number_between("layer_norm_eps", 1e-6, 0, 1),
                        .layer_scale = section.number_between("layer_scale_init_value", 1e-6, -1e6, 1e6),
                        .drop_path = section.number_between("drop_path_rate", 0, 0, 0.999)};
}

NamingSchemes schemes_dinov3_convnext(const VisionConfig&) {
  return {{.scope = "visual.",
           .renames = {{"visual.", ""},
                       {"stem.", "stages.0.downsample."},
                       {".downsample.", ".downsample_layers."},
                       {".blocks.", ".layers."},
                       {".conv_dw.", ".depthwise_conv."},
                       {"norm.", "layer_norm."},
                       {".mlp.c_fc.", ".pointwise_conv1."},
                       {".mlp.c_proj.", ".pointwise_conv2."}}}};
}

}  // namespace

const ImageFamily image_dinov3_convnext{"dinov3_convnext",       "DINOv3ViT", true, read_dinov3_convnext,
                                        schemes_dinov3_convnext, "",          ""};

}  // namespace vlalign
