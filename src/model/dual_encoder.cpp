#include "vlalign/model/dual_encoder.hpp"

#include "config_json.hpp"
#include "core/check.hpp"
#include "core/files.hpp"
#include "core/folders.hpp"
#include "core/on_device.hpp"
#include "core/precision.hpp"
#include "data/load_tokenizer.hpp"
#include "finite.hpp"
#include "make_module.hpp"
#include "model_folder.hpp"
#include "module_fit.hpp"
#include "peer_names.hpp"
#include "tower_source.hpp"
#include "vlalign/data/clip_tokenizer.hpp"
#include "vlalign/model/lora.hpp"
#include "vlalign/nn/bert.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/nn/efficientnet.hpp"
#include "vlalign/nn/modified_resnet.hpp"
#include "vlalign/nn/resnet.hpp"
#include "vlalign/nn/text_transformer.hpp"
#include "vlalign/nn/transformer.hpp"
#include "vlalign/nn/vit.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

/// Makes the image tower a config asks for.
struct MakeTower {
  const ModelConfig& config;
  nn::Initializer& initializer;

  std::shared_ptr<nn::Tower> operator()(const VitConfig& vit) const {
    return std::make_shared<nn::Vit>(vit, config.preprocess.image_size, config.embed_dim, initializer);
  }
  std::shared_ptr<nn::Tower> operator()(const ModifiedResNetConfig& resnet) const {
    return std::make_shared<nn::ModifiedResNet>(resnet, config.preprocess.image_size, initializer);
  }
  std::shared_ptr<nn::Tower> operator()(const ResNetConfig& resnet) const {
    return std::make_shared<nn::ResNet>(resnet, initializer);
  }
  std::shared_ptr<nn::Tower> operator()(const EfficientNetConfig& net) const {
    return std::make_shared<nn::EfficientNet>(net, initializer);
  }
  std::shared_ptr<nn::Tower> operator()(const OwnTowers&) const {
    fail("model {} has towers of its own: build its nn::DualEncoderImpl and call load_weights()", config.name);
  }
};

std::shared_ptr<nn::Tower> make_text_tower(const TextConfig& text, nn::Initializer& initializer) {
  if (text.architecture == TextConfig::Architecture::bert) return std::make_shared<nn::Bert>(text, initializer);
  return std::make_shared<nn::TextTransformer>(text, initializer);
}

std::shared_ptr<const Tokenizer> clip_tokenizer() {
  const auto file = share_folder() / "bpe_simple_vocab_16e6.txt.gz";
  check(is_there(file),
        "CLIP's vocabulary is not at {}: run cmake/setup.sh, or name the folder that has it in VLALIGN_SHARE",
        file.string());
  return load_tokenizer(file);
}

/// A folder without tokenizer files has CLIP's vocabulary, as open_clip's own models do.
std::shared_ptr<const Tokenizer> folder_tokenizer(const fs::path& folder, const TextConfig& text) {
  const bool own = holds_tokenizer(folder);
  check(own || text.vocab_size == TextConfig{}.vocab_size,
        "{}: no tokenizer files, and the text tower's {} entries are not CLIP's vocabulary", folder.string(),
        text.vocab_size);
  auto tokenizer = own ? load_tokenizer(folder) : clip_tokenizer();
  // A table may have rows to spare, never too few.
  check(tokenizer->vocab_size() <= text.vocab_size, "{}: the tokenizer has {} entries, the text tower {}",
        folder.string(), tokenizer->vocab_size(), text.vocab_size);
  check(text.pool != TextConfig::Pool::end_token || tokenizer->end_id() == text.end_id,
        "{}: the text tower pools at token {}, the tokenizer ends texts with {}", folder.string(), text.end_id,
        tokenizer->end_id());
  return tokenizer;
}

/// Whether what stands behind a text changes its feature.
bool depends_on_padding(const TextConfig& text) {
  return !text.causal || text.class_embedding || text.pool == TextConfig::Pool::last ||
         text.pool == TextConfig::Pool::mean;
}

Preprocess with_image_size(Preprocess how, int image_size) {
  how.resize_size = static_cast<int>(static_cast<std::int64_t>(how.resize_size) * image_size / how.image_size);
  how.image_size = image_size;
  return how;
}

/// CLIP's own vocabulary, which open_clip needs no files for.
bool is_clips(const Tokenizer& tokenizer) {
  return dynamic_cast<const ClipTokenizer*>(&tokenizer) && tokenizer.vocab_size() == TextConfig{}.vocab_size;
}

}  // namespace

std::shared_ptr<nn::DualEncoderImpl> make_module(const ModelConfig& config, std::uint64_t seed) {
  nn::Initializer initializer(seed);
  auto image = std::visit(MakeTower{config, initializer}, config.vision);
  auto text = make_text_tower(config.text, initializer);
  const nn::DualEncoderImpl::Options options{config.image_projection, config.text_projection, config.scale};
  return std::make_shared<nn::DualEncoderImpl>(std::move(image), std::move(text), config.embed_dim, options,
                                               initializer);
}

struct DualEncoder::State {
  std::shared_ptr<nn::DualEncoderImpl> module;
  ModelConfig config;
  std::shared_ptr<const Tokenizer> tokenizer;
};

DualEncoder::DualEncoder(std::shared_ptr<nn::DualEncoderImpl> module, ModelConfig config,
                         std::shared_ptr<const Tokenizer> tokenizer)
    : state_(std::make_shared<State>(State{std::move(module), std::move(config), std::move(tokenizer)})) {
  check(state_->module && state_->tokenizer, "[DualEncoder] module or tokenizer is null");
  check_fits(*state_->module, state_->config, *state_->tokenizer);
}

DualEncoder DualEncoder::create(std::string_view model, std::shared_ptr<const Tokenizer> tokenizer,
                                std::uint64_t seed) {
  return create(model.ends_with(".json") ? read_model_config(model) : preset(model), std::move(tokenizer), seed);
}

DualEncoder DualEncoder::create(const ModelConfig& config, std::shared_ptr<const Tokenizer> tokenizer,
                                std::uint64_t seed) {
  auto adapted = config;
  if (tokenizer) {
    adapted.text.own_vocabulary = tokenizer->vocab_size() != TextConfig{}.vocab_size;
    adapted.text.vocab_size = tokenizer->vocab_size();
    adapted.text.end_id = tokenizer->end_id();
    if (depends_on_padding(config.text)) adapted.text.pad_id = tokenizer->pad_id();
  } else {
    check(!config.text.own_vocabulary,
          "model {} needs a tokenizer of its own: train one on the captions, or name a file", config.name);
    tokenizer = clip_tokenizer();
    check(tokenizer->vocab_size() == config.text.vocab_size, "model {}: vocab_size is {}, CLIP's vocabulary has {}",
          config.name, config.text.vocab_size, tokenizer->vocab_size());
  }
  return {make_module(adapted, seed), adapted, std::move(tokenizer)};
}

DualEncoder DualEncoder::load(const fs::path& folder, const LoadOptions& options) {
  ModelConfig config;
  std::shared_ptr<const Tokenizer> tokenizer;
  FolderWeights weights;
  read_whole_folder(folder, [&](const fs::path& place) {
    config = read_model_config(config_file_of(place));
    tokenizer = folder_tokenizer(place, config.text);
    weights = read_folder_weights(place);
  });
  if (options.image_size) config.preprocess = with_image_size(config.preprocess, *options.image_size);
  if (options.context_length) config.text.context_length = *options.context_length;
  if (depends_on_padding(config.text)) config.text.pad_id = tokenizer->pad_id();  // open_clip's configs don't say it
  DualEncoder model(make_module(config, 0), config, std::move(tokenizer));
  assign_model(*model.module(), config, weights.layout, weights.from.tensors, weights.from.where);
  model.train(false);
  return model;
}

void DualEncoder::load_weights(const fs::path& folder) {
  const auto [layout, from] = read_folder_weights(folder);
  assign_model(*state_->module, state_->config, layout, from.tensors, from.where);
}

void DualEncoder::load_image_tower(const fs::path& path) {
  assign_tower(*state_->module->visual, image_tower_source(path, state_->config));
}

void DualEncoder::load_text_tower(const fs::path& folder) {
  assign_tower(*state_->module->text, text_tower_source(folder, state_->config));
}

void DualEncoder::set_layout(Layout layout) {
  auto config = with_layout(state_->config, layout);
  config.text.own_vocabulary = layout == Layout::hugging_face || !is_clips(*state_->tokenizer);
  naming_schemes(config, layout);
  config_files(config);
  state_->config = std::move(config);
}

void DualEncoder::save(const fs::path& folder) const {
  write_folder_atomically(folder, replaceable_model(), [this](const fs::path& place) { write(place); });
}

void DualEncoder::write(const fs::path& folder) const {
  const auto& config = state_->config;
  const auto merged = merged_weights(*state_->module);
  const auto tensors = peer_tensors(*state_->module, naming_schemes(config, config.layout), merged);
  check_finite(tensors, "[DualEncoder::save]");
  write_folder(folder, config, tensors);
  if (!merged.empty()) save_lora(*this, folder / "adapter.safetensors");
  state_->tokenizer->save(folder);
}

at::Tensor DualEncoder::encode_image(const at::Tensor& pixels, Precision precision) const {
  const auto normalized = normalize_pixels(on_device(pixels, device()), state_->config.preprocess);
  return state_->module->encode_image(normalized, dtype_of(precision));
}

at::Tensor DualEncoder::encode_text(const at::Tensor& tokens, Precision precision) const {
  return state_->module->encode_text(on_device(tokens, device()), dtype_of(precision));
}

Features DualEncoder::image_features(const at::Tensor& pixels, std::span<const std::int64_t> layers,
                                     Precision precision) const {
  const auto normalized = normalize_pixels(on_device(pixels, device()), state_->config.preprocess);
  return state_->module->image_features(normalized, layers, dtype_of(precision));
}

Features DualEncoder::text_features(const at::Tensor& tokens, std::span<const std::int64_t> layers,
                                    Precision precision) const {
  return state_->module->text_features(on_device(tokens, device()), layers, dtype_of(precision));
}

at::Tensor DualEncoder::logit_scale() const { return state_->module->logit_scale(); }

std::int64_t DualEncoder::parameter_count() const {
  std::int64_t count = 0;
  for (const auto& parameter : state_->module->parameters()) count += parameter.numel();
  return count;
}

void DualEncoder::train(bool on) { state_->module->train(on); }
void DualEncoder::checkpoint_activations(bool on) {
  for (const auto& child : state_->module->modules())
    if (const auto blocks = std::dynamic_pointer_cast<nn::Transformer>(child)) blocks->checkpoints = on;
}
void DualEncoder::to(c10::Device device) { state_->module->to(device); }
c10::Device DualEncoder::device() const { return state_->module->logit_scale().device(); }

const ModelConfig& DualEncoder::config() const { return state_->config; }
std::shared_ptr<const Tokenizer> DualEncoder::tokenizer() const { return state_->tokenizer; }
std::shared_ptr<nn::DualEncoderImpl> DualEncoder::module() const { return state_->module; }

}  // namespace vlalign
