// transformers' ViTModel (Dosovitskiy et al. 2021), and Theia's (Shang et al. 2024), which has one inside.
#include <algorithm>

#include "model/peers/hugging_face_keys.hpp"
#include "model/peers/image_family.hpp"

namespace vlalign {
namespace {

VisionConfig read_vit(JsonSection& root) {
  auto vit = vit_of(root, {768, 3072, 12, 12, 16, "gelu", 1e-12});
  vit.patch_bias = true;
  vit.ln_pre = false;
  if (!root.get<bool>("qkv_bias", true)) vit.block.qkv_bias = BlockConfig::QkvBias::none;
  return vit;
}

NamingSchemes schemes_vit(const VisionConfig&) {
  return {{.scope = "visual.",
           .renames = {{"visual.", ""},
                       {"conv1.", "embeddings.patch_embeddings.projection."},
                       {"positional_embedding", "embeddings.position_embeddings"},
                       {"class_embedding", "embeddings.cls_token"},
                       {"transformer.resblocks.", "encoder.layer."},
                       {".ln_1.", ".layernorm_before."},
                       {".ln_2.", ".layernorm_after."},
                       {".attn.out_proj.", ".attention.output.dense."},
                       {".mlp.c_fc.", ".intermediate.dense."},
                       {".mlp.c_proj.", ".output.dense."},
                       {"ln_post.", "layernorm."}},
           .fused = {{".attn.in_proj_",
                      3,
                      {{".attention.attention.query.", 0, 1},
                       {".attention.attention.key.", 1, 1},
                       {".attention.attention.value.", 2, 1}}}},
           .leading_ones = {{"positional_embedding", 1}, {"class_embedding", 2}}}};
}

struct DeitSize {
  std::string_view name;
  std::int64_t width;
};
constexpr DeitSize deit_sizes[] = {{"tiny", 192}, {"small", 384}, {"base", 768}};

/// Its config names the network it started from: "facebook/deit-base-patch16-224".
VisionConfig read_theia(JsonSection& root) {
  const auto backbone = root.get<std::string>("backbone", "facebook/deit-base-patch16-224");
  const auto* size = std::find_if(std::begin(deit_sizes), std::end(deit_sizes), [&](const auto& each) {
    return backbone == fmt::format("facebook/deit-{}-patch16-224", each.name);
  });
  check(size != std::end(deit_sizes),
        "{}.backbone: facebook/deit-tiny-patch16-224, -small- and -base- are built here, not {}", root.where(),
        backbone);
  return VitConfig{
      .patch_size = 16, .width = size->width, .layers = 12, .norm_eps = 1e-12, .patch_bias = true, .ln_pre = false};
}

}  // namespace

const ImageFamily image_vit{"vit", "ViT", false, read_vit, schemes_vit, "vit.", ""};
const ImageFamily image_theia{"theia", "DeiT", false, read_theia, schemes_vit, "backbone.model.", ""};

}  // namespace vlalign
