// timm's ViTamins.
#include <array>
#include <charconv>

#include "core/check.hpp"
#include "model/peers/timm_family.hpp"
#include "model/peers/timm_front_schemes.hpp"
#include "model/peers/timm_vit_schemes.hpp"

namespace vlalign {
namespace {

struct VitaminSize {
  std::string_view name;
  std::int64_t front, width, layers, heads;
  bool positions;
};

// The two large ones are the same tower beside another text tower; the first is written.
constexpr std::array vitamin_sizes{
    VitaminSize{"vitamin_small_", 64, 384, 14, 6, true}, VitaminSize{"vitamin_base_", 128, 768, 14, 12, true},
    VitaminSize{"vitamin_large_", 160, 1024, 31, 16, true}, VitaminSize{"vitamin_large2_", 160, 1024, 31, 16, true},
    VitaminSize{"vitamin_xlarge_", 192, 1152, 32, 16, false}};

/// Pixels a side that timm has the towers of a size for.
bool is_timms(const VitaminSize& size, std::int64_t image_size) {
  const bool only_224 = size.name == "vitamin_small_" || size.name == "vitamin_base_";
  const bool larger = image_size == 256 || image_size == 336 || image_size == 384;
  return image_size == 224 ? size.positions : larger && !only_224;
}

VitConfig vitamin(const VitaminSize& size) {
  return {.patch_size = 16,
          .front = VitConfig::Front::vitamin,
          .front_widths = {size.front, size.front, 2 * size.front},
          .front_layers = {2, 4},
          .width = size.width,
          .layers = size.layers,
          .head_width = size.width / size.heads,
          .mlp_ratio = 2,
          .norm_eps = 1e-6,
          .pool = VitConfig::Pool::average,
          .class_token = false,
          .ln_pre = false,
          .norm_after_pool = true,
          .positions = size.positions ? VitConfig::Positions::learned : VitConfig::Positions::none,
          .block = {.mlp = BlockConfig::Mlp::gated, .mlp_input_norm = true}};
}

std::optional<VisionConfig> read_timm_vitamin(std::string_view name, JsonSection& vision) {
  for (const auto& size : vitamin_sizes) {
    if (!name.starts_with(size.name)) continue;
    std::int64_t side = 0;
    const auto end = std::from_chars(name.data() + size.name.size(), name.data() + name.size(), side).ptr;
    if (end != name.data() + name.size() || !is_timms(size, side)) continue;
    const auto own = vision.get<std::int64_t>("image_size", 224);
    check(!size.positions || own == side, "{}.image_size: {} has positions for {} pixels a side, got {}",
          vision.where(), name, side, own);
    constexpr std::array<std::string_view, 2> pools{"", "avg"};
    pool_of_timm(vision, name, pools);
    auto vit = vitamin(size);
    read_dropping(vision, vit);
    return vit;
  }
  return {};
}

std::optional<nlohmann::json> write_timm_vitamin(const VisionConfig& vision, int image_size) {
  const auto* vit = std::get_if<VitConfig>(&vision);
  if (!vit || vit->front != VitConfig::Front::vitamin) return {};
  const auto plain = without_dropping(*vit);
  for (const auto& size : vitamin_sizes) {
    // Without positions any size will do, and the name's own says nothing.
    const auto side = size.positions || is_timms(size, image_size) ? image_size : 256;
    const auto name = fmt::format("{}{}", size.name, side);
    const TimmTower known{name, vitamin(size)};
    if (!is_timms(size, side) || !find_tower({&known, 1}, plain)) continue;
    nlohmann::json out{{"timm_model_name", name}, {"timm_pool", "avg"}};
    write_dropping(*vit, out);
    return out;
  }
  return {};
}

NamingSchemes schemes_timm_vitamin(const VisionConfig& vision) {
  auto schemes = timm_vit_schemes(std::get<VitConfig>(vision));
  auto& tower = schemes.back();
  tower.renames = Renames{{".mlp.ln_in.", ".mlp.norm."}, {".mlp.c_proj.", ".mlp.w2."}} + tower.renames;
  std::erase_if(tower.renames, [](const Rename& rename) { return rename.ours == ".mlp.c_fc."; });
  tower.fused = {{".mlp.c_fc.", 2, {{".mlp.w0.", 0, 1}, {".mlp.w1.", 1, 1}}}};
  schemes.insert(schemes.begin(), timm_front_scheme());
  return schemes;
}

}  // namespace

const TimmFamily timm_vitamin_family{"ViTamins", read_timm_vitamin, write_timm_vitamin, schemes_timm_vitamin,
                                     "visual.trunk.head."};

}  // namespace vlalign
