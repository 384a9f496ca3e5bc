#include "tool/start_model.hpp"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "config/image_size.hpp"
#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/json/parse_json.hpp"
#include "core/json/python_json.hpp"
#include "core/log.hpp"
#include "model/named_tokenizer.hpp"
#include "tool/commands.hpp"
#include "tool/recipe_places.hpp"
#include "train/checkpoint_folder.hpp"
#include "vlalign/model/peers/read_config.hpp"
#include "vlalign/model/presets.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign::tool {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view train_prefix = "train:";

/// For a model with a vocabulary of its own, of which there are no files.
std::shared_ptr<const Tokenizer> train_own_vocabulary(const std::string& model, const ModelConfig& config,
                                                      const Captions& captions) {
  const auto named = named_tokenizer(model);
  const bool is_elsewhere = !named.empty() && named != "local";  // as the preset tiny has it
  log_info("model {}: a vocabulary of {} entries is trained on the captions{}", config.name, config.text.vocab_size,
           is_elsewhere
               ? fmt::format("; for the tokenizer {}, which its config names, give its folder with --tokenizer", named)
               : "");
  auto tokenizer = train_tokenizer(captions(), config.text.vocab_size);
  if (tokenizer->vocab_size() < config.text.vocab_size)
    log_info("the captions give {} entries", tokenizer->vocab_size());
  return tokenizer;
}

/// --tokenizer FILE or train:N; without it CLIP's vocabulary, or one trained on the captions for a model that has its
/// own.
std::shared_ptr<const Tokenizer> make_tokenizer(const StartFlags& flags, const ModelConfig& config,
                                                const Captions& captions) {
  const auto& flag = flags.tokenizer;
  if (flag.empty()) return config.text.own_vocabulary ? train_own_vocabulary(flags.model, config, captions) : nullptr;
  if (!flag.starts_with(train_prefix)) return load_tokenizer(flag);
  const auto number = std::string_view(flag).substr(train_prefix.size());
  std::int64_t size = 0;
  const auto [end, error] = std::from_chars(number.begin(), number.end(), size);
  check(error == std::errc() && end == number.end(), "--tokenizer {}: expected train:N with N entries, e.g. train:4096",
        flag);
  return train_tokenizer(captions(), size);
}

/// open_clip's for SigLIP's loss (Zhai et al. 2023, section 3.2).
constexpr double usual_bias = -10;

/// open_clip has one quick_gelu for both towers, transformers an activation for each.
DualEncoder in_fitting_layout(DualEncoder model) {
  const auto& config = model.config();
  const auto* vit = std::get_if<VitConfig>(&config.vision);
  const bool clip_text = config.text.architecture == TextConfig::Architecture::clip;
  const bool differ = vit && clip_text &&
                      (vit->activation == Activation::quick_gelu) != (config.text.activation == Activation::quick_gelu);
  if (differ && vit->class_token && !vit->patch_bias && config.layout == Layout::open_clip)
    model.set_layout(Layout::hugging_face);
  return model;
}

DualEncoder create(const StartFlags& flags, const Captions& captions, std::uint64_t seed) {
  auto config = flags.model.ends_with(".json") ? read_model_config(flags.model) : preset(flags.model);
  if (!flags.image_tower.empty()) {
    config = with_image_tower(config, flags.image_tower, flags.image_size);
  } else if (flags.image_size) {
    config.preprocess = with_image_size(config.preprocess, *flags.image_size, "--image-size");
  }
  if (!flags.text_tower.empty()) {
    config = with_text_tower(config, flags.text_tower, flags.context_length);
  } else if (flags.context_length) {
    config.text.context_length = *flags.context_length;
  }
  if (flags.pixels_as) config.preprocess.pixels_as = *flags.pixels_as;
  if (flags.loss_uses_bias && !config.scale.bias) config.scale = {.initial = 10, .bias = usual_bias};
  if (flags.logit_bias) config.scale.bias = flags.logit_bias;
  if (flags.text_tower.empty())
    return in_fitting_layout(DualEncoder::create(config, make_tokenizer(flags, config, captions), seed));
  check(flags.tokenizer.empty(), "--tokenizer: the text tower's folder brings its own");
  return in_fitting_layout(DualEncoder::create(config, text_tower_tokenizer(flags.text_tower), seed));
}

/// --init. A bias that a loss needs starts anew where the folder's model has none; its scale stays.
DualEncoder load(const StartFlags& flags) {
  LoadOptions options{
      .image_size = flags.image_size, .context_length = flags.context_length, .pixels_as = flags.pixels_as};
  if (flags.loss_uses_bias) options.logit_bias = flags.logit_bias.value_or(usual_bias);
  auto model = DualEncoder::load(flags.init, options);
  if (flags.logit_bias) {
    const at::NoGradGuard no_graph;
    model.module()->logit_bias.fill_(*flags.logit_bias);
  }
  return model;
}

/// A flag and the file or folder that it names.
struct NamedSource {
  std::string flag, place;
};

/// The first that isn't there.
std::optional<NamedSource> missing_source(const StartFlags& flags) {
  std::vector<NamedSource> sources{
      {"init", flags.init}, {"image-tower", flags.image_tower}, {"text-tower", flags.text_tower}};
  if (!flags.tokenizer.starts_with(train_prefix)) sources.push_back({"tokenizer", flags.tokenizer});
  if (flags.model.ends_with(".json")) sources.push_back({"model", flags.model});
  const auto gone = std::find_if(sources.begin(), sources.end(),
                                 [](const auto& source) { return !source.place.empty() && !is_there(source.place); });
  return gone == sources.end() ? std::nullopt : std::optional(*gone);
}

/// A run that began with another is not gone on with by a mistyped name.
void check_began_with(const fs::path& run, const NamedSource& source) {
  const auto file = run / "recipe.json";
  if (!is_there(file)) return;
  auto key = source.flag;
  std::replace(key.begin(), key.end(), '-', '_');
  const auto began = read_json_object(file).value(key, nlohmann::json());
  check(began == absolute_place(source.flag, source.place), "--{} {}: is not there; the run in {} began with {}",
        source.flag, source.place, run.string(), shown(began));
}

/// Of a run whose sources are gone: the checkpoint that it goes on from has all of its model. Nothing where there is no
/// checkpoint, or nothing is gone.
std::optional<DualEncoder> model_of_run(const StartFlags& flags) {
  const auto& run = flags.resumed_run;
  if (run.empty() || !is_there(run / "checkpoints")) return std::nullopt;
  const auto gone = missing_source(flags);
  const auto checkpoint = gone ? newest_checkpoint(run) : std::nullopt;
  if (!checkpoint) return std::nullopt;
  check_began_with(run, *gone);
  log_info("--{} {}: is gone; the model is made as {} has it", gone->flag, gone->place, checkpoint->string());
  return DualEncoder::load(*checkpoint);
}

}  // namespace

void StartFlags::add(CLI::App& command) {
  auto* preset_or_config = command.add_option(
      "--model", model,
      "A name of open_clip's (ViT-B-32, RN50, ViT-B-16-SigLIP, ...; -quickgelu behind CLIP's), tiny, align-base, or a "
      "model config (.json)");
  command.add_option("--init", init, "Model folder to go on from, open_clip's or transformers'")
      ->excludes(preset_or_config);
  command.add_option("--tokenizer", tokenizer,
                     "Vocabulary file or folder, or train:N for one of N entries from the captions");
  command.add_option("--image-size", image_size, "Side in pixels; with --init the position embeddings are resized");
  command.add_option("--context-length", context_length,
                     "Tokens a caption; with --init the position embeddings are resized");
  add_pixels_flag(command, pixels_as);
  command.add_option(
      "--image-tower", image_tower,
      "Pretrained image tower: a folder of transformers' (DINOv2, DINOv3, CLIP's or SigLIP's half, ViT, Theia) or "
      "timm's, a file of a ResNet's (torchvision's, R3M's, VIP's, LIV's), or a model folder with the same tower");
  command.add_option("--text-tower", text_tower,
                     "Pretrained text tower with its tokenizer: a folder of transformers' BERT, RoBERTa, XLM-RoBERTa, "
                     "GPT-2, T5, mT5 or "
                     "NLLB, CLIP's or SigLIP's half, or of sentence-transformers");
  command.add_option("--logit-bias", logit_bias,
                     "What the logit bias of SigLIP's loss starts from; without it the model's own, or -10");
}

DualEncoder StartFlags::make(const Captions& captions, std::uint64_t seed) const {
  check(init.empty() || tokenizer.empty(), "--tokenizer: the model folder given with --init brings its own");
  check(init.empty() || text_tower.empty(), "--text-tower: goes with --model, not with --init");
  check(!logit_bias || loss_uses_bias, "--logit-bias: the loss uses none");
  check(!logit_bias || std::isfinite(*logit_bias), "--logit-bias: expected a finite number, got {}", *logit_bias);
  if (auto resumed = model_of_run(*this)) return *std::move(resumed);
  auto start = init.empty() ? create(*this, captions, seed) : load(*this);
  if (loss_uses_bias && family(start.config()) == "CLIP" && start.config().layout == Layout::hugging_face) {
    log_info("model {}: transformers' CLIP has no logit bias, so the trained model is written in open_clip's layout",
             start.config().name);
    start.set_layout(Layout::open_clip);
  }
  if (!image_tower.empty()) start.load_image_tower(image_tower);
  if (!text_tower.empty()) start.load_text_tower(text_tower);
  return start;
}

}  // namespace vlalign::tool
