// open_clip's model configs, read and written.
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "core/check.hpp"
#include "core/files.hpp"
#include "vlalign/model/config.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

/// One object of the file; remembers which keys were read, so that what was asked for and not understood is an error.
class Section {
 public:
  Section(const json& value, std::string where) : value_(value), where_(std::move(where)) {
    check(value_.is_object(), "{}: expected an object, got {}", where_, value_.type_name());
  }

  template <typename T>
  T require(const char* key) {
    const auto* found = find(key);
    check(found != nullptr, "{}.{} is missing", where_, key);
    try {
      return found->get<T>();
    } catch (const json::exception&) {
      fail("{}.{}: not a value of the expected kind: {}", where_, key, found->dump());
    }
  }

  template <typename T>
  T get(const char* key, const T& fallback) {
    return find(key) ? require<T>(key) : fallback;
  }

  std::int64_t require_positive(const char* key) {
    const auto number = require<std::int64_t>(key);
    check(number > 0 && number <= (1 << 24), "{}.{}: expected a positive number, got {}", where_, key, number);
    return number;
  }

  std::int64_t positive(const char* key, std::int64_t fallback) { return find(key) ? require_positive(key) : fallback; }

  Section section(const char* key) {
    known_.insert(key);
    check(value_.contains(key), "{}.{} is missing", where_, key);
    return {value_.at(key), fmt::format("{}.{}", where_, key)};
  }

  const json* find(const char* key) {
    known_.insert(key);
    const auto found = value_.find(key);
    return found == value_.end() || found->is_null() ? nullptr : &*found;
  }

  /// Throws for keys nobody asked for, unless they are off (null, false, empty).
  void finish() const {
    for (const auto& [key, value] : value_.items()) {
      const bool off = value.is_null() || value == false || value == "" || value == 0;
      check(off || known_.contains(key), "{}.{} = {} asks for something that is not built here", where_, key,
            value.dump());
    }
  }

  const std::string& where() const { return where_; }

 private:
  const json& value_;
  std::string where_;
  std::set<std::string> known_;
};

int image_size_of(const json& value, const std::string& where) {
  const json& size = value.is_array() && !value.empty() ? value.front() : value;
  check(size.is_number_integer() && size > 0 && size <= 8192, "{}: expected the side in pixels, got {}", where,
        value.dump());
  check(!value.is_array() || value == json::array({size, size}), "{}: only square images are built here, got {}", where,
        value.dump());
  return size.get<int>();
}

VitConfig vit_of(Section& vision) {
  return {.patch_size = vision.positive("patch_size", 16),
          .width = vision.positive("width", 768),
          .layers = vision.positive("layers", 12),
          .head_width = vision.positive("head_width", 64),
          .mlp_ratio = vision.get<double>("mlp_ratio", 4.0)};
}

ResNetConfig resnet_of(Section& vision) {
  vision.find("patch_size");
  vision.find("mlp_ratio");
  ResNetConfig config{.layers = vision.require<std::vector<std::int64_t>>("layers"),
                      .width = vision.positive("width", 64),
                      .head_width = vision.positive("head_width", 64)};
  check(config.layers.size() == 4, "{}.layers: expected 4 stages, got {}", vision.where(), config.layers.size());
  return config;
}

void read_vision(Section vision, ModelConfig& config) {
  const auto* size = vision.find("image_size");
  config.preprocess.image_size = size ? image_size_of(*size, vision.where() + ".image_size") : 224;
  const auto* layers = vision.find("layers");
  if (layers && layers->is_array()) {
    config.vision = resnet_of(vision);
  } else {
    config.vision = vit_of(vision);
  }
  if (const auto* pool = vision.find("pool_type"))
    check(*pool == "tok", "{}.pool_type: only \"tok\" is built here", vision.where());
  vision.finish();
}

void read_text(Section text, ModelConfig& config) {
  config.text = {.context_length = text.positive("context_length", 77),
                 .vocab_size = text.positive("vocab_size", 49408),
                 .width = text.positive("width", 512),
                 .heads = text.positive("heads", 8),
                 .layers = text.positive("layers", 12),
                 .mlp_ratio = text.get<double>("mlp_ratio", 4.0),
                 .own_vocabulary = !text.get<std::string>("hf_tokenizer_name", {}).empty()};
  if (const auto* pool = text.find("pool_type"))
    check(*pool == "argmax", "{}.pool_type: only \"argmax\" is built here", text.where());
  text.finish();
}

void read_preprocess(Section section, Preprocess& how) {
  const auto triple = [&](const char* key, std::array<double, 3> fallback) {
    return section.get<std::array<double, 3>>(key, fallback);
  };
  how.mean = triple("mean", how.mean);
  how.std = triple("std", how.std);
  const auto interpolation = section.get<std::string>("interpolation", "bicubic");
  check(interpolation == "bicubic" || interpolation == "bilinear", "{}.interpolation: bicubic or bilinear, got {}",
        section.where(), interpolation);
  how.interpolation = interpolation == "bicubic" ? Interpolation::bicubic : Interpolation::bilinear;
  const auto mode = section.get<std::string>("resize_mode", "shortest");
  check(mode == "shortest" || mode == "squash", "{}.resize_mode: shortest or squash, got {}", section.where(), mode);
  how.resize = mode == "shortest" ? Preprocess::Resize::shortest : Preprocess::Resize::squash;
  if (const auto* size = section.find("size")) how.image_size = image_size_of(*size, section.where() + ".size");
  const auto colours = section.get<std::string>("mode", "RGB");
  check(colours == "RGB", "{}.mode: RGB, got {}", section.where(), colours);
}

json vision_json(const OwnTowers&) { return {{"own_towers", true}}; }

json vision_json(const VitConfig& vit) {
  json out{{"layers", vit.layers}, {"width", vit.width}, {"patch_size", vit.patch_size}};
  if (vit.head_width != 64) out["head_width"] = vit.head_width;
  if (vit.mlp_ratio != 4.0) out["mlp_ratio"] = vit.mlp_ratio;
  return out;
}

json vision_json(const ResNetConfig& resnet) {
  json out{{"layers", resnet.layers}, {"width", resnet.width}, {"patch_size", nullptr}};
  if (resnet.head_width != 64) out["head_width"] = resnet.head_width;
  return out;
}

json text_json(const TextConfig& text) {
  json out{{"context_length", text.context_length},
           {"vocab_size", text.vocab_size},
           {"width", text.width},
           {"heads", text.heads},
           {"layers", text.layers}};
  if (text.mlp_ratio != 4.0) out["mlp_ratio"] = text.mlp_ratio;
  if (text.own_vocabulary) out["hf_tokenizer_name"] = "local";  // the folder's own files
  return out;
}

}  // namespace

ModelConfig read_model_config(const std::filesystem::path& file) {
  json root;
  try {
    root = json::parse(read_file(file));
  } catch (const json::exception& error) {
    fail("{}: not JSON: {}", file.string(), error.what());
  }
  ModelConfig config;
  config.name = file.stem();
  const bool folder = root.is_object() && root.contains("model_cfg");
  Section model(folder ? root.at("model_cfg") : root, file.string() + (folder ? ": model_cfg" : ": (top)"));
  config.embed_dim = model.require_positive("embed_dim");
  config.quick_gelu = model.get<bool>("quick_gelu", false);
  read_vision(model.section("vision_cfg"), config);
  read_text(model.section("text_cfg"), config);
  if (folder && root.contains("preprocess_cfg")) {
    const auto size = config.preprocess.image_size;
    read_preprocess({root.at("preprocess_cfg"), file.string() + ": preprocess_cfg"}, config.preprocess);
    check(config.preprocess.image_size == size, "{}: preprocess_cfg.size {} differs from vision_cfg.image_size {}",
          file.string(), config.preprocess.image_size, size);
  }
  model.find("custom_text");
  model.find("init_logit_scale");
  model.finish();
  if (folder && root.contains("name")) config.name = root.at("name").get<std::string>();
  return config;
}

std::string to_open_clip_json(const ModelConfig& config) {
  json vision = std::visit([](const auto& tower) { return vision_json(tower); }, config.vision);
  vision["image_size"] = config.preprocess.image_size;
  const auto& how = config.preprocess;
  json model{{"embed_dim", config.embed_dim}, {"vision_cfg", vision}, {"text_cfg", text_json(config.text)}};
  if (config.quick_gelu) model["quick_gelu"] = true;
  const json preprocess{{"size", {how.image_size, how.image_size}},
                        {"mode", "RGB"},
                        {"mean", how.mean},
                        {"std", how.std},
                        {"interpolation", how.interpolation == Interpolation::bicubic ? "bicubic" : "bilinear"},
                        {"resize_mode", how.resize == Preprocess::Resize::shortest ? "shortest" : "squash"},
                        {"fill_color", 0}};
  return json{{"name", config.name}, {"model_cfg", model}, {"preprocess_cfg", preprocess}}.dump(2) + "\n";
}

}  // namespace vlalign
