#include "vlalign/model/dual_encoder.hpp"

#include <ATen/ops/full.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "config/image_size.hpp"
#include "config/validate.hpp"
#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/io/folders.hpp"
#include "core/json/parse_json.hpp"
#include "core/log.hpp"
#include "core/on_device.hpp"
#include "model/int8_mode.hpp"
#include "model/make_module.hpp"
#include "model/module_fit.hpp"
#include "model/peers/coca_decoder.hpp"
#include "model/peers/config_json.hpp"
#include "model/peers/folder_tokenizer.hpp"
#include "model/peers/image_tower_folder.hpp"
#include "model/peers/model_folder.hpp"
#include "model/peers/peer_names.hpp"
#include "model/peers/text_family.hpp"
#include "model/peers/tower_source.hpp"
#include "model/savable.hpp"
#include "nn/check_inputs.hpp"
#include "nn/finite_weights.hpp"
#include "nn/int8_product.hpp"
#include "tokenizers/load_tokenizer.hpp"
#include "vlalign/model/lora.hpp"
#include "vlalign/model/peers/read_config.hpp"
#include "vlalign/model/presets.hpp"
#include "vlalign/nn/checkpointing.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

/// A batch of pictures on the model's device, as the image tower takes it.
at::Tensor normalized(const at::Tensor& pixels, const DualEncoder& model, const char* where) {
  check(pixels.defined(), "[{}] pixels: expected [B, 3, S, S], got no tensor", where);
  const auto& config = model.config();
  const auto ready = normalize_pixels(on_device(pixels, model.device()), config.preprocess);
  const auto side = model.module()->visual->input.image_size.value_or(config.preprocess.image_size);
  const bool fixed =
      std::holds_alternative<VitConfig>(config.vision) || std::holds_alternative<ModifiedResNetConfig>(config.vision);
  check(!fixed || (ready.size(2) == side && ready.size(3) == side),
        "[{0}] pixels: expected [B, 3, {1}, {1}], got [{2}]", where, side, fmt::join(ready.sizes(), ", "));
  return ready;
}

/// A batch of texts on the model's device. Ids are looked at before they are moved: a GPU would have to be waited for.
at::Tensor checked(const at::Tensor& tokens, const DualEncoder& model, const char* where) {
  nn::check_tokens(tokens, where);
  const auto& config = model.config();
  if (!std::holds_alternative<OwnTowers>(config.vision)) nn::check_ids(tokens, config.text.vocab_size, where);
  return on_device(tokens, model.device());
}

/// Whether the tower's table of words is its peer's, rows to spare included.
bool keeps_rows(const TextConfig& text) {
  const bool peers =
      text.architecture == TextConfig::Architecture::t5 || text.architecture == TextConfig::Architecture::nllb;
  return text.keeps_rows || peers || !text.peer_name.empty();
}

/// Padding is the tokenizer's. A new tower that counts its places from there has as many rows as that takes.
void take_padding(const Tokenizer& tokenizer, TextConfig& text) {
  text.pad_id = tokenizer.pad_id();
  const bool counted = text.positions == TextConfig::Positions::learned_from_padding;
  if (counted && position_rows(text) < text.pad_id + 1 + text.context_length) text.position_rows = 0;
}

/// A folder's config and its tokenizer, which goes by the same padding where places are counted from it.
void check_counted_from(const Tokenizer& tokenizer, const TextConfig& text, const std::string& where) {
  using Positions = TextConfig::Positions;
  const bool counted = text.positions == Positions::learned_from_padding || text.positions == Positions::sines;
  check(!counted || tokenizer.pad_id() == text.pad_id,
        "{}: pad_token_id is {}, the tokenizer fills texts up with {}; positions are counted from it, so that the two "
        "must be one",
        where, text.pad_id, tokenizer.pad_id());
}

const char* peer_name(Layout layout) { return layout == Layout::open_clip ? "open_clip" : "transformers"; }

/// Whether open_clip or transformers read such a model, and its tokenizer with it.
bool has_peer(const ModelConfig& config) { return family(config) != "custom"; }

/// The model's tokenizer, where a peer reads the folder: so that both give the same ids.
std::shared_ptr<const Tokenizer> as_its_peer_uses_it(const std::shared_ptr<const Tokenizer>& tokenizer,
                                                     const ModelConfig& config) {
  if (!has_peer(config)) return tokenizer;
  const auto pad = depends_on_padding(config.text) ? std::optional(config.text.pad_id) : std::nullopt;
  return as_peer_uses_it(tokenizer, config.layout, config.text, pad);
}

/// The folder of one tower is given for a model's by mistake.
void check_whole_model(const fs::path& folder) {
  const auto file = folder / "config.json";
  if (!is_there(file) || layout_of(folder) == Layout::open_clip) return;
  const auto root = read_json_object(file);
  const auto type = root.value("model_type", nlohmann::json(""));
  const bool image = is_image_config(root);
  const bool text = type.is_string() && text_family_of_type(type.get<std::string>()) != nullptr;
  const auto* tower = image ? "image" : "text";
  check(!image && !text,
        "{}: holds one tower alone ({}), no model of two: train --model MODEL --{}-tower {} makes one with it",
        file.string(), type == "" ? tower : type.get<std::string>(), tower, folder.string());
}

/// For a table of words of another length than the vocabulary, which comes from a tokenizer of another kind.
std::string misfit_of_words(const TowerSource& source, const Tokenizer& tokenizer, const fs::path& folder) {
  constexpr std::array tables{"word_embeddings.weight", "embed_tokens.weight", "shared.weight", "wte.weight",
                              "token_embedding.weight"};
  const auto is_table = [&](const auto& tensor) {
    return std::any_of(tables.begin(), tables.end(), [&](auto name) { return tensor.first.ends_with(name); });
  };
  const auto found = std::find_if(source.tensors.begin(), source.tensors.end(), is_table);
  const auto words = tokenizer.vocab_size();
  if (found == source.tensors.end() || found->second.dim() != 2 || found->second.size(0) == words) return {};
  const auto file = tokenizer_file_in(folder);
  return fmt::format("; the tokenizer{} has {} entries, the table of words {} rows: it is not this tower's",
                     file.empty() ? "" : " in " + file.string(), words, found->second.size(0));
}

void keep_decoder_of(DualEncoder& model, const ModelConfig& config, const FolderTensors& from) {
  auto tensors = decoder_tensors(from.tensors);
  check(!tensors.empty(), "{}: no text_decoder.* in it, where the config has multimodal_cfg", from.where);
  log_info("{}: its text decoder is kept as it is, not trained, and written back: {} tensors", from.where,
           tensors.size());
  model.keep_decoder(config.decoder, std::move(tensors));
}

/// A folder's int8.safetensors: nothing where there is none, or what is wrong with it.
struct FolderColumns {
  NamedTensors tensors{};
  std::string fault{};
};

FolderColumns read_int8_columns(const fs::path& folder) {
  if (!is_there(folder / int8_file)) return {};
  try {
    return {.tensors = read_safetensors(folder / int8_file).tensors};
  } catch (const Error& error) {
    return {.fault = error.what()};
  }
}

/// A model whose columns can't be used does all it can without them, and refuses int8 as one that has none.
void set_columns_of(DualEncoder& model, FolderColumns columns, const fs::path& folder) {
  if (columns.tensors.empty() && columns.fault.empty())
    return drop_columns(model, fmt::format("for {} isn't", folder.string()));
  try {
    if (columns.fault.empty()) return model.set_int8_columns(std::move(columns.tensors));
  } catch (const Error& error) {
    columns.fault = fmt::format("{}: {}", (folder / int8_file).string(), error.what());
  }
  model.set_int8_columns({});
  log_warning("{}; the model is not prepared for int8: quantize it again", columns.fault);
}

}  // namespace

struct DualEncoder::State {
  std::shared_ptr<nn::DualEncoderImpl> module;
  ModelConfig config;
  std::shared_ptr<const Tokenizer> tokenizer;
  NamedTensors decoder{};  ///< empty where config.decoder is
  NamedTensors int8_columns{};
};

DualEncoder::DualEncoder(std::shared_ptr<nn::DualEncoderImpl> module, ModelConfig config,
                         std::shared_ptr<const Tokenizer> tokenizer)
    : state_(std::make_shared<State>(State{std::move(module), std::move(config), std::move(tokenizer)})) {
  check(state_->module && state_->tokenizer, "[DualEncoder] module or tokenizer is null");
  auto& own = state_->config;
  validate(own, "[DualEncoder] config:");
  own = with_layout(std::move(own), own.layout);
  own.decoder.clear();
  state_->tokenizer = as_its_peer_uses_it(state_->tokenizer, own);
  check_fits(*state_->module, own, *state_->tokenizer);
}

DualEncoder DualEncoder::create(std::string_view model, std::shared_ptr<const Tokenizer> tokenizer,
                                std::uint64_t seed) {
  return create(model.ends_with(".json") ? read_model_config(model) : preset(model), std::move(tokenizer), seed);
}

DualEncoder DualEncoder::create(const ModelConfig& config, std::shared_ptr<const Tokenizer> tokenizer,
                                std::uint64_t seed) {
  auto adapted = config;
  check_cleaning(config.text, fmt::format("model {}: text:", config.name));
  if (tokenizer) {
    adapted.text.own_vocabulary = !is_clips(*tokenizer);
    const bool pads = config.text.keeps_rows && depends_on_padding(config.text);
    const auto pad = pads ? std::optional(tokenizer->pad_id()) : std::nullopt;
    if (has_peer(config)) tokenizer = as_peer_uses_it(std::move(tokenizer), config.layout, adapted.text, pad);
    describe_tokenizer(*tokenizer, config.layout, adapted.text);
    check(!config.text.keeps_rows || tokenizer->vocab_size() <= config.text.vocab_size,
          "model {}: text: vocab_size is {} in the tower's config, its tokenizer has {} entries: expected a row for "
          "each of them",
          config.name, config.text.vocab_size, tokenizer->vocab_size());
    if (!keeps_rows(config.text) || tokenizer->vocab_size() > config.text.vocab_size)
      adapted.text.vocab_size = tokenizer->vocab_size();
    if (config.text.peer_name.empty()) adapted.text.end_id = tokenizer->end_id();
    if (config.text.keeps_rows) check_counted_from(*tokenizer, config.text, fmt::format("model {}: text", config.name));
    if (depends_on_padding(config.text)) take_padding(*tokenizer, adapted.text);
    adapted.text.keeps_rows = false;
  } else {
    check(!config.text.own_vocabulary,
          "model {} needs a tokenizer of its own: train one on the captions, or name a file", config.name);
    tokenizer = as_peer_uses_it(clip_tokenizer(), config.layout, config.text);
    check(tokenizer->vocab_size() <= config.text.vocab_size, "model {}: vocab_size is {}, CLIP's vocabulary has {}",
          config.name, config.text.vocab_size, tokenizer->vocab_size());
  }
  if (!config.decoder.empty())
    log_info("model {}: made without its text decoder, which is not built here, and saved as a CLIP model",
             config.name);
  return {make_module(adapted, seed), adapted, std::move(tokenizer)};
}

DualEncoder DualEncoder::load(const fs::path& folder, const LoadOptions& options) {
  ModelConfig config;
  std::shared_ptr<const Tokenizer> tokenizer;
  FolderWeights weights;
  FolderColumns int8_columns;
  read_whole_folder(folder, [&](const fs::path& place) {
    check_whole_model(place);
    config = read_model_config(config_file_of(place));
    tokenizer = folder_tokenizer(place, config.text, config.layout);
    weights = read_folder_weights(place);
    int8_columns = read_int8_columns(place);
  });
  if (config.layout == Layout::hugging_face) check_counted_from(*tokenizer, config.text, folder.string());
  if (options.image_size)
    config.preprocess = with_image_size(config.preprocess, *options.image_size, "[load] image_size");
  if (options.context_length) config.text = with_asked_context(config.text, *options.context_length);
  if (options.pixels_as) config.preprocess.pixels_as = *options.pixels_as;
  if (options.logit_bias && !config.scale.bias) {
    config.scale.bias = options.logit_bias;
    weights.from.tensors.emplace("logit_bias", at::full({}, *options.logit_bias));
  }
  if (depends_on_padding(config.text)) config.text.pad_id = tokenizer->pad_id();  // open_clip's configs don't say it
  check_fits(*tokenizer, config.text, folder.string());
  DualEncoder model(make_module(config, std::nullopt), config, tokenizer);
  if (const auto caption = differing_caption(*tokenizer, *model.tokenizer()))
    log_warning(
        "{}: its tokenizer's files name a cleaning that no peer knows; captions are read as {} reads them, which "
        "gives some of them other ids, such as \"{}\"",
        folder.string(), peer_name(config.layout), *caption);
  const Resizing resizing{.image = options.image_size.has_value(),
                          .text = options.context_length.has_value(),
                          .as_peer = config.layout == Layout::open_clip};
  assign_model(*model.module(), config, weights.layout, weights.from.tensors, weights.from.where, resizing);
  if (!config.decoder.empty()) keep_decoder_of(model, config, weights.from);
  set_columns_of(model, std::move(int8_columns), folder);
  model.train(false);
  return model;
}

void DualEncoder::load_weights(const fs::path& folder) {
  ModelConfig there;
  FolderWeights weights;
  FolderColumns int8_columns;
  read_whole_folder(folder, [&](const fs::path& place) {
    there = read_model_config(config_file_of(place));
    weights = read_folder_weights(place);
    int8_columns = read_int8_columns(place);
  });
  there.preprocess = state_->config.preprocess;
  check_same_computation(there, state_->config, folder);
  const auto& from = weights.from;
  const bool decodes = !there.decoder.empty() && !state_->config.decoder.empty();
  auto decoder = decodes ? decoder_tensors(from.tensors) : NamedTensors{};
  if (decodes) check_same_decoder(state_->decoder, decoder, from.where);
  auto expected = state_->config;
  expected.decoder = there.decoder;
  assign_model(*state_->module, expected, weights.layout, from.tensors, from.where);
  if (decodes) state_->decoder = std::move(decoder);
  set_columns_of(*this, std::move(int8_columns), folder);
}

void DualEncoder::load_image_tower(const fs::path& path) {
  const auto source = image_tower_source(path, state_->config);
  assign_tower(*state_->module->visual, source);
  assign_projection(state_->module->image_projection.get(), source);
  drop_columns(*this, "for its image tower is another");
}

void DualEncoder::load_text_tower(const fs::path& folder) {
  const auto source = text_tower_source(folder, state_->config);
  try {
    assign_tower(*state_->module->text, source);
  } catch (const Error& error) {
    fail("{}{}", error.what(), misfit_of_words(source, *state_->tokenizer, folder));
  }
  assign_projection(state_->module->text_projection.get(), source);
  drop_columns(*this, "for its text tower is another");
}

void DualEncoder::set_layout(Layout layout) {
  auto config = with_layout(state_->config, layout);
  config.text.own_vocabulary = !is_clips(*state_->tokenizer);
  const auto tokenizer = as_its_peer_uses_it(state_->tokenizer, config);
  describe_tokenizer(*tokenizer, layout, config.text);
  check_comes_back(config);
  const bool own = std::holds_alternative<OwnTowers>(config.vision);
  if (!own) check_fits(*tokenizer, config.text, fmt::format("[set_layout] model {}", config.name));
  if (const auto caption = differing_caption(*state_->tokenizer, *tokenizer))
    log_warning(
        "model {}: captions are read as {} reads them from now on, which gives some of them other ids, such as "
        "\"{}\"",
        config.name, peer_name(layout), *caption);
  state_->config = std::move(config);
  state_->tokenizer = tokenizer;
}

void DualEncoder::save(const fs::path& folder) const {
  write_folder_atomically(folder, replaceable_model(), [this](const fs::path& place) { write(place); });
}

void DualEncoder::write(const fs::path& folder) const {
  const auto& config = state_->config;
  check_comes_back(config);
  const auto merged = merged_weights(*state_->module);
  auto tensors = peer_tensors(*state_->module, naming_schemes(config, config.layout), merged);
  tensors.insert(state_->decoder.begin(), state_->decoder.end());
  check_finite(*state_->module, "[DualEncoder::save]");
  write_description(folder, *this);
  write_weights(folder, config.layout, tensors);
  if (!merged.empty()) save_lora(*this, folder / "adapter.safetensors");
  const bool other_weights = !merged.empty() && !int8_columns().empty();
  if (other_weights)
    log_warning("model {}: is saved without what int8 needs, for its adapter is merged: quantize it again",
                config.name);
  else if (!int8_columns().empty())
    write_safetensors(folder / int8_file, int8_columns());
}

at::Tensor DualEncoder::encode_image(const at::Tensor& pixels, Precision precision) const {
  const auto mode = checked_mode(*this, precision);
  return state_->module->encode_image(normalized(pixels, *this, "encode_image"), nn::compute_dtype(precision));
}

at::Tensor DualEncoder::encode_text(const at::Tensor& tokens, Precision precision) const {
  const auto mode = checked_mode(*this, precision);
  return state_->module->encode_text(checked(tokens, *this, "encode_text"), nn::compute_dtype(precision));
}

Features DualEncoder::image_features(const at::Tensor& pixels, std::span<const std::int64_t> layers,
                                     Precision precision) const {
  const auto mode = checked_mode(*this, precision);
  return state_->module->image_features(normalized(pixels, *this, "image_features"), layers,
                                        nn::compute_dtype(precision));
}

Features DualEncoder::text_features(const at::Tensor& tokens, std::span<const std::int64_t> layers,
                                    Precision precision) const {
  const auto mode = checked_mode(*this, precision);
  return state_->module->text_features(checked(tokens, *this, "text_features"), layers, nn::compute_dtype(precision));
}

at::Tensor DualEncoder::logit_scale() const { return state_->module->logit_scale(); }

std::int64_t DualEncoder::parameter_count() const {
  std::int64_t count = 0;
  for (const auto& parameter : state_->module->parameters()) count += parameter.numel();
  return count;
}

const NamedTensors& DualEncoder::decoder() const { return state_->decoder; }

void DualEncoder::keep_decoder(std::string config, NamedTensors tensors) {
  check(config.empty() == tensors.empty(), "[keep_decoder] expected a config and tensors, or neither");
  state_->config.decoder = std::move(config);
  state_->decoder = std::move(tensors);
}

const NamedTensors& DualEncoder::int8_columns() const { return state_->int8_columns; }

void DualEncoder::set_int8_columns(NamedTensors columns) {
  nn::set_int8_products(*state_->module, columns, "[set_int8_columns]");
  state_->int8_columns = std::move(columns);
  // For who keeps what was computed with the columns before.
  for (const auto& weight : state_->module->parameters()) weight.unsafeGetTensorImpl()->bump_version();
}

void DualEncoder::train(bool on) { state_->module->train(on); }
void DualEncoder::checkpoint_activations(bool on) {
  for (const auto& child : state_->module->modules())
    if (auto* blocks = dynamic_cast<nn::Checkpointing*>(child.get())) blocks->checkpoints = on;
}
void DualEncoder::to(c10::Device device) { state_->module->to(device); }
c10::Device DualEncoder::device() const { return state_->module->logit_scale().device(); }

const ModelConfig& DualEncoder::config() const { return state_->config; }
std::shared_ptr<const Tokenizer> DualEncoder::tokenizer() const { return state_->tokenizer; }
std::shared_ptr<nn::DualEncoderImpl> DualEncoder::module() const { return state_->module; }

}  // namespace vlalign
