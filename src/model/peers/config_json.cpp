#include "model/peers/config_json.hpp"

#include <optional>

#include "config/config_fields.hpp"
#include "config/validate.hpp"
#include "core/io/files.hpp"
#include "core/json/parse_json.hpp"
#include "model/peers/open_clip_hf_text.hpp"
#include "model/peers/peer_names.hpp"
#include "model/peers/sentence_transformers.hpp"
#include "model/peers/text_family.hpp"
#include "vlalign/model/peers/read_config.hpp"

namespace vlalign {
namespace {

/// What keeps a config from coming back from its own layout; none where it does.
std::optional<std::string> fault_of(const ModelConfig& config) {
  try {
    naming_schemes(config, config.layout);
    const auto files = config_files(config);
    const auto parse = [](const ConfigFile& file) { return parse_json(file.text, file.name); };
    const auto preprocessor = files.size() > 1 ? ImageProcessor{files[1].name, parse(files[1])} : ImageProcessor{};
    const auto lost = first_difference(config, parse_model_config(parse(files[0]), preprocessor, files[0].name));
    if (!lost) return std::nullopt;
    return fmt::format("{} {} would come back as {}", lost->name, lost->a.empty() ? "nothing" : lost->a,
                       lost->b.empty() ? "nothing" : lost->b);
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace

/// As transformers looks for it: processor_config.json, if it holds the image processor's values, before
/// preprocessor_config.json. Versions before 5 write the second, and the first with other things in it.
ImageProcessor image_processor_of(const std::filesystem::path& folder) {
  constexpr auto nested = "image_processor";
  if (const auto file = folder / processor_config; is_there(file)) {
    const auto root = read_json_object(file);
    if (const auto found = root.find(nested); found != root.end() && !found->is_null())
      return {fmt::format("{}.{}", file.string(), nested), *found};
  }
  const auto file = folder / preprocessor_config;
  return is_there(file) ? ImageProcessor{file.string(), read_json_object(file)} : ImageProcessor{};
}

std::vector<ConfigFile> config_files(const ModelConfig& config) {
  if (config.layout == Layout::hugging_face) return hugging_face_config_files(config);
  return {{"open_clip_config.json", to_open_clip_json(config)}};
}

ModelConfig with_layout(ModelConfig config, Layout layout) {
  const bool hugging_face = layout == Layout::hugging_face;
  auto& how = config.preprocess;
  if (layout != config.layout) {
    config.layout = layout;
    config.custom_text = !hugging_face && family(config) == "SigLIP";
    how.crop_rounds_down = hugging_face;
    if (!hugging_face && holds_hf_projection(config)) config.text = named_for_open_clip(config.text);
  }
  if (how.resize_size == how.image_size) how.resize_size = 0;
  const bool crops = how.resize == Preprocess::Resize::shortest || how.resize_size > 0;
  if (!crops) how.crop_rounds_down = hugging_face;
  if (auto* vit = std::get_if<VitConfig>(&config.vision); vit && vit->pool != VitConfig::Pool::query) {
    vit->pool_queries = VitConfig{}.pool_queries;
    if (vit->pool != VitConfig::Pool::attention) vit->pool_heads = VitConfig{}.pool_heads;
  }
  if (is_masked_text(config.text)) config.text = with_context(config.text, config.text.context_length);
  config.custom_text = config.custom_text || !config.text.peer_name.empty();
  if (!hugging_face) return config;
  config.text.peer_name.clear();
  config.custom_text = false;                                         // a matter of names, which this peer has once
  config.text.own_vocabulary = true;                                  // such a folder always holds its tokenizer
  config.text.cleaning.clear(), config.text.strip_separator = false;  // transformers' tokenizers do neither
  if (config.text.pool == TextConfig::Pool::largest_id) config.text.end_id = 2;  // what says so
  return config;
}

void check_comes_back(const ModelConfig& config) {
  const auto fault = fault_of(config);
  if (!fault) return;
  const bool open_clip = config.layout == Layout::open_clip;
  const auto other = open_clip ? Layout::hugging_face : Layout::open_clip;
  const auto whose = [](bool peer) { return peer ? "open_clip's" : "Hugging Face's"; };
  const auto prefix = fmt::format("model {}: ", config.name);
  std::string_view why = *fault;
  if (why.starts_with(prefix)) why.remove_prefix(prefix.size());
  fail("{}{} layout can't hold it: {}; {} {}", prefix, whose(open_clip), why, whose(!open_clip),
       fault_of(with_layout(config, other)) ? "can't either" : "can");
}

TextConfig read_text_config(const std::filesystem::path& folder) {
  const auto file = folder / "config.json";
  const auto root = read_json_object(file);
  JsonSection section(root, file.string());
  const auto type = section.require<std::string>("model_type");
  const auto* family = text_family_of_type(type);
  std::vector<std::string_view> known;
  for (const auto* each : text_families()) known.push_back(each->model_type);
  check(family != nullptr, "{}: model_type \"{}\" is no text tower that is built here: {}", file.string(), type,
        fmt::join(known, ", "));
  auto text = family->read(section);
  text.keeps_rows = true;
  const auto modules = read_sentence_modules(folder, text.width);
  if (modules.pool) text.pool = *modules.pool;
  if (modules.context_length) text = with_context(text, *modules.context_length);
  if (modules.most_tokens && *modules.most_tokens < text.context_length)
    text = with_context(text, *modules.most_tokens);
  validate(text, file.string() + ":");
  return text;
}

PixelsAs pixels_as_of(JsonSection preprocessing) {
  const auto name = preprocessing.get<std::string>(pixels_as_key, "vlalign");
  check(name == "vlalign" || name == "peer", "{}.{}: vlalign or peer, got {}", preprocessing.where(), pixels_as_key,
        name);
  return name == "peer" ? PixelsAs::peer : PixelsAs::vlalign;
}

ModelConfig parse_model_config(const nlohmann::json& root, const ImageProcessor& preprocessor,
                               const std::filesystem::path& file) {
  auto config = root.contains("model_type") ? read_hugging_face_config(root, preprocessor, file)
                                            : read_open_clip_config(root, file);
  config = with_layout(std::move(config), config.layout);
  validate(config, file.string() + ":");
  return config;
}

ModelConfig read_model_config(const std::filesystem::path& file) {
  const auto root = read_json_object(file);
  return parse_model_config(
      root, root.contains("model_type") ? image_processor_of(file.parent_path()) : ImageProcessor{}, file);
}

}  // namespace vlalign
