// open_clip's model configs, read and written.
#include <cmath>
#include <optional>

#include "config/validate.hpp"
#include "core/json/dump_json.hpp"
#include "core/json/parse_json.hpp"
#include "core/log.hpp"
#include "core/utf8.hpp"
#include "model/peers/coca_decoder.hpp"
#include "model/peers/config_json.hpp"
#include "model/peers/efficientnet_json.hpp"
#include "model/peers/open_clip_hf_text.hpp"
#include "model/peers/open_clip_modern_text.hpp"
#include "model/peers/text_family.hpp"
#include "model/peers/timm_family.hpp"
#include "vlalign/model/peers/read_config.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

constexpr auto approximate = "approximate";

constexpr std::pair<const char*, bool BlockConfig::*> block_keys[] = {
    {"qk_norm", &BlockConfig::head_norms},        {"scaled_cosine_attn", &BlockConfig::cosine_attention},
    {"scale_heads", &BlockConfig::head_scales},   {"scale_attn_inner", &BlockConfig::inner_norm},
    {"scale_attn", &BlockConfig::attention_norm}, {"scale_fc", &BlockConfig::mlp_inner_norm}};

Activation activation_of(JsonSection& tower, bool quick_gelu) {
  if (quick_gelu) return Activation::quick_gelu;
  if (!tower.has("act_kwargs")) return Activation::gelu;
  const auto kind = tower.section("act_kwargs").get<std::string>(approximate, "none");
  check(kind == "none" || kind == "tanh", "{}.act_kwargs.approximate: none or tanh, got {}", tower.where(), kind);
  return kind == "tanh" ? Activation::gelu_tanh : Activation::gelu;
}

double norm_eps_of(JsonSection& tower) {
  return tower.has("norm_kwargs") ? tower.section("norm_kwargs").number_between("eps", 1e-5, 0, 1) : 1e-5;
}

std::optional<double> layer_scale_of(JsonSection& tower) {
  if (!tower.has("ls_init_value")) return {};
  return tower.require<double>("ls_init_value");
}

VitConfig::Pool pool_of(JsonSection& vision) {
  const auto pool = vision.get<std::string>("pool_type", "tok");
  check(pool == "tok" || pool == "avg", "{}.pool_type: tok or avg, got {}", vision.where(), pool);
  if (const auto* attentional = vision.find("attentional_pool"); attentional && *attentional != false) {
    check(*attentional == true && pool == "tok", "{}.attentional_pool: only true with pool_type tok is built here",
          vision.where());
    return VitConfig::Pool::query;
  }
  return pool == "tok" ? VitConfig::Pool::token : VitConfig::Pool::average;
}

/// Custom attention blocks, which both towers may have.
BlockConfig block_of(JsonSection& tower) {
  tower.ignore({"block_type"});  // "custom" says no more than the keys below
  BlockConfig block;
  for (const auto& [key, option] : block_keys) block.*option = tower.get<bool>(key, false);
  return block;
}

VitConfig vit_of(JsonSection& vision, bool quick_gelu) {
  const auto positions = vision.get<std::string>("pos_embed_type", "learnable");
  check(positions == "learnable" || positions == "sin_cos_2d", "{}.pos_embed_type: learnable or sin_cos_2d, got {}",
        vision.where(), positions);
  VitConfig vit{.patch_size = vision.positive("patch_size", 16),
                .stem = vision.positives("stem", {}),
                .width = vision.positive("width", 768),
                .layers = vision.count("layers", 12),
                .head_width = vision.positive("head_width", 64),
                .mlp_ratio = vision.number_between("mlp_ratio", 4.0, 0, 64),
                .activation = activation_of(vision, quick_gelu),
                .norm_eps = norm_eps_of(vision),
                .pool = pool_of(vision),
                .class_token = true,
                .patch_bias = false,
                .ln_pre = !vision.get<bool>("no_ln_pre", false),
                .norm_after_pool = vision.get<bool>("final_ln_after_pool", false),
                .positions = positions == "sin_cos_2d" ? VitConfig::Positions::sines : VitConfig::Positions::learned,
                .layer_scale = layer_scale_of(vision),
                .patch_dropout = vision.number_between("patch_dropout", 0, 0, 0.999),
                .pool_queries = vision.positive("attn_pooler_queries", 256),
                .pool_heads = vision.count("attn_pooler_heads", 0),
                .block = block_of(vision)};
  check(vit.width % vit.head_width == 0, "{}: width {} is not a multiple of head_width {}", vision.where(), vit.width,
        vit.head_width);
  return vit;
}

ModifiedResNetConfig modified_resnet_of(JsonSection& vision) {
  vision.ignore({"patch_size", "mlp_ratio"});
  ModifiedResNetConfig config{.layers = vision.positives("layers", {}),
                              .width = vision.positive("width", 64),
                              .head_width = vision.positive("head_width", 64)};
  check(config.layers.size() == 4, "{}.layers: expected 4 stages, got {}", vision.where(), config.layers.size());
  return config;
}

/// timm's keys for the projection, which the towers that no peer names have too.
ProjectionConfig timm_projection(JsonSection& vision, std::int64_t embed_dim) {
  const auto proj = vision.get<std::string>("timm_proj", vision.is_null("timm_proj") ? "" : "linear");
  const bool bias = vision.get<bool>("timm_proj_bias", false);
  check(proj.empty() || proj == "linear" || proj == "mlp" || proj == "none",
        "{}.timm_proj: linear, mlp, none or null, got {}", vision.where(), proj);
  if (proj.empty()) return {.bias = true, .of_tower = true};  // the tower's own classifier
  return {.present = proj != "none", .bias = bias, .hidden = proj == "mlp" ? 2 * embed_dim : 0};
}

/// Without a projection the tower's features are the embeddings.
void check_joined(const std::string& where, const std::string& name, const ModelConfig& config) {
  const auto* vit = std::get_if<VitConfig>(&config.vision);
  check(!vit || config.image_projection.present || vit->width == config.embed_dim,
        "{}: without a projection the width of {}, {}, must be embed_dim, {}", where, name, vit ? vit->width : 0,
        config.embed_dim);
}

void read_timm(JsonSection& vision, ModelConfig& config) {
  vision.ignore({"timm_model_pretrained"});
  const auto name = vision.require<std::string>("timm_model_name");
  config.image_projection = timm_projection(vision, config.embed_dim);
  std::vector<std::string_view> known;
  for (const auto* family : timm_families()) {
    known.push_back(family->models);
    if (auto tower = family->read(name, vision)) {
      config.vision = std::move(*tower);
      check_joined(vision.where(), name, config);
      return;
    }
  }
  fail("{}.timm_model_name: {} are built here, not {}", vision.where(), fmt::join(known, ", "), name);
}

void read_vision(JsonSection vision, ModelConfig& config, bool quick_gelu) {
  vision.ignore({"output_tokens"});
  const auto* size = vision.find("image_size");
  config.preprocess.image_size = size ? image_side(*size, vision.where() + ".image_size") : 224;
  const auto* layers = vision.find("layers");
  if (vision.get<bool>("own_towers", false)) {
    config.vision = OwnTowers{};
    config.image_projection = timm_projection(vision, config.embed_dim);
  } else if (vision.has("efficientnet")) {
    config.vision = efficientnet_of(vision.section("efficientnet"));
    config.image_projection = timm_projection(vision, config.embed_dim);
  } else if (vision.has("timm_model_name")) {
    read_timm(vision, config);
  } else if (layers && layers->is_array()) {
    config.vision = modified_resnet_of(vision);
    config.image_projection.bias = vision.get<bool>("proj_bias", true);
  } else {
    config.vision = vit_of(vision, quick_gelu);
  }
  vision.finish();
}

constexpr std::pair<const char*, TextConfig::Pool> text_pools[] = {
    {"argmax", TextConfig::Pool::largest_id}, {"eos", TextConfig::Pool::end_token}, {"first", TextConfig::Pool::first},
    {"last", TextConfig::Pool::last},         {"mean", TextConfig::Pool::mean},     {"max", TextConfig::Pool::max},
    {"pooler", TextConfig::Pool::pooler},     {"map", TextConfig::Pool::attention}};

TextConfig::Pool text_pool_of(JsonSection& text) {
  const auto name = text.get<std::string>("pool_type", "argmax");
  for (const auto& [known, pool] : text_pools) {
    if (name == known) return pool;
  }
  fail("{}.pool_type: argmax, eos, first, last, mean, max, pooler or map, got {}", text.where(), name);
}

/// A key of ours: the tower's own section, named by transformers' model_type. Null without one.
const TextFamily* text_section_of(JsonSection& text) {
  const TextFamily* found = nullptr;
  for (const auto* family : text_families())
    if (family != &text_gpt2 && text.has(std::string(family->model_type).c_str())) found = family;
  return found;
}

void read_text_tower(JsonSection& text, ModelConfig& config, bool quick_gelu) {
  const auto projection = text.get<std::string>("proj_type", "linear");
  check(projection == "linear" || projection == "none", "{}.proj_type: linear or none, got {}", text.where(),
        projection);
  config.text_projection = {.present = projection == "linear", .bias = text.get<bool>("proj_bias", false)};
  const auto architecture = text.get<std::string>("text_arch", "clip");
  check(architecture == "clip" || architecture == modern_text_arch, "{}.text_arch: clip or {}, got {}", text.where(),
        modern_text_arch, architecture);
  if (architecture == modern_text_arch) {
    config.text = read_modern_text(text);
    config.custom_text = true;
  } else if (const auto* family = text_section_of(text)) {
    auto section = text.section(std::string(family->model_type).c_str());
    config.text = family->read(section);
    config.text.pool = text_pool_of(text);
    config.text = with_context(config.text, text.positive("context_length", config.text.context_length));
  } else {
    config.text = {.context_length = text.positive("context_length", 77),
                   .vocab_size = text.positive("vocab_size", 49408),
                   .width = text.positive("width", 512),
                   .heads = text.positive("heads", 8),
                   .layers = text.count("layers", 12),
                   .mlp_ratio = text.number_between("mlp_ratio", 4.0, 0, 64),
                   .activation = activation_of(text, quick_gelu),
                   .norm_eps = norm_eps_of(text),
                   .pool = text_pool_of(text),
                   .causal = !text.get<bool>("no_causal_mask", false),
                   .pad_id = text.get<std::int64_t>("pad_id", 0),
                   .end_id = text.get<std::int64_t>("eos_id", 2),
                   .layer_scale = layer_scale_of(text),
                   .token_std = text.number_between("token_std", 0.02, 0, 100),
                   .class_embedding = text.get<bool>("embed_cls", false),
                   .block = block_of(text)};
  }
}

void read_text(JsonSection text, const json& root, const std::filesystem::path& file, ModelConfig& config,
               bool quick_gelu) {
  text.ignore({"output_tokens", "tokenizer_mode", "hf_tokenizer_kwargs", "final_ln_after_pool"});
  text.has("hf_model_name") ? read_hf_text(text, root, file, config) : read_text_tower(text, config, quick_gelu);
  config.text.own_vocabulary = !text.get<std::string>("hf_tokenizer_name", {}).empty();
  if (text.has("tokenizer_kwargs")) {
    auto kwargs = text.section("tokenizer_kwargs");
    config.text.cleaning = kwargs.get<std::string>("clean", {});
    config.text.strip_separator = kwargs.get<bool>("strip_sep_token", false);
    kwargs.ignore({"language", "src_lang", "add_bos", "add_eos"});  // the tokenizer's own
    kwargs.finish();
  }
  text.finish();
}

void read_preprocess(JsonSection section, Preprocess& how) {
  how.mean = section.get("mean", how.mean);
  how.std = section.get("std", how.std);
  for (const auto deviation : how.std) check(deviation > 0, "{}.std: expected positive numbers", section.where());
  const auto interpolation = section.get<std::string>("interpolation", "bicubic");
  check(interpolation == "bicubic" || interpolation == "bilinear", "{}.interpolation: bicubic or bilinear, got {}",
        section.where(), interpolation);
  how.interpolation = interpolation == "bicubic" ? Interpolation::bicubic : Interpolation::bilinear;
  const auto mode = section.get<std::string>("resize_mode", "shortest");
  check(mode == "shortest" || mode == "squash", "{}.resize_mode: shortest or squash, got {}", section.where(), mode);
  how.resize = mode == "shortest" ? Preprocess::Resize::shortest : Preprocess::Resize::squash;
  if (const auto* size = section.find("size")) how.image_size = image_side(*size, section.where() + ".size");
  const auto colours = section.get<std::string>("mode", "RGB");
  check(colours == "RGB", "{}.mode: RGB, got {}", section.where(), colours);
  how.pixels_as = pixels_as_of(section);
}

/// The sizes that OpenAI published, whose weights need the quick GELU though many configs don't say so.
bool is_openai_size(const ModelConfig& config) {
  if (const auto* vit = std::get_if<VitConfig>(&config.vision))
    return fits_open_clips_vit(*vit) && !timm_family_of(config) &&
           ((vit->width == 768 && (vit->patch_size == 32 || vit->patch_size == 16)) ||
            (vit->width == 1024 && vit->patch_size == 14)) &&
           config.text.vocab_size == 49408;
  return std::holds_alternative<ModifiedResNetConfig>(config.vision) && config.text.vocab_size == 49408;
}

json act_json(Activation activation) {
  return activation == Activation::gelu_tanh ? json{{approximate, "tanh"}} : json();
}

void put_unless(json& out, const char* key, const json& value, const json& fallback) {
  if (value != fallback) out[key] = value;
}

/// As timm_projection() reads it.
json with_projection(json vision, const ProjectionConfig& projection) {
  vision["timm_proj"] = projection.of_tower      ? json()
                        : !projection.present    ? json("none")
                        : projection.hidden == 0 ? json("linear")
                                                 : json("mlp");
  put_unless(vision, "timm_proj_bias", projection.bias && !projection.of_tower, false);
  return vision;
}

json vision_json(const OwnTowers&, const ModelConfig& config) {
  return with_projection({{"own_towers", true}}, config.image_projection);
}

json vision_json(const EfficientNetConfig& net, const ModelConfig& config) {
  return with_projection({{"efficientnet", to_json(net)}}, config.image_projection);
}

/// Of a tower that open_clip takes from timm.
json timm_json(const ModelConfig& config) {
  const auto* family = timm_family_of(config);
  check(family != nullptr, "model {}: timm has no tower of these sizes", config.name);
  auto out = with_projection(*family->write(config.vision, config.preprocess.image_size), config.image_projection);
  out["timm_model_pretrained"] = false;
  return out;
}

json vision_json(const ResNetConfig&, const ModelConfig& config) { return timm_json(config); }
json vision_json(const ConvNextConfig&, const ModelConfig& config) { return timm_json(config); }
json vision_json(const FastVitConfig&, const ModelConfig& config) { return timm_json(config); }

void put_block(json& out, const BlockConfig& block) {
  for (const auto& [key, option] : block_keys) put_unless(out, key, block.*option, false);
}

json vision_json(const VitConfig& vit, const ModelConfig& config) {
  if (!fits_open_clips_vit(vit) || timm_family_of(config)) return timm_json(config);
  const bool average = vit.pool == VitConfig::Pool::average;
  const VitConfig usual;
  json out{{"layers", vit.layers}, {"width", vit.width}, {"patch_size", vit.patch_size}};
  put_unless(out, "stem", vit.stem, json::array());
  put_unless(out, "head_width", vit.head_width, usual.head_width);
  put_unless(out, "mlp_ratio", vit.mlp_ratio, usual.mlp_ratio);
  put_unless(out, "act_kwargs", act_json(vit.activation), nullptr);
  if (vit.norm_eps != usual.norm_eps) out["norm_kwargs"] = {{"eps", vit.norm_eps}};
  put_unless(out, "pool_type", average ? "avg" : "tok", "tok");
  put_unless(out, "no_ln_pre", !vit.ln_pre, false);
  put_unless(out, "final_ln_after_pool", vit.norm_after_pool, false);
  put_unless(out, "pos_embed_type", vit.positions == VitConfig::Positions::sines ? "sin_cos_2d" : "learnable",
             "learnable");
  if (vit.layer_scale) out["ls_init_value"] = *vit.layer_scale;
  put_unless(out, "patch_dropout", vit.patch_dropout, 0.0);
  put_unless(out, "attentional_pool", vit.pool == VitConfig::Pool::query, false);
  put_unless(out, "attn_pooler_queries", vit.pool_queries, usual.pool_queries);
  put_unless(out, "attn_pooler_heads", vit.pool_heads, usual.pool_heads);
  put_block(out, vit.block);
  return out;
}

json vision_json(const ModifiedResNetConfig& resnet, const ModelConfig& config) {
  json out{{"layers", resnet.layers}, {"width", resnet.width}, {"patch_size", nullptr}};
  put_unless(out, "proj_bias", config.image_projection.bias, true);  // the peer's attention pool always has one
  if (resnet.head_width != 64) out["head_width"] = resnet.head_width;
  return out;
}

const char* name_of(TextConfig::Pool pool) {
  for (const auto& [name, known] : text_pools) {
    if (known == pool) return name;
  }
  fail("unknown pooling");
}

/// As read_text_tower() reads it.
json text_section_json(const TextConfig& text) {
  const auto* family = text_family_of(text);
  check(family != nullptr, "transformers has no text tower like it");
  json out{{std::string(family->model_type), family->write(text)}};
  if (text.position_rows > 0) out["context_length"] = text.context_length;
  return out;
}

json text_json(const ModelConfig& config) {
  const auto& text = config.text;
  const TextConfig usual;
  json out{{"context_length", text.context_length},
           {"vocab_size", text.vocab_size},
           {"width", text.width},
           {"heads", text.heads},
           {"layers", text.layers}};
  const bool masked = is_masked_text(text), named = !text.peer_name.empty();
  const bool modern = text.architecture == TextConfig::Architecture::modern;
  if (modern) out = modern_text_json(text);
  if (masked) out = named ? hf_text_json(config).text : text_section_json(text);
  if (!named) {
    put_unless(out, "pool_type", name_of(text.pool), "argmax");
    put_unless(out, "proj_bias", config.text_projection.bias, false);
    if (!config.text_projection.present) out["proj_type"] = "none";
  }
  if (text.own_vocabulary) out["hf_tokenizer_name"] = "local";  // the folder's own files
  if (!text.cleaning.empty()) out["tokenizer_kwargs"]["clean"] = text.cleaning;
  if (text.strip_separator) out["tokenizer_kwargs"]["strip_sep_token"] = true;
  if (masked || modern) return out;
  put_unless(out, "mlp_ratio", text.mlp_ratio, usual.mlp_ratio);
  put_unless(out, "act_kwargs", act_json(text.activation), nullptr);
  if (text.norm_eps != usual.norm_eps) out["norm_kwargs"] = {{"eps", text.norm_eps}};
  put_unless(out, "no_causal_mask", !text.causal, false);
  put_unless(out, "pad_id", text.pad_id, usual.pad_id);
  put_unless(out, "eos_id", text.end_id, usual.end_id);
  if (text.layer_scale) out["ls_init_value"] = *text.layer_scale;
  put_unless(out, "token_std", text.token_std, usual.token_std);
  put_unless(out, "embed_cls", text.class_embedding, false);
  put_block(out, text.block);
  return out;
}

/// The one key that both towers' activation goes by: those that open_clip builds itself. timm's and BERT's have their
/// own. Where one tower is quick and the other isn't, no key says it.
bool is_quick(const ModelConfig& config) {
  const auto* vit = std::get_if<VitConfig>(&config.vision);
  const bool image = vit && vit->class_token && vit->activation == Activation::quick_gelu && !timm_family_of(config);
  const bool clip_text = config.text.architecture == TextConfig::Architecture::clip;
  return image || (clip_text && config.text.activation == Activation::quick_gelu);
}

}  // namespace

ModelConfig read_open_clip_config(const json& root, const std::filesystem::path& file) {
  ModelConfig config;
  JsonSection top(root, file.string() + ": (top)");
  const bool folder = top.has("model_cfg");
  JsonSection model(folder ? root.at("model_cfg") : root, file.string() + (folder ? ": model_cfg" : ": (top)"));
  config.embed_dim = model.require_positive("embed_dim");
  const bool quick_gelu = model.get<bool>("quick_gelu", false);
  config.decoder = decoder_config(model);
  config.custom_text = model.get<bool>("custom_text", false) || !config.decoder.empty();
  config.scale.initial = std::exp(model.number_between("init_logit_scale", std::log(config.scale.initial), -50, 50));
  if (model.has("init_logit_bias")) config.scale.bias = model.require<double>("init_logit_bias");
  config.scale.temperature = model.get<bool>("temperature", false);
  model.ignore({"nonscalar_logit_scale"});  // scale and bias as lists of one number, which come out as scalars
  read_vision(model.section("vision_cfg"), config, quick_gelu);
  model.ignore({text_sizes_key});
  read_text(model.section("text_cfg"), root, file, config, quick_gelu);
  model.finish();
  if (!folder) {
    config.name = as_utf8(file.stem().string());
    return config;
  }
  config.name = top.get<std::string>("name", as_utf8(file.parent_path().filename().string()));
  if (top.has("preprocess_cfg")) {
    const auto size = config.preprocess.image_size;
    read_preprocess({root.at("preprocess_cfg"), file.string() + ": preprocess_cfg"}, config.preprocess);
    check(config.preprocess.image_size == size, "{}: preprocess_cfg.size {} differs from vision_cfg.image_size {}",
          file.string(), config.preprocess.image_size, size);
  } else {
    log_warning("{}: no preprocess_cfg; OpenAI's mean, std and bicubic resize are taken", file.string());
  }
  if (!model.has("quick_gelu") && is_openai_size(config))
    log_warning(
        "{}: doesn't say quick_gelu; the exact GELU is taken. OpenAI's, MetaCLIP's and DFN's weights need "
        "\"quick_gelu\": true",
        file.string());
  return config;
}

std::string to_open_clip_json(const ModelConfig& config) {
  json vision = std::visit([&](const auto& tower) { return vision_json(tower, config); }, config.vision);
  vision["image_size"] = config.preprocess.image_size;
  const auto& how = config.preprocess;
  json model{{"embed_dim", config.embed_dim}, {"vision_cfg", vision}, {"text_cfg", text_json(config)}};
  model["quick_gelu"] = is_quick(config);
  put_unless(model, "custom_text", config.custom_text, false);
  if (!config.decoder.empty()) {  // which reads both towers' tokens
    model["multimodal_cfg"] = parse_json(config.decoder, "[to_open_clip_json] decoder");
    model["vision_cfg"]["output_tokens"] = model["text_cfg"]["output_tokens"] = true;
  }
  if (std::abs(config.scale.initial - ScaleConfig{}.initial) > 1e-9)
    model["init_logit_scale"] = std::log(config.scale.initial);
  if (config.scale.bias) model["init_logit_bias"] = *config.scale.bias;
  put_unless(model, "temperature", config.scale.temperature, false);
  json preprocess{{"size", {how.image_size, how.image_size}},
                  {"mode", "RGB"},
                  {"mean", how.mean},
                  {"std", how.std},
                  {"interpolation", how.interpolation == Interpolation::bicubic ? "bicubic" : "bilinear"},
                  {"resize_mode", how.resize == Preprocess::Resize::shortest ? "shortest" : "squash"},
                  {"fill_color", 0}};
  if (how.pixels_as == PixelsAs::peer) preprocess[pixels_as_key] = "peer";
  json all{{"name", config.name}, {"model_cfg", model}, {"preprocess_cfg", preprocess}};
  if (!config.text.peer_name.empty()) put_unless(all, text_sizes_key, hf_text_json(config).sizes, nullptr);
  return dump_json(all, 2, "[to_open_clip_json] name") + "\n";
}

}  // namespace vlalign
