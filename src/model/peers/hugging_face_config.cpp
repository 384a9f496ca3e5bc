// transformers' configs, read and written. What a config leaves out has the default of its class there.

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <string_view>

#include "config/config_fields.hpp"
#include "core/io/files.hpp"
#include "core/json/parse_json.hpp"
#include "core/log.hpp"
#include "core/utf8.hpp"
#include "model/peers/config_json.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

constexpr std::pair<const char*, Activation> activations[] = {{"gelu", Activation::gelu},
                                                              {"quick_gelu", Activation::quick_gelu},
                                                              {"gelu_pytorch_tanh", Activation::gelu_tanh},
                                                              {"gelu_new", Activation::gelu_tanh}};

Activation activation_of(JsonSection& section, const char* key, const char* fallback) {
  const auto name = section.get<std::string>(key, fallback);
  for (const auto& [known, activation] : activations) {
    if (name == known) return activation;
  }
  fail("{}.{}: gelu, quick_gelu, gelu_pytorch_tanh or gelu_new, got {}", section.where(), key, name);
}

std::string peers_name(Activation activation) {
  for (const auto& [name, known] : activations) {
    if (known == activation) return name;
  }
  fail("unknown activation");
}

void set_unless(json& out, const char* key, const json& value, const json& usual) {
  if (value != usual) out[key] = value;
}

/// A key of CLIP's default that decides numbers and that OpenAI's and other weights don't share.
void warn_of_silence(JsonSection& section) {
  if (!section.has("hidden_act"))
    log_warning(
        "{} doesn't name hidden_act: quick_gelu is taken, transformers' default for CLIP and what OpenAI's "
        "weights need; models trained with open_clip mostly need gelu",
        section.where());
}

/// A section that a config may leave out.
JsonSection optional_section(JsonSection& parent, const char* key) {
  static const json nothing = json::object();
  return parent.has(key) ? parent.section(key) : JsonSection(nothing, parent.where() + "." + key);
}

/// CLIPConfig's old spelling beside the new one: where "text_config_dict" is given, it and the defaults of its class
/// stand for "text_config", whatever that says.
JsonSection old_or_new_section(JsonSection& root, const char* key) {
  const auto old_key = std::string(key) + "_dict";
  const auto* old = root.find(old_key.c_str());
  if (!old) return optional_section(root, key);
  const auto section = root.section(old_key.c_str());
  if (const auto* current = root.find(key); current && *current != *old)
    log_info("{0}: {1} is taken, as transformers takes it, and {2} is not", root.where(), old_key, key);
  return section;
}

double mlp_ratio(JsonSection& section, const char* key, std::int64_t fallback, std::int64_t width) {
  constexpr std::int64_t largest = 64;
  const auto hidden = section.positive(key, fallback);
  check(hidden <= largest * width, "{}.{}: expected at most {} times the width {}, got {}", section.where(), key,
        largest, width, hidden);
  return static_cast<double>(hidden) / static_cast<double>(width);
}

// Keys of ours beside the peer's, which keeps them and goes by none: they change nothing but how a tower starts and
// trains.
constexpr auto patch_dropout = "patch_dropout";
constexpr auto token_std = "token_std";
constexpr auto scale_at_first = "logit_scale_init_value";
constexpr auto bias_at_first = "logit_bias_init_value";

void check_channels(JsonSection& vision) {
  check(vision.get<std::int64_t>("num_channels", 3) == 3, "{}.num_channels: only 3 are built here", vision.where());
}

struct VitDefaults {
  std::int64_t width, mlp_width, layers, heads, patch_size;
  const char* activation;
  double norm_eps;
};

VitConfig vit_of(JsonSection& vision, const VitDefaults& usual) {
  check_channels(vision);
  VitConfig vit;
  vit.patch_size = vision.positive("patch_size", usual.patch_size);
  vit.width = vision.positive("hidden_size", usual.width);
  vit.layers = vision.count("num_hidden_layers", usual.layers);
  const auto heads = vision.positive("num_attention_heads", usual.heads);
  check(vit.width % heads == 0, "{}: hidden_size {} is not a multiple of num_attention_heads {}", vision.where(),
        vit.width, heads);
  vit.head_width = vit.width / heads;
  vit.mlp_ratio = mlp_ratio(vision, "intermediate_size", usual.mlp_width, vit.width);
  vit.activation = activation_of(vision, "hidden_act", usual.activation);
  vit.norm_eps = vision.number_between("layer_norm_eps", usual.norm_eps, 0, 1);
  vit.patch_dropout = vision.number_between(patch_dropout, 0, 0, 0.999);
  return vit;
}

int image_size_of(JsonSection& vision, int fallback) {
  const auto* size = vision.find("image_size");
  return size ? image_side(*size, vision.where() + ".image_size") : fallback;
}

TextConfig text_of(JsonSection& text, std::int64_t vocab, std::int64_t context, std::int64_t width, std::int64_t heads,
                   const char* activation, double eps) {
  TextConfig config;
  config.context_length = text.positive("max_position_embeddings", context);
  config.vocab_size = text.positive("vocab_size", vocab);
  config.width = text.positive("hidden_size", width);
  config.heads = text.positive("num_attention_heads", heads);
  config.layers = text.count("num_hidden_layers", 12);
  config.mlp_ratio = mlp_ratio(text, "intermediate_size", 4 * width, config.width);
  config.activation = activation_of(text, "hidden_act", activation);
  config.norm_eps = text.number_between("layer_norm_eps", eps, 0, 1);
  config.own_vocabulary = true;
  return config;
}

std::int64_t token_id(JsonSection& text, const char* key, std::int64_t fallback) {
  const auto id = text.get(key, fallback);
  check(id >= 0 && id <= (1 << 24), "{}.{}: expected an id, got {}", text.where(), key, id);
  return id;
}

/// What the text towers of CLIP and SigLIP have beside text_of().
void read_token_std(JsonSection& text, TextConfig& config) {
  config.token_std = text.number_between(token_std, config.token_std, 0, 100);
}

void read_clip(JsonSection& root, ModelConfig& config) {
  auto vision = old_or_new_section(root, "vision_config");
  auto text = old_or_new_section(root, "text_config");
  warn_of_silence(vision);
  warn_of_silence(text);
  config.embed_dim = root.positive("projection_dim", 512);
  config.scale.initial = std::exp(root.number_between(scale_at_first, 2.6592, -50, 50));
  config.vision = vit_of(vision, {768, 3072, 12, 12, 32, "quick_gelu", 1e-5});
  config.preprocess.image_size = image_size_of(vision, 224);
  config.text = text_of(text, 49408, 77, 512, 8, "quick_gelu", 1e-5);
  config.text.pad_id = token_id(text, "pad_token_id", 1);
  config.text.end_id = token_id(text, "eos_token_id", 49407);
  // Configs older than the key's repair say 2, and transformers pools them as OpenAI does.
  config.text.pool = config.text.end_id == 2 ? TextConfig::Pool::largest_id : TextConfig::Pool::end_token;
  read_token_std(text, config.text);
}

/// The scale and bias that SigLIP starts with (Zhai et al. 2023, section 3.2).
constexpr double siglip_scale = 10.0, siglip_bias = -10.0;

void read_siglip(JsonSection& root, ModelConfig& config) {
  auto vision = optional_section(root, "vision_config");
  auto text = optional_section(root, "text_config");
  auto vit = vit_of(vision, {768, 3072, 12, 12, 16, "gelu_pytorch_tanh", 1e-6});
  check(vision.get<bool>("vision_use_head", true), "{}.vision_use_head: only true is built here", vision.where());
  vit.pool = VitConfig::Pool::attention;
  vit.class_token = false;
  vit.patch_bias = true;
  vit.ln_pre = false;
  config.preprocess.image_size = image_size_of(vision, 224);
  config.text = text_of(text, 32000, 64, 768, 12, "gelu_pytorch_tanh", 1e-6);
  config.text.pad_id = token_id(text, "pad_token_id", 1);
  config.text.end_id = token_id(text, "eos_token_id", 1);
  config.text.pool = TextConfig::Pool::last;
  config.text.causal = false;
  config.embed_dim = text.positive("projection_size", config.text.width);
  check(config.embed_dim == vit.width, "{}.projection_size {} differs from the vision tower's width {}", text.where(),
        config.embed_dim, vit.width);
  config.vision = vit;
  config.image_projection = {.present = false, .bias = false};
  config.text_projection = {.present = true, .bias = true};
  read_token_std(text, config.text);
  config.scale = {.temperature = false, .initial = siglip_scale, .bias = root.get(bias_at_first, siglip_bias)};
  if (root.has(scale_at_first)) config.scale.initial = std::exp(root.number_between(scale_at_first, 0, -50, 50));
}

void read_align(JsonSection& root, ModelConfig& config) {
  auto vision = optional_section(root, "vision_config");
  auto text = optional_section(root, "text_config");
  config.embed_dim = root.positive("projection_dim", 640);
  config.vision = efficientnet_of(vision);
  config.preprocess.image_size = image_size_of(vision, 600);
  config.text = bert_of(text);
  config.text.pooler = text.get<bool>("pooler", true);  // transformers always has one
  config.image_projection = {.present = false, .bias = false};
  config.text_projection = {.present = true, .bias = true};
  config.scale = {.temperature = true, .initial = 1 / root.number_between("temperature_init_value", 1.0, 1e-6, 1e6)};
}

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
    {"Siglip", true, 224, 0, false, halves, halves},
    {"EfficientNet", true, 346, 289, false, halves, halves, 3, true},
    {"ViT", true, 224, 0, false, halves, halves, 2},
    {"Bit", false, 224, 224, true, {0.48145466, 0.4578275, 0.40821073}, {0.26862954, 0.26130258, 0.27577711}},
    {"ConvNext", true, 384, 0, false, imagenet_mean, imagenet_std, 2},
};

/// Of a model whose files name no processor, or one that is not known here.
const ProcessorDefaults& usual_processor(const std::string& model_type) {
  return processors[model_type == "clip" ? 0 : model_type == "siglip" ? 1 : 2];
}

const ProcessorDefaults& processor_of(JsonSection& section, const std::string& model_type) {
  const auto type =
      section.get<std::string>("image_processor_type", section.get<std::string>("feature_extractor_type", {}));
  std::string_view name = type;
  for (const std::string_view ending : {"Fast", "Pil", "ImageProcessor", "FeatureExtractor"}) {
    if (name.ends_with(ending)) name.remove_suffix(ending.size());
  }
  const auto* known = std::find_if(std::begin(processors), std::end(processors),
                                   [&](const auto& processor) { return processor.name == name; });
  if (known != std::end(processors)) return *known;
  const auto& usual = usual_processor(model_type);
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
void take_usual_preprocessing(const std::string& model_type, const std::filesystem::path& file, Preprocess& how) {
  const auto& usual = usual_processor(model_type);
  how.resize = usual.square ? Preprocess::Resize::squash : Preprocess::Resize::shortest;
  how.mean = usual.mean, how.std = usual.std;
  how.crop_rounds_down = true;
  log_warning(
      "{}: neither {} nor {} beside it says how pictures are prepared; {}'s own way is taken: {} {} px, bicubic, mean "
      "{}, std {}",
      file.string(), processor_config, preprocessor_config, model_type,
      usual.square ? "both sides resized to" : "the shorter side resized and the centre cropped to", how.image_size,
      fmt::join(how.mean, " "), fmt::join(how.std, " "));
}

/// Resize, crop and the affine change of colours, in one mean and deviation of pixels / 255.
void read_preprocessor(JsonSection section, const std::string& model_type, Preprocess& how) {
  const auto& usual = processor_of(section, model_type);
  check(section.get<bool>("do_resize", true) && section.get<bool>("do_rescale", true),
        "{}: do_resize and do_rescale must be on", section.where());
  const auto resample = section.get<int>("resample", usual.resample);
  check(resample == 2 || resample == 3, "{}.resample: 2 (bilinear) or 3 (bicubic) are built here, got {}",
        section.where(), resample);
  how.interpolation = resample == 3 ? Interpolation::bicubic : Interpolation::bilinear;
  const auto side = [&](const char* key, int fallback) {
    const auto* value = section.find(key);
    return value ? side_of(*value, section.where() + "." + key) : fallback;
  };
  const auto* size = section.find("size");
  const bool both =
      size && size->is_object() ? JsonSection(*size, section.where() + ".size").has("height") : usual.square;
  how.resize = both ? Preprocess::Resize::squash : Preprocess::Resize::shortest;
  const int resized = side("size", usual.size);
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

json vision_json(const ModelConfig& config) {
  const auto& vit = std::get<VitConfig>(config.vision);
  json out{{"hidden_size", vit.width},
           {"intermediate_size", mlp_width(vit.width, vit.mlp_ratio)},
           {"num_hidden_layers", vit.layers},
           {"num_attention_heads", vit.width / vit.head_width},
           {"num_channels", 3},
           {"image_size", config.preprocess.image_size},
           {"patch_size", vit.patch_size},
           {"hidden_act", peers_name(vit.activation)},
           {"layer_norm_eps", vit.norm_eps}};
  set_unless(out, patch_dropout, vit.patch_dropout, 0.0);
  return out;
}

json text_json(const TextConfig& text) {
  json out{{"vocab_size", text.vocab_size},
           {"hidden_size", text.width},
           {"intermediate_size", mlp_width(text.width, text.mlp_ratio)},
           {"num_hidden_layers", text.layers},
           {"num_attention_heads", text.heads},
           {"max_position_embeddings", text.context_length},
           {"hidden_act", peers_name(text.activation)},
           {"layer_norm_eps", text.norm_eps},
           {"pad_token_id", text.pad_id}};
  set_unless(out, token_std, text.token_std, TextConfig{}.token_std);
  return out;
}

/// transformers builds only the plain towers.
void check_plain(const ModelConfig& config) {
  const auto* vit = std::get_if<VitConfig>(&config.vision);
  const bool siglip = family(config) == "SigLIP";
  const auto pool = siglip ? VitConfig::Pool::attention : VitConfig::Pool::token;
  const bool plain_vit = vit && vit->pool == pool && vit->ln_pre != siglip && vit->patch_bias == siglip &&
                         vit->stem.empty() && !vit->norm_after_pool && !vit->fixed_positions && !vit->layer_scale &&
                         vit->width % vit->head_width == 0;
  check(plain_vit, "model {}: transformers has no such image tower", config.name);
  const auto& text = config.text;
  const bool ends = text.pool == TextConfig::Pool::largest_id || text.pool == TextConfig::Pool::end_token;
  const bool plain_text = text.causal != siglip && (siglip ? text.pool == TextConfig::Pool::last : ends) &&
                          !text.layer_scale && !text.class_embedding && config.text_projection.present &&
                          config.text_projection.bias == siglip && config.image_projection.bias == false;
  check(plain_text, "model {}: transformers has no such text tower", config.name);
  check(!config.scale.temperature && config.scale.bias.has_value() == siglip,
        "model {}: transformers' {} has {} logit bias, and the scale's logarithm as its parameter", config.name,
        siglip ? "SigLIP" : "CLIP", siglip ? "a" : "no");
}

json clip_json(const ModelConfig& config) {
  auto vision = vision_json(config), text = text_json(config.text);
  vision["projection_dim"] = text["projection_dim"] = config.embed_dim;
  // With 2 transformers pools at the largest id, as OpenAI does, with another at the first end token.
  const bool largest = config.text.pool == TextConfig::Pool::largest_id;
  text["eos_token_id"] = largest ? 2 : config.text.end_id;
  text["bos_token_id"] = std::max<std::int64_t>(0, largest ? config.text.vocab_size - 2 : config.text.end_id - 1);
  vision["model_type"] = "clip_vision_model";
  text["model_type"] = "clip_text_model";
  return {{"architectures", {"CLIPModel"}},
          {"model_type", "clip"},
          {"projection_dim", config.embed_dim},
          {scale_at_first, std::log(config.scale.initial)},
          {"vision_config", vision},
          {"text_config", text}};
}

json siglip_json(const ModelConfig& config) {
  auto vision = vision_json(config), text = text_json(config.text);
  text["projection_size"] = config.embed_dim;
  text["eos_token_id"] = config.text.end_id;
  vision["vision_use_head"] = true;
  vision["model_type"] = "siglip_vision_model";
  text["model_type"] = "siglip_text_model";
  json out{
      {"architectures", {"SiglipModel"}}, {"model_type", "siglip"}, {"vision_config", vision}, {"text_config", text}};
  if (config.scale.initial != siglip_scale) out[scale_at_first] = std::log(config.scale.initial);
  set_unless(out, bias_at_first, *config.scale.bias, siglip_bias);
  return out;
}

json align_json(const ModelConfig& config) {
  auto vision = to_json(std::get<EfficientNetConfig>(config.vision));
  vision["image_size"] = config.preprocess.image_size;
  vision["model_type"] = "align_vision_model";
  auto text = bert_json(config.text);
  text["model_type"] = "align_text_model";
  return {{"architectures", {"AlignModel"}},
          {"model_type", "align"},
          {"projection_dim", config.embed_dim},
          {"temperature_init_value", 1 / config.scale.initial},
          {"vision_config", vision},
          {"text_config", text}};
}

json preprocessor_json(const ModelConfig& config) {
  const auto& how = config.preprocess;
  const bool squash = how.resize == Preprocess::Resize::squash;
  const int resized = how.resize_size > 0 ? how.resize_size : how.image_size;
  const auto both = [](int side) { return json{{"height", side}, {"width", side}}; };
  const auto kind = family(config);
  const auto* processor = kind == "ALIGN"    ? "EfficientNetImageProcessor"
                          : kind == "SigLIP" ? "SiglipImageProcessor"
                                             : "CLIPImageProcessor";
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
           {"image_processor_type", processor}};
  if (kind == "ALIGN") out.update({{"rescale_offset", false}, {"include_top", false}});
  if (how.pixels_as == PixelsAs::peer) out[pixels_as_key] = "peer";
  return out;
}

}  // namespace

ModelConfig read_hugging_face_config(const json& root, const ImageProcessor& preprocessor,
                                     const std::filesystem::path& file) {
  ModelConfig config;
  config.layout = Layout::hugging_face;
  config.name = as_utf8(file.parent_path().filename().string());
  JsonSection top(root, file.string());
  const auto type = top.require<std::string>("model_type");
  if (type == "clip") {
    read_clip(top, config);
  } else if (type == "siglip") {
    read_siglip(top, config);
  } else if (type == "align") {
    read_align(top, config);
  } else {
    fail(
        "{}: model_type \"{}\" is not one that is built here: clip, siglip (SigLIP 2 of fixed resolution too) or align",
        file.string(), type);
  }
  if (preprocessor.values.is_null()) {
    take_usual_preprocessing(type, file, config.preprocess);
    return config;
  }
  const auto size = config.preprocess.image_size;
  read_preprocessor({preprocessor.values, preprocessor.where}, type, config.preprocess);
  check(config.preprocess.image_size == size || type == "align", "{}: gives pictures of {} px, {} has image_size {}",
        preprocessor.where, config.preprocess.image_size, file.string(), size);
  return config;
}

std::vector<ConfigFile> hugging_face_config_files(const ModelConfig& config) {
  const auto kind = family(config);
  if (kind != "ALIGN") check_plain(config);
  auto root = kind == "ALIGN" ? align_json(config) : kind == "SigLIP" ? siglip_json(config) : clip_json(config);
  root["dtype"] = "float32";
  return {{"config.json", root.dump(2) + "\n"}, {preprocessor_config, preprocessor_json(config).dump(2) + "\n"}};
}

EfficientNetConfig efficientnet_of(JsonSection section) {
  check_channels(section);
  EfficientNetConfig net;
  net.width_coefficient = section.number_between("width_coefficient", 2.0, 0.01, 100);
  net.depth_coefficient = section.number_between("depth_coefficient", 3.1, 0.01, 100);
  net.depth_divisor = section.positive("depth_divisor", 8);
  net.kernel_sizes = section.positives("kernel_sizes", net.kernel_sizes);
  net.in_channels = section.positives("in_channels", net.in_channels);
  net.out_channels = section.positives("out_channels", net.out_channels);
  net.strides = section.positives("strides", net.strides);
  net.num_block_repeats = section.positives("num_block_repeats", net.num_block_repeats);
  net.expand_ratios = section.positives("expand_ratios", net.expand_ratios);
  net.depthwise_padding = section.get("depthwise_padding", net.depthwise_padding);
  net.squeeze_expansion_ratio = section.number_between("squeeze_expansion_ratio", 0.25, 0, 1);
  net.hidden_dim = section.positive("hidden_dim", 2560);
  net.norm_eps = section.number_between("batch_norm_eps", 1e-3, 0, 1);
  net.norm_momentum = section.number_between("batch_norm_momentum", 0.99, 0, 1);
  const auto act = section.get<std::string>("hidden_act", "swish"),
             pooling = section.get<std::string>("pooling_type", "mean");
  check(act == "swish" || act == "silu", "{}.hidden_act: only swish is built here, got {}", section.where(), act);
  check(pooling == "mean", "{}.pooling_type: only mean is built here, got {}", section.where(), pooling);
  return net;
}

json to_json(const EfficientNetConfig& net) {
  return {{"num_channels", 3},
          {"width_coefficient", net.width_coefficient},
          {"depth_coefficient", net.depth_coefficient},
          {"depth_divisor", net.depth_divisor},
          {"kernel_sizes", net.kernel_sizes},
          {"in_channels", net.in_channels},
          {"out_channels", net.out_channels},
          {"strides", net.strides},
          {"num_block_repeats", net.num_block_repeats},
          {"expand_ratios", net.expand_ratios},
          {"depthwise_padding", net.depthwise_padding},
          {"squeeze_expansion_ratio", net.squeeze_expansion_ratio},
          {"hidden_dim", net.hidden_dim},
          {"hidden_act", "swish"},
          {"pooling_type", "mean"},
          {"batch_norm_eps", net.norm_eps},
          {"batch_norm_momentum", net.norm_momentum}};
}

TextConfig bert_of(JsonSection section) {
  auto config = text_of(section, 30522, 512, 768, 12, "gelu", 1e-12);
  config.architecture = TextConfig::Architecture::bert;
  config.pool = TextConfig::Pool::first;
  config.causal = false;
  config.token_types = section.positive("type_vocab_size", 2);
  config.pad_id = token_id(section, "pad_token_id", 0);
  config.end_id = token_id(section, "eos_token_id", config.end_id);
  config.pooler = section.get<bool>("pooler", false);
  return config;
}

json bert_json(const TextConfig& text) {
  auto out = text_json(text);
  out["eos_token_id"] = text.end_id;
  out["type_vocab_size"] = text.token_types;
  out["pooler"] = text.pooler;
  return out;
}

TextConfig gpt2_of(JsonSection section) {
  TextConfig config;
  config.context_length = section.positive("n_positions", 1024);
  config.vocab_size = section.positive("vocab_size", 50257);
  config.width = section.positive("n_embd", 768);
  config.heads = section.positive("n_head", 12);
  config.layers = section.positive("n_layer", 12);
  config.mlp_ratio = mlp_ratio(section, "n_inner", 4 * config.width, config.width);
  config.activation = activation_of(section, "activation_function", "gelu_new");
  config.norm_eps = section.number_between("layer_norm_epsilon", 1e-5, 0, 1);
  config.end_id = token_id(section, "eos_token_id", 50256);
  config.pad_id = token_id(section, "pad_token_id", config.end_id);
  config.pool = TextConfig::Pool::end_token;
  config.own_vocabulary = true;
  for (const auto* key : {"scale_attn_by_inverse_layer_idx", "add_cross_attention"})
    check(!section.get<bool>(key, false), "{}.{}: only false is built here", section.where(), key);
  return config;
}

}  // namespace vlalign
