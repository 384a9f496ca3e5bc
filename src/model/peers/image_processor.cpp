#include "model/peers/image_processor.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

#include "core/json/json_section.hpp"
#include "core/log.hpp"
#include "model/peers/config_json.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

constexpr std::array<double, 3> halves{0.5, 0.5, 0.5}, imagenet_mean{0.485, 0.456, 0.406},
    imagenet_std{0.229, 0.224, 0.225};

/// What a class of image processors does where its file leaves something out.
struct ProcessorDefaults {
  std::string_view name;  ///< without "ImageProcessor"
  bool square;            ///< both sides are resized to `size`, else the shorter one
  int size, crop;         ///< crop: 0 where it is that of `size`
  bool crops;             ///< do_center_crop
  std::array<double, 3> mean, std;
  int resample = 3;
  bool include_top = false;
};

constexpr ProcessorDefaults processors[] = {
    {"CLIP", false, 224, 224, true, {0.48145466, 0.4578275, 0.40821073}, {0.26862954, 0.26130258, 0.27577711}},
    {"ChineseCLIP", false, 224, 224, true, {0.48145466, 0.4578275, 0.40821073}, {0.26862954, 0.26130258, 0.27577711}},
    {"Siglip", true, 224, 0, false, halves, halves},
    {"Siglip2", true, 256, 0, false, halves, halves, 2},
    {"EfficientNet", true, 346, 289, false, halves, halves, 3, true},
    {"ViT", true, 224, 0, false, halves, halves, 2},
    {"Bit", false, 224, 224, true, {0.48145466, 0.4578275, 0.40821073}, {0.26862954, 0.26130258, 0.27577711}},
    {"ConvNext", true, 384, 0, false, imagenet_mean, imagenet_std, 2},
    {"DeiT", true, 256, 224, true, halves, halves},
    {"DINOv3ViT", true, 224, 0, false, imagenet_mean, imagenet_std, 2},
};

const ProcessorDefaults* find_processor(std::string_view name) {
  const auto* found = std::find_if(std::begin(processors), std::end(processors),
                                   [&](const auto& processor) { return processor.name == name; });
  return found == std::end(processors) ? nullptr : found;
}

const ProcessorDefaults& processor_of(JsonSection& section, const ProcessorDefaults& usual) {
  const auto type =
      section.get<std::string>("image_processor_type", section.get<std::string>("feature_extractor_type", {}));
  std::string_view name = type;
  for (const std::string_view ending : {"Fast", "Pil", "ImageProcessor", "FeatureExtractor"}) {
    if (name.ends_with(ending)) name.remove_suffix(ending.size());
  }
  if (const auto* known = find_processor(name)) return *known;
  if (!type.empty())
    log_warning(
        "{}: what {} does where the file leaves something out is not known here; {}ImageProcessor's way is taken",
        section.where(), type, usual.name);
  return usual;
}

/// A number, {"shortest_edge"}, or {"height", "width"} of a square.
int side_of(const json& value, const std::string& where) {
  if (!value.is_object()) return image_side(value, where);
  JsonSection size(value, where);
  const int side = size.has("height")
                       ? image_side(json::array({size.require<json>("height"), size.require<json>("width")}), where)
                       : image_side(size.require<json>("shortest_edge"), where);
  size.finish();
  return side;
}

/// A folder without any file that says it.
void take_usual(const ProcessorDefaults& usual, const std::string& config_file, Preprocess& how) {
  how.resize = usual.square ? Preprocess::Resize::squash : Preprocess::Resize::shortest;
  how.mean = usual.mean, how.std = usual.std;
  how.crop_rounds_down = true;
  log_warning(
      "{}: neither {} nor {} beside it says how pictures are prepared; {}ImageProcessor's way is taken: {} {} px, "
      "bicubic, mean {}, std {}",
      config_file, processor_config, preprocessor_config, usual.name,
      usual.square ? "both sides resized to" : "the shorter side resized and the centre cropped to", how.image_size,
      fmt::join(how.mean, " "), fmt::join(how.std, " "));
}

/// The side of a square picture of as many patches as Siglip2ImageProcessor makes at most.
int naflex_side(JsonSection& section) {
  const auto patch_size = section.positive("patch_size", 16), most = section.positive("max_num_patches", 256);
  std::int64_t side = 1;
  while ((side + 1) * (side + 1) <= most) ++side;
  check(side * patch_size <= (1 << 14), "{}.max_num_patches: {} patches of {} px make too large a picture",
        section.where(), most, patch_size);
  return static_cast<int>(side * patch_size);
}

/// Resize, crop and the affine change of colours, in one mean and deviation of pixels / 255.
void read_values(JsonSection section, const ProcessorDefaults& fallback, Preprocess& how) {
  const auto& usual = processor_of(section, fallback);
  check(section.get<bool>("do_resize", true) && section.get<bool>("do_rescale", true),
        "{}: do_resize and do_rescale must be on", section.where());
  const auto resample = section.get<int>("resample", usual.resample);
  check(resample == 2 || resample == 3, "{}.resample: 2 (bilinear) or 3 (bicubic) are built here, got {}",
        section.where(), resample);
  how.interpolation = resample == 3 ? Interpolation::bicubic : Interpolation::bilinear;
  const auto side = [&](const char* key, int otherwise) {
    const auto* value = section.find(key);
    return value ? side_of(*value, section.where() + "." + key) : otherwise;
  };
  const auto* size = section.find("size");
  const bool both =
      size && size->is_object() ? JsonSection(*size, section.where() + ".size").has("height") : usual.square;
  how.resize = both ? Preprocess::Resize::squash : Preprocess::Resize::shortest;
  const int resized = usual.name == "Siglip2" ? naflex_side(section) : side("size", usual.size);
  const bool crops = section.get<bool>("do_center_crop", usual.crops);
  const int cropped = crops ? side("crop_size", usual.crop > 0 ? usual.crop : resized) : resized;
  check(both || crops, "{}: a shortest_edge without do_center_crop gives pictures of many shapes", section.where());
  check(resized >= cropped, "{}: pictures resized to {} px can't be cropped to {} px here", section.where(), resized,
        cropped);
  how.image_size = cropped;
  how.resize_size = resized == cropped ? 0 : resized;
  how.crop_rounds_down = true;
  how.pixels_as = pixels_as_of(section);

  const bool normalizes = section.get<bool>("do_normalize", true);
  const auto mean = section.get<std::array<double, 3>>("image_mean", usual.mean);
  const auto std = section.get<std::array<double, 3>>("image_std", usual.std);
  const double factor = 255 * section.number_between("rescale_factor", 1.0 / 255, 1e-6, 1e6);
  const double offset = section.get<bool>("rescale_offset", false) ? 1.0 : 0.0;
  const bool again =
      section.get<bool>("include_top", usual.include_top);  // EfficientNet's: divided by the deviation once more
  for (std::size_t c = 0; c < 3; ++c) {
    const double m = normalizes ? mean[c] : 0.0, s = (normalizes ? std[c] : 1.0) * (again ? std[c] : 1.0);
    check(s > 0, "{}.image_std: expected positive numbers", section.where());
    how.mean[c] = (offset + m) / factor;
    how.std[c] = s / factor;
    check(std::isfinite(how.mean[c]) && std::isfinite(how.std[c]), "{}: image_mean or image_std is absurdly large",
          section.where());
  }
}

}  // namespace

void read_image_processor(const ImageProcessor& processor, std::string_view usual, const std::string& config_file,
                          Preprocess& how) {
  const auto* fallback = find_processor(usual);
  check(fallback != nullptr, "unknown image processor {}", usual);
  if (processor.values.is_null()) return take_usual(*fallback, config_file, how);
  read_values({processor.values, processor.where}, *fallback, how);
}

std::string image_processor_json(const ModelConfig& config, std::string_view processor) {
  const auto& how = config.preprocess;
  const auto* vit = std::get_if<VitConfig>(&config.vision);
  const std::int64_t patch_size = vit ? vit->patch_size : 0, most_patches = vit ? vit->most_patches : 0;
  const bool squash = how.resize == Preprocess::Resize::squash;
  const int resized = how.resize_size > 0 ? how.resize_size : how.image_size;
  const auto both = [](int side) { return json{{"height", side}, {"width", side}}; };
  json out{{"do_convert_rgb", true},
           {"do_resize", true},
           {"size", squash ? both(resized) : json{{"shortest_edge", resized}}},
           {"do_center_crop", !squash || resized != how.image_size},
           {"crop_size", both(how.image_size)},
           {"do_rescale", true},
           {"rescale_factor", 1.0 / 255},
           {"do_normalize", true},
           {"image_mean", how.mean},
           {"image_std", how.std},
           {"resample", how.interpolation == Interpolation::bicubic ? 3 : 2},
           {"image_processor_type", fmt::format("{}ImageProcessor", processor)}};
  if (processor == "Siglip2") {
    for (const auto* key : {"size", "do_center_crop", "crop_size"}) out.erase(key);
    out.update({{"patch_size", patch_size}, {"max_num_patches", most_patches}});
  }
  if (processor == "EfficientNet") out.update({{"rescale_offset", false}, {"include_top", false}});
  if (how.pixels_as == PixelsAs::peer) out[pixels_as_key] = "peer";
  return out.dump(2) + "\n";
}

}  // namespace vlalign
