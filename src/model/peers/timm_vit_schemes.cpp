#include "model/peers/timm_vit_schemes.hpp"

namespace vlalign {

NamingSchemes timm_vit_schemes(const VitConfig& vit) {
  const Renames mlp{{".mlp.c_fc.", ".mlp.fc1."}, {".mlp.c_proj.", ".mlp.fc2."}};
  return {{.scope = "visual.head.",
           .renames = Renames{{"visual.head.probe", "visual.trunk.attn_pool.latent"},
                              {"visual.head.", "visual.trunk.attn_pool."},
                              {".attention.out_proj.", ".proj."},
                              {".layernorm.", ".norm."}} +
                      mlp,
           .fused = {{".attention.in_proj_", 3, {{".q.", 0, 1}, {".kv.", 1, 2}}}},
           .leading_ones = {{"probe", 2}}},
          {.scope = "visual.",
           .renames = Renames{{"visual.", "visual.trunk."},
                              {"conv1.", "patch_embed.proj."},
                              {"positional_embedding", "pos_embed"},
                              {"class_embedding", "cls_token"},
                              {"registers", "reg_token"},
                              {"transformer.resblocks.", "blocks."},
                              {".ln_1.", ".norm1."},
                              {".ln_2.", ".norm2."},
                              {".ls_1.", ".ls1."},
                              {".ls_2.", ".ls2."},
                              {".attn.in_proj_", ".attn.qkv."},
                              {".attn.out_proj.", ".attn.proj."},
                              {"ln_pre.", "norm_pre."},
                              {"ln_post.", vit.norm_after_pool ? "fc_norm." : "norm."}} +
                      mlp,
           .leading_ones = {{"positional_embedding", 1}, {"class_embedding", 2}, {"registers", 1}}}};
}

}  // namespace vlalign
