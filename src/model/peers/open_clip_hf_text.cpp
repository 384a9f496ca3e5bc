#include "model/peers/open_clip_hf_text.hpp"

#include "config/validate.hpp"
#include "core/io/files.hpp"
#include "core/json/parse_json.hpp"
#include "model/peers/hugging_face_keys.hpp"
#include "model/peers/known_text_towers.hpp"
#include "model/peers/text_family.hpp"

namespace vlalign {
namespace {

using nlohmann::json;
using Architecture = TextConfig::Architecture;
using TextPool = TextConfig::Pool;

constexpr std::int64_t usual_context = 77;  // open_clip's tokenizers'

/// The sizes of a tower and where they stand.
struct TowerKeys {
  json keys;
  std::string where;
};

TowerKeys sizes_of(const std::string& name, const std::string& where, const json& root,
                   const std::filesystem::path& file) {
  if (const auto found = root.find(text_sizes_key); found != root.end())
    return {*found, fmt::format("{}: {}", file.string(), text_sizes_key)};
  const auto beside = file.parent_path() / "config.json";
  if (file.filename() == "open_clip_config.json" && file.has_parent_path() && is_there(beside))
    return {read_json_object(beside), beside.string()};
  const auto known = known_text_tower(name);
  check(known.has_value(),
        "{}.hf_model_name: the sizes of {} are not known here; put that tower's own config.json beside this file, or "
        "name one of {}",
        where, name, fmt::join(known_text_tower_names(), ", "));
  return {*known, name};
}

const TextFamily& family_in(const TowerKeys& sizes) {
  const auto type = JsonSection(sizes.keys, sizes.where).require<std::string>("model_type");
  const auto* family = text_family_of_type(type);
  check(family != nullptr && family->model_type != "gpt2",
        "{}.model_type: {} is no text tower of open_clip's that is built here", sizes.where, type);
  return *family;
}

/// transformers' keys of dropout: of what the branches give, of attention's weights.
std::pair<const char*, const char*> dropout_keys(const TextConfig& text) {
  if (text.architecture == Architecture::bert) return {"hidden_dropout_prob", "attention_probs_dropout_prob"};
  if (text.architecture == Architecture::t5) return {"dropout_rate", "dropout_rate"};
  return {"dropout", "attention_dropout"};
}

TextPool pool_named(const std::string& name, const std::string& where, TextConfig& text) {
  if (name == "mean_pooler") return TextPool::mean;
  if (name == "max_pooler") return TextPool::max;
  check(name == "cls_pooler" || name == "cls_last_hidden_state_pooler",
        "{}.hf_pooler_type: mean_pooler, max_pooler, cls_pooler or cls_last_hidden_state_pooler, got {}", where, name);
  // transformers has a pooling layer for BERT's family alone.
  text.pooler = name == "cls_pooler" && text.architecture == Architecture::bert;
  return text.pooler ? TextPool::pooler : TextPool::first;
}

TextPool hf_pool_of(JsonSection& text, TextConfig& config) {
  config.pooler = false;
  if (!text.is_null("hf_pooler_type"))
    return pool_named(text.get<std::string>("hf_pooler_type", "mean_pooler"), text.where(), config);
  text.ignore({"hf_pooler_type"});  // null: the class's own way, without a pooling layer
  const bool first = config.architecture == Architecture::nllb ||
                     (config.architecture == Architecture::bert && config.positions == TextConfig::Positions::learned);
  return first ? TextPool::first : TextPool::mean;
}

const char* hf_pool_name(const TextConfig& text) {
  if (text.pool == TextPool::mean) return "mean_pooler";
  if (text.pool == TextPool::max) return "max_pooler";
  const bool last_state = text.architecture == Architecture::bert && text.pool == TextPool::first;
  return last_state ? "cls_last_hidden_state_pooler" : "cls_pooler";
}

ProjectionConfig hf_projection_of(JsonSection& text, std::int64_t width, std::int64_t embed_dim) {
  const bool null = text.is_null("hf_proj_type");
  const auto kind = null ? "none" : text.get<std::string>("hf_proj_type", "mlp");
  check(kind == "linear" || kind == "mlp" || kind == "none", "{}.hf_proj_type: linear, mlp or null, got {}",
        text.where(), kind);
  check(kind != "none" || width == embed_dim, "{}.hf_proj_type: without one the tower's width {} must be embed_dim {}",
        text.where(), width, embed_dim);
  if (kind == "none") return {.present = false, .bias = false};
  if (kind == "linear") return {};
  return {.hidden = (width + embed_dim) / 2, .hidden_bias = false};
}

json hf_projection_name(const ProjectionConfig& projection) {
  if (!projection.present) return nullptr;
  return projection.hidden > 0 ? "mlp" : "linear";
}

void take_dropout(JsonSection keys, TextConfig& text) {
  const auto [all, attention] = dropout_keys(text);
  text.block.dropout = keys.number_between(all, 0, 0, 0.999);
  text.block.attention_dropout = keys.number_between(attention, 0, 0, 0.999);
}

/// The keys of the tower that the name stands for, with a pooler where this one has it; null for an unknown name.
json named_keys(const std::string& name, const TextConfig& like, const TextFamily& family) {
  const auto known = known_text_tower(name);
  if (!known) return nullptr;
  JsonSection section(*known, name);
  auto text = text_family_of_type(known->at("model_type").get<std::string>())->read(section);
  if (!family.holds(text)) return nullptr;
  text.pooler = like.pooler;
  return family.write(text);
}

/// Without what plays no part: the end token, and how many positions T5 and NLLB were trained on.
json computing_keys(json keys, const TextConfig& text) {
  if (!keys.is_object()) return keys;
  keys.erase("eos_token_id");
  if (text.architecture != Architecture::bert)
    for (const auto* key : {"n_positions", "max_position_embeddings"}) keys.erase(key);
  return keys;
}

/// What a tower has otherwise than the one that a name stands for, but for dropout; null for another family's name.
json other_than_named(const std::string& name, const TextConfig& text, const TextFamily& family) {
  const auto named = computing_keys(named_keys(name, text, family), text);
  if (!named.is_object()) return nullptr;
  const auto [all, attention] = dropout_keys(text);
  const auto own = computing_keys(family.write(text), text);
  auto changes = json::object();
  for (const auto& [key, value] : own.items())
    if (key != all && key != attention && (!named.contains(key) || named.at(key) != value)) changes[key] = value;
  return changes;
}

/// What transformers' classes work out of such keys when they are made, which open_clip's setattr comes too late for;
/// and the decoder's part, which they make too and open_clip throws away.
json with_worked_out(json changes, const TextConfig& text) {
  if (text.architecture == Architecture::t5 && changes.contains("feed_forward_proj")) {
    const bool gated = text.block.mlp == BlockConfig::Mlp::gated;
    changes["is_gated_act"] = gated;
    changes["dense_act_fn"] = text.activation == Activation::gelu_tanh ? "gelu_new" : peers_name(text.activation);
  }
  if (text.architecture == Architecture::nllb && !changes.empty()) {
    changes["decoder_attention_heads"] = text.heads;
    changes["decoder_layers"] = 1;
  }
  return changes;
}

/// Whether a tower's dropout is that of the tower which its name stands for.
bool has_named_dropout(const TextConfig& text, const TextFamily& family) {
  const auto named = named_keys(text.peer_name, text, family), own = family.write(text);
  const auto [all, attention] = dropout_keys(text);
  return own.contains(all) && named.at(all) == own.at(all) && named.at(attention) == own.at(attention);
}

}  // namespace

std::string open_clip_text_name(const TextConfig& text) {
  const auto* family = is_masked_text(text) ? text_family_of(text) : nullptr;
  if (!family) return "";
  std::string best;
  std::size_t fewest = 0;
  for (const auto& name : known_text_tower_names()) {
    if (known_text_tower(name)->at("model_type") == "t5")
      continue;  // open_clip's list of classes has mT5, the same net
    const auto changes = other_than_named(name, text, *family);
    if (!changes.is_object() || (!best.empty() && changes.size() >= fewest)) continue;
    best = name, fewest = changes.size();
  }
  return best;
}

TextConfig named_for_open_clip(TextConfig text) {
  text.peer_name = open_clip_text_name(text);
  if (!text.peer_name.empty()) text.end_id = TextConfig{}.end_id;  // no pooling there looks for it
  return text;
}

bool holds_hf_projection(const ModelConfig& config) {
  const auto& projection = config.text_projection;
  const auto width = config.text.width, hidden = (width + config.embed_dim) / 2;
  if (projection.bias && projection.present) return false;
  if (!projection.present) return width == config.embed_dim;
  return projection.hidden == 0 || (projection.hidden == hidden && !projection.hidden_bias);
}

void read_hf_text(JsonSection& text, const json& root, const std::filesystem::path& file, ModelConfig& config) {
  text.ignore({"hf_model_pretrained", "width", "heads", "layers", "vocab_size", "pool_type", "proj_type", "proj_bias"});
  const auto name = text.require<std::string>("hf_model_name");
  auto sizes = sizes_of(name, text.where(), root, file);
  auto changes = json::object();
  if (text.has("hf_model_config")) changes = text.require<json>("hf_model_config");
  check(changes.is_object(), "{}.hf_model_config: expected an object, got {}", text.where(), changes.type_name());
  check(sizes.keys.is_object(), "{}: expected an object, got {}", sizes.where, sizes.keys.type_name());
  sizes.keys.update(changes);
  JsonSection section(sizes.keys, sizes.where);
  config.text = with_context(family_in(sizes).read(section), text.positive("context_length", usual_context));
  config.text.peer_name = name;
  config.text.end_id = TextConfig{}.end_id;  // no pooling here looks for it
  config.text.pool = hf_pool_of(text, config.text);
  auto spread = root.contains(text_sizes_key) ? root.at(text_sizes_key) : json::object();
  spread.update(changes);
  take_dropout({spread, text.where() + ".hf_model_config"}, config.text);
  config.text_projection = hf_projection_of(text, config.text.width, config.embed_dim);
  config.custom_text = true;
}

HfTextJson hf_text_json(const ModelConfig& config) {
  const auto& text = config.text;
  const auto* family = text_family_of(text);
  check(family != nullptr, "model {}: open_clip has no text tower of transformers' like it", config.name);
  json out{{"hf_model_name", text.peer_name},
           {"hf_pooler_type", hf_pool_name(text)},
           {"hf_proj_type", hf_projection_name(config.text_projection)},
           {"context_length", text.context_length}};
  out["hf_model_pretrained"] = false;
  const auto differs = other_than_named(text.peer_name, text, *family);
  auto changes = differs.is_object() ? with_worked_out(differs, text) : json::object();
  const bool known = differs.is_object(), drops = text.block.dropout > 0 || text.block.attention_dropout > 0;
  // Dropout that the named tower has too is no change to the peer, and older versions of it read no changes.
  const bool usual = known && changes.empty() && drops && has_named_dropout(text, *family);
  const auto [all, attention] = dropout_keys(text);
  if (!usual) set_unless(changes, all, text.block.dropout, 0.0);
  if (!usual) set_unless(changes, attention, text.block.attention_dropout, 0.0);
  if (!changes.empty()) out["hf_model_config"] = changes;
  if (known && !usual) return {out, nullptr};
  auto own = computing_keys(family->write(text), text);
  own["model_type"] = family->model_type;
  return {out, own};
}

NamingSchemes hf_text_schemes(const ModelConfig& config) {
  const auto* family = text_family_of(config.text);
  check(family != nullptr, "model {}: open_clip has no text tower of transformers' like it", config.name);
  auto tower = family->schemes(config.text).front();
  tower.scope = "text.";
  tower.renames.push_back({"text.", "text.transformer."});
  NamingScheme projection{.scope = "text_projection.", .renames = {{"text_projection.", "text.proj."}}};
  if (config.text_projection.hidden > 0)
    projection.renames = {{"text_projection.hidden.", "text.proj.0."}, {"text_projection.", "text.proj.2."}};
  return {tower, projection};
}

}  // namespace vlalign
