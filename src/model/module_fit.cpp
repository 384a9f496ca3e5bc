#include "model/module_fit.hpp"

#include "core/check.hpp"
#include "vlalign/nn/bert.hpp"
#include "vlalign/nn/modified_resnet.hpp"
#include "vlalign/nn/text_transformer.hpp"
#include "vlalign/nn/vit.hpp"

namespace vlalign {
namespace {

void agree(const char* what, std::int64_t config, std::int64_t module) {
  check(config == module, "[DualEncoder] config.{}: the module has {}, got {}", what, module, config);
}

std::int64_t dim_of(const nn::Tower& tower, const std::shared_ptr<nn::Linear>& projection) {
  return projection ? projection->weight.size(0) : tower.width();
}

/// places: of the square grid that is left of a picture when `stride` pixels a side become one place.
void check_image_size(std::int64_t image_size, std::int64_t stride, std::int64_t places) {
  const auto side = image_size / stride;
  check(side * side == places,
        "[DualEncoder] config.preprocess.image_size: the module has {} places of {}x{} pixels, got {}", places, stride,
        stride, image_size);
}

void check_image_tower(const nn::Tower& tower, const ModelConfig& config) {
  const std::int64_t image_size = config.preprocess.image_size;
  check(image_size > 0, "[DualEncoder] config.preprocess.image_size: expected at least 1, got {}", image_size);
  if (const auto* vit = dynamic_cast<const nn::Vit*>(&tower)) {
    const auto* wanted = std::get_if<VitConfig>(&config.vision);
    const bool any_size = !vit->positional_embedding.defined() || (wanted && wanted->position_side > 0);
    if (any_size) return;
    const auto stride = vit->conv1->weight.size(3) << vit->stem_convs.size();
    const bool with_class = vit->class_embedding.defined() && (!wanted || wanted->class_position);
    check_image_size(image_size, stride, vit->positional_embedding.size(0) - (with_class ? 1 : 0));
  } else if (const auto* resnet = dynamic_cast<const nn::ModifiedResNet*>(&tower)) {
    constexpr std::int64_t stride = 32;
    check_image_size(image_size, stride, resnet->attnpool->positional_embedding.size(0) - 1);
  }
}

void check_tables(const TextConfig& text, const Tokenizer& tokenizer, std::int64_t vocab_size,
                  std::int64_t context_length) {
  agree("text.vocab_size", text.vocab_size, vocab_size);
  agree("text.context_length", text.context_length, context_length);
  check(tokenizer.vocab_size() <= vocab_size, "[DualEncoder] tokenizer: the module knows {} tokens, got one of {}",
        vocab_size, tokenizer.vocab_size());
}

void check_text_tower(const nn::Tower& tower, const TextConfig& text, const Tokenizer& tokenizer) {
  check(text.context_length > 0, "[DualEncoder] config.text.context_length: expected at least 1, got {}",
        text.context_length);
  if (const auto* plain = dynamic_cast<const nn::TextTransformer*>(&tower)) {
    const auto places = plain->positional_embedding.size(0) - (plain->class_embedding.defined() ? 1 : 0);
    check_tables(text, tokenizer, plain->token_embedding.size(0), places);
  } else if (const auto* bert = dynamic_cast<const nn::Bert*>(&tower)) {
    check_tables(text, tokenizer, bert->word_embeddings.size(0), bert->position_embeddings.size(0));
  }
}

}  // namespace

void check_fits(const nn::DualEncoderImpl& module, const ModelConfig& config, const Tokenizer& tokenizer) {
  agree("embed_dim", config.embed_dim, dim_of(*module.visual, module.image_projection));
  agree("embed_dim", config.embed_dim, dim_of(*module.text, module.text_projection));
  check_image_tower(*module.visual, config);
  check_text_tower(*module.text, config.text, tokenizer);
}

}  // namespace vlalign
