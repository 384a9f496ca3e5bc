// transformers' DINOv3ViTModel.
#include "model/peers/hugging_face_keys.hpp"
#include "model/peers/image_family.hpp"
#include "model/peers/timm_dino.hpp"

namespace vlalign {
namespace {

BlockConfig::QkvBias read_dinov3_biases(JsonSection& root) {
  const bool query = root.get<bool>("query_bias", true), key = root.get<bool>("key_bias", false),
             value = root.get<bool>("value_bias", true);
  check(query == value && (query || !key),
        "{}: query_bias, key_bias and value_bias are built here all on, all off, or off for keys alone", root.where());
  if (!query) return BlockConfig::QkvBias::none;
  return key ? BlockConfig::QkvBias::all : BlockConfig::QkvBias::all_but_keys;
}

VisionConfig read_dinov3(JsonSection& root) {
  check_channels(root);
  auto vit = dinov3_vit();
  vit.patch_size = root.positive("patch_size", 16);
  vit.width = root.positive("hidden_size", 384);
  vit.layers = root.count("num_hidden_layers", 12);
  const auto heads = root.positive("num_attention_heads", 6);
  check(vit.width % heads == 0, "{}: hidden_size {} is not a multiple of num_attention_heads {}", root.where(),
        vit.width, heads);
  vit.head_width = vit.width / heads;
  vit.mlp_ratio = mlp_ratio_of(root, "intermediate_size", 1536, vit.width);
  vit.activation = activation_of(root, "hidden_act", "gelu");
  vit.norm_eps = root.number_between("layer_norm_eps", 1e-5, 0, 1);
  vit.rotary->temperature = root.number_between("rope_theta", 100, 1, 1e9);
  vit.registers = root.count("num_register_tokens", 0);
  if (root.get<bool>("use_gated_mlp", false)) vit.block.mlp = BlockConfig::Mlp::gated;
  vit.block.qkv_bias = read_dinov3_biases(root);
  vit.block.attention_bias = root.get<bool>("proj_bias", true);
  vit.block.mlp_bias = root.get<bool>("mlp_bias", true);
  return vit;
}

NamingSchemes schemes_dinov3(const VisionConfig& vision) {
  NamingScheme scheme{
      .scope = "visual.",
      .renames = {{"visual.", ""},
                  {"conv1.", "embeddings.patch_embeddings."},
                  {"class_embedding", "embeddings.cls_token"},
                  {"registers", "embeddings.register_tokens"},
                  {"transformer.resblocks.", "layer."},
                  {".ln_1.", ".norm1."},
                  {".ln_2.", ".norm2."},
                  {".ls_1.gamma", ".layer_scale1.lambda1"},
                  {".ls_2.gamma", ".layer_scale2.lambda1"},
                  {".attn.out_proj.", ".attention.o_proj."},
                  {".attn.q_bias", ".attention.q_proj.bias"},
                  {".attn.v_bias", ".attention.v_proj.bias"},
                  {".mlp.c_proj.", ".mlp.down_proj."},
                  {"ln_post.", "norm."}},
      .fused = {{".attn.in_proj_",
                 3,
                 {{".attention.q_proj.", 0, 1}, {".attention.k_proj.", 1, 1}, {".attention.v_proj.", 2, 1}}}},
      .leading_ones = {{"class_embedding", 2}, {"registers", 1}}};
  if (std::get<VitConfig>(vision).block.mlp == BlockConfig::Mlp::plain) {
    scheme.renames.push_back({".mlp.c_fc.", ".mlp.up_proj."});
  } else {
    scheme.fused.push_back({".mlp.c_fc.", 2, {{".mlp.gate_proj.", 0, 1}, {".mlp.up_proj.", 1, 1}}});
  }
  return {scheme};
}

/// A config may say that there are no registers; the folder then holds an empty tensor of them. transformers 5 may
/// write "model." before the layers.
NamedTensors plain_dinov3(NamedTensors tensors) {
  const auto registers = tensors.find("embeddings.register_tokens");
  if (registers != tensors.end() && registers->second.numel() == 0) tensors.erase(registers);
  NamedTensors plain;
  for (auto& [name, tensor] : tensors)
    plain.emplace(name.starts_with("model.layer.") ? name.substr(6) : name, std::move(tensor));
  return plain;
}

}  // namespace

const ImageFamily image_dinov3{"dinov3_vit", "DINOv3ViT", true, read_dinov3, schemes_dinov3, "", "", plain_dinov3};

}  // namespace vlalign
