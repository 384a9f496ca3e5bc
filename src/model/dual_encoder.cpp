#include "vlalign/model/dual_encoder.hpp"

#include "core/check.hpp"
#include "core/files.hpp"
#include "data/load_tokenizer.hpp"
#include "vlalign/model/safetensors.hpp"
#include "vlalign/nn/clip_text.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/nn/modified_resnet.hpp"
#include "vlalign/nn/vit.hpp"
#include "weights.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

constexpr auto config_file = "open_clip_config.json";
constexpr auto weights_file = "open_clip_model.safetensors";

std::shared_ptr<nn::Tower> make_tower(const VitConfig& vit, const ModelConfig& config, nn::Initializer& initializer) {
  return std::make_shared<nn::Vit>(vit, config.preprocess.image_size, config.quick_gelu, initializer);
}

std::shared_ptr<nn::Tower> make_tower(const ResNetConfig& resnet, const ModelConfig& config,
                                      nn::Initializer& initializer) {
  return std::make_shared<nn::ModifiedResNet>(resnet, config.preprocess.image_size, initializer);
}

std::shared_ptr<nn::Tower> make_tower(const OwnTowers&, const ModelConfig& config, nn::Initializer&) {
  fail("model {} has towers of its own: build its nn::DualEncoderImpl and call load_weights()", config.name);
}

std::shared_ptr<nn::DualEncoderImpl> make_module(const ModelConfig& config, std::uint64_t seed) {
  nn::Initializer initializer(seed);
  auto image = std::visit([&](const auto& vision) { return make_tower(vision, config, initializer); }, config.vision);
  auto text = std::make_shared<nn::ClipText>(config.text, config.quick_gelu, initializer);
  const nn::DualEncoderImpl::Options options{.image_projection_bias =
                                                 std::holds_alternative<ResNetConfig>(config.vision)};
  return std::make_shared<nn::DualEncoderImpl>(std::move(image), std::move(text), config.embed_dim, options,
                                               initializer);
}

std::shared_ptr<const Tokenizer> clip_tokenizer() {
  const auto file = share_folder() / "bpe_simple_vocab_16e6.txt.gz";
  check(fs::exists(file),
        "CLIP's vocabulary is not at {}: run cmake/setup.sh, or name the folder that has it in VLALIGN_SHARE",
        file.string());
  return load_tokenizer(file);
}

std::shared_ptr<const Tokenizer> folder_tokenizer(const fs::path& folder) {
  return holds_tokenizer(folder) ? load_tokenizer(folder) : clip_tokenizer();
}

at::ScalarType dtype_of(Precision precision) { return precision == Precision::bf16 ? at::kBFloat16 : at::kFloat; }

}  // namespace

struct DualEncoder::State {
  std::shared_ptr<nn::DualEncoderImpl> module;
  ModelConfig config;
  std::shared_ptr<const Tokenizer> tokenizer;
};

DualEncoder::DualEncoder(std::shared_ptr<nn::DualEncoderImpl> module, ModelConfig config,
                         std::shared_ptr<const Tokenizer> tokenizer)
    : state_(std::make_shared<State>(State{std::move(module), std::move(config), std::move(tokenizer)})) {
  check(state_->module && state_->tokenizer, "[DualEncoder] module or tokenizer is null");
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
  } else {
    check(!config.text.own_vocabulary,
          "model {} needs a tokenizer of its own: train one on the captions, or name a file", config.name);
    tokenizer = clip_tokenizer();
    check(tokenizer->vocab_size() == config.text.vocab_size, "model {}: vocab_size is {}, CLIP's vocabulary has {}",
          config.name, config.text.vocab_size, tokenizer->vocab_size());
  }
  return {make_module(adapted, seed), adapted, std::move(tokenizer)};
}

DualEncoder DualEncoder::load(const fs::path& folder) {
  check(fs::is_directory(folder), "{}: no such model folder", folder.string());
  const auto config = read_model_config(folder / config_file);
  auto tokenizer = folder_tokenizer(folder);
  check(tokenizer->vocab_size() == config.text.vocab_size, "{}: the tokenizer has {} entries, the text tower {}",
        folder.string(), tokenizer->vocab_size(), config.text.vocab_size);
  DualEncoder model(make_module(config, 0), config, std::move(tokenizer));
  model.load_weights(folder);
  model.train(false);
  return model;
}

void DualEncoder::load_weights(const fs::path& folder) {
  const auto file = folder / weights_file;
  at::NoGradGuard no_grad;
  assign_open_clip_tensors(*state_->module, state_->config, read_safetensors(file).tensors, file.string());
}

void DualEncoder::save(const fs::path& folder) const {
  write_folder_atomically(folder, [this](const fs::path& place) { write(place); });
}

void DualEncoder::write(const fs::path& folder) const {
  write_file_atomically(folder / config_file, to_open_clip_json(state_->config));
  write_safetensors(folder / weights_file, open_clip_tensors(*state_->module, state_->config), {{"format", "pt"}});
  state_->tokenizer->save(folder);
}

at::Tensor DualEncoder::encode_image(const at::Tensor& pixels, Precision precision) const {
  const auto normalized = normalize_pixels(pixels.to(device()), state_->config.preprocess);
  return state_->module->encode_image(normalized, dtype_of(precision));
}

at::Tensor DualEncoder::encode_text(const at::Tensor& tokens, Precision precision) const {
  return state_->module->encode_text(tokens.to(device()), dtype_of(precision));
}

at::Tensor DualEncoder::logit_scale() const { return state_->module->logit_scale(); }

std::int64_t DualEncoder::parameter_count() const {
  std::int64_t count = 0;
  for (const auto& parameter : state_->module->parameters()) count += parameter.numel();
  return count;
}

void DualEncoder::train(bool on) { state_->module->train(on); }
void DualEncoder::to(c10::Device device) { state_->module->to(device); }
c10::Device DualEncoder::device() const { return state_->module->log_logit_scale.device(); }

const ModelConfig& DualEncoder::config() const { return state_->config; }
std::shared_ptr<const Tokenizer> DualEncoder::tokenizer() const { return state_->tokenizer; }
std::shared_ptr<nn::DualEncoderImpl> DualEncoder::module() const { return state_->module; }

}  // namespace vlalign
