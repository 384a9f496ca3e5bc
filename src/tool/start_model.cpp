#include "start_model.hpp"

#include <charconv>

#include "commands.hpp"
#include "core/check.hpp"
#include "vlalign/data/clip_tokenizer.hpp"

namespace vlalign::tool {
namespace {

/// --tokenizer FILE or train:N; without it CLIP's vocabulary, or one trained on the captions for a model that has its
/// own.
std::shared_ptr<const Tokenizer> make_tokenizer(const std::string& flag, const ModelConfig& config,
                                                const PairSource& pairs) {
  constexpr std::string_view train_prefix = "train:";
  if (flag.empty())
    return config.text.own_vocabulary ? train_clip_tokenizer(all_captions(pairs), config.text.vocab_size) : nullptr;
  if (!flag.starts_with(train_prefix)) return load_tokenizer(flag);
  const auto number = std::string_view(flag).substr(train_prefix.size());
  std::int64_t size = 0;
  const auto [end, error] = std::from_chars(number.begin(), number.end(), size);
  check(error == std::errc() && end == number.end(), "--tokenizer {}: expected train:N with N entries, e.g. train:4096",
        flag);
  return train_clip_tokenizer(all_captions(pairs), size);
}

DualEncoder create(const StartFlags& flags, const PairSource& pairs, std::uint64_t seed) {
  auto config = flags.model.ends_with(".json") ? read_model_config(flags.model) : preset(flags.model);
  if (flags.image_size) config.preprocess.image_size = *flags.image_size;
  if (flags.context_length) config.text.context_length = *flags.context_length;
  if (flags.pixels_as) config.preprocess.pixels_as = *flags.pixels_as;
  if (flags.logit_bias && !config.scale.bias) config.scale = {.initial = 10, .bias = -10};
  if (flags.text_tower.empty())
    return DualEncoder::create(config, make_tokenizer(flags.tokenizer, config, pairs), seed);
  check(flags.tokenizer.empty(), "--tokenizer: the text tower's folder brings its own");
  config.text = read_text_config(flags.text_tower);
  config.layout = Layout::open_clip;
  auto model = DualEncoder::create(config, load_tokenizer(flags.text_tower), seed);
  // open_clip has one quick_gelu for both towers, transformers an activation for each.
  const auto* vit = std::get_if<VitConfig>(&config.vision);
  const bool quick = vit && vit->activation == Activation::quick_gelu;
  if (quick && config.text.architecture == TextConfig::Architecture::clip) model.set_layout(Layout::hugging_face);
  return model;
}

}  // namespace

void StartFlags::add(CLI::App& command) {
  auto* start = command.add_option_group("start", "What to train");
  start->add_option("--model", model,
                    "Preset (" + fmt::format("{}", fmt::join(preset_names(), ", ")) + ") or a model config (.json)");
  start->add_option("--init", init, "Model folder to go on from, open_clip's or transformers'");
  start->require_option(1);
  command.add_option("--tokenizer", tokenizer,
                     "Vocabulary file or folder, or train:N for one of N entries from the captions");
  command.add_option("--image-size", image_size, "Side in pixels; with --init the position embeddings are resized");
  command.add_option("--context-length", context_length,
                     "Tokens a caption; with --init the position embeddings are resized");
  add_pixels_flag(command, pixels_as);
  command.add_option("--image-tower", image_tower,
                     "Pretrained weights of the image tower: a model folder, or a torchvision ResNet (.safetensors)");
  command.add_option("--text-tower", text_tower,
                     "Pretrained text tower with its tokenizer: a folder of transformers' BERT or GPT-2");
}

DualEncoder StartFlags::make(const PairSource& pairs, std::uint64_t seed) const {
  check(init.empty() || tokenizer.empty(), "--tokenizer: the model folder given with --init brings its own");
  check(init.empty() || text_tower.empty(), "--text-tower: goes with --model, not with --init");
  auto start = init.empty()
                   ? create(*this, pairs, seed)
                   : DualEncoder::load(
                         init, {.image_size = image_size, .context_length = context_length, .pixels_as = pixels_as});
  if (!image_tower.empty()) start.load_image_tower(image_tower);
  if (!text_tower.empty()) start.load_text_tower(text_tower);
  return start;
}

}  // namespace vlalign::tool
