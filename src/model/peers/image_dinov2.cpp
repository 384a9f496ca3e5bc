// transformers' Dinov2Model and Dinov2WithRegistersModel.
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros_like.h>

#include "model/peers/hugging_face_keys.hpp"
#include "model/peers/image_family.hpp"
#include "model/peers/timm_dino.hpp"

namespace vlalign {
namespace {

constexpr std::int64_t most_dinov2_ratio = 64;

/// Of a gated MLP: two thirds of what a plain one would have, in steps of 8.
std::int64_t gated_width(std::int64_t hidden) { return (hidden * 2 / 3 + 7) / 8 * 8; }

void read_dinov2_mlp(JsonSection& root, VitConfig& vit) {
  const auto ratio = root.number_between("mlp_ratio", 4, 0, most_dinov2_ratio);
  vit.mlp_ratio = ratio;
  vit.activation = activation_of(root, "hidden_act", "gelu");
  if (!root.get<bool>("use_swiglu_ffn", false)) return;
  const auto width = static_cast<double>(vit.width);
  vit.mlp_ratio = static_cast<double>(gated_width(static_cast<std::int64_t>(width * ratio))) / width;
  vit.activation = Activation::silu;
  vit.block.mlp = BlockConfig::Mlp::gated;
}

VitConfig read_dinov2_vit(JsonSection& root, std::int64_t usual_patch) {
  check_channels(root);
  auto vit = dinov2_vit();
  vit.patch_size = root.positive("patch_size", usual_patch);
  vit.width = root.positive("hidden_size", 768);
  vit.layers = root.count("num_hidden_layers", 12);
  const auto heads = root.positive("num_attention_heads", 12);
  check(vit.width % heads == 0, "{}: hidden_size {} is not a multiple of num_attention_heads {}", root.where(),
        vit.width, heads);
  vit.head_width = vit.width / heads;
  read_dinov2_mlp(root, vit);
  vit.norm_eps = root.number_between("layer_norm_eps", 1e-6, 0, 1);
  if (!root.get<bool>("qkv_bias", true)) vit.block.qkv_bias = BlockConfig::QkvBias::none;
  vit.position_side = image_size_of(root, 224) / vit.patch_size;
  return vit;
}

VisionConfig read_dinov2(JsonSection& root) {
  auto vit = read_dinov2_vit(root, 14);
  vit.position_resize = VitConfig::PositionResize::bicubic;
  return vit;
}

/// The class token's position is added to the token, as timm keeps them.
VisionConfig read_dinov2_with_registers(JsonSection& root) {
  auto vit = read_dinov2_vit(root, 16);
  vit.registers = root.count("num_register_tokens", 4);
  vit.class_position = false;
  return vit;
}

NamedTensors joined_class_position(NamedTensors tensors) {
  const auto token = tensors.find("embeddings.cls_token"), table = tensors.find("embeddings.position_embeddings");
  const bool fits = token != tensors.end() && table != tensors.end() && token->second.dim() == 3 &&
                    table->second.dim() == 3 && table->second.size(1) > 0 &&
                    token->second.size(2) == table->second.size(2);
  if (!fits) return tensors;  // what is missing or wrong is said where the tensors are assigned
  const auto all = table->second;
  token->second = token->second + all.narrow(1, 0, 1);
  table->second = all.narrow(1, 1, all.size(1) - 1);
  return tensors;
}

/// The token has its position in it already, so that the table's place for it is zero.
NamedTensors with_class_position(NamedTensors tensors) {
  auto& table = tensors.at("embeddings.position_embeddings");
  table = at::cat({at::zeros_like(table.narrow(1, 0, 1)), table}, 1);
  return tensors;
}

NamingSchemes schemes_dinov2(const VisionConfig& vision) {
  const bool gated = std::get<VitConfig>(vision).block.mlp != BlockConfig::Mlp::plain;
  return {{.scope = "visual.",
           .renames = {{"visual.", ""},
                       {"conv1.", "embeddings.patch_embeddings.projection."},
                       {"positional_embedding", "embeddings.position_embeddings"},
                       {"class_embedding", "embeddings.cls_token"},
                       {"registers", "embeddings.register_tokens"},
                       {"transformer.resblocks.", "encoder.layer."},
                       {".ln_1.", ".norm1."},
                       {".ln_2.", ".norm2."},
                       {".ls_1.gamma", ".layer_scale1.lambda1"},
                       {".ls_2.gamma", ".layer_scale2.lambda1"},
                       {".attn.out_proj.", ".attention.output.dense."},
                       {".mlp.c_fc.", gated ? ".mlp.weights_in." : ".mlp.fc1."},
                       {".mlp.c_proj.", gated ? ".mlp.weights_out." : ".mlp.fc2."},
                       {"ln_post.", "layernorm."}},
           .fused = {{".attn.in_proj_",
                      3,
                      {{".attention.attention.query.", 0, 1},
                       {".attention.attention.key.", 1, 1},
                       {".attention.attention.value.", 2, 1}}}},
           .leading_ones = {{"positional_embedding", 1}, {"class_embedding", 2}, {"registers", 1}}}};
}

}  // namespace

const ImageFamily image_dinov2{"dinov2", "Bit", true, read_dinov2, schemes_dinov2, "dinov2.", ""};
const ImageFamily image_dinov2_with_registers{"dinov2_with_registers",
                                              "Bit",
                                              true,
                                              read_dinov2_with_registers,
                                              schemes_dinov2,
                                              "dinov2_with_registers.",
                                              "",
                                              joined_class_position,
                                              with_class_position};

}  // namespace vlalign
