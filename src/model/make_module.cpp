#include "model/make_module.hpp"

#include <new>

#include "config/validate.hpp"
#include "core/check.hpp"
#include "vlalign/nn/bert.hpp"
#include "vlalign/nn/convnext.hpp"
#include "vlalign/nn/efficientnet.hpp"
#include "vlalign/nn/fastvit.hpp"
#include "vlalign/nn/modern_text.hpp"
#include "vlalign/nn/modified_resnet.hpp"
#include "vlalign/nn/nllb.hpp"
#include "vlalign/nn/resnet.hpp"
#include "vlalign/nn/t5.hpp"
#include "vlalign/nn/text_transformer.hpp"
#include "vlalign/nn/vit.hpp"

namespace vlalign {
namespace {

/// Makes the image tower a config asks for.
struct MakeImageTower {
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
  std::shared_ptr<nn::Tower> operator()(const ConvNextConfig& net) const {
    return std::make_shared<nn::ConvNext>(net, initializer);
  }
  std::shared_ptr<nn::Tower> operator()(const FastVitConfig& net) const {
    return std::make_shared<nn::FastVit>(net, initializer);
  }
  std::shared_ptr<nn::Tower> operator()(const OwnTowers&) const {
    fail(
        "model {} has towers of its own, whose code is not in the folder: only a program that has it can load the "
        "model",
        config.name);
  }
};

std::shared_ptr<nn::Tower> make_text_tower(const TextConfig& text, nn::Initializer& initializer) {
  switch (text.architecture) {
    case TextConfig::Architecture::clip:
      return std::make_shared<nn::TextTransformer>(text, initializer);
    case TextConfig::Architecture::bert:
      return std::make_shared<nn::Bert>(text, initializer);
    case TextConfig::Architecture::t5:
      return std::make_shared<nn::T5Encoder>(text, initializer);
    case TextConfig::Architecture::nllb:
      return std::make_shared<nn::NllbEncoder>(text, initializer);
    case TextConfig::Architecture::modern:
      return std::make_shared<nn::ModernText>(text, initializer);
  }
  fail("unknown text architecture");
}

}  // namespace

std::shared_ptr<nn::Tower> make_image_tower(const ModelConfig& config, nn::Initializer& initializer) {
  return std::visit(MakeImageTower{config, initializer}, config.vision);
}

std::shared_ptr<nn::DualEncoderImpl> make_module(const ModelConfig& config, std::optional<std::uint64_t> seed) {
  const auto where = fmt::format("model {}:", config.name);
  validate(config, where);
  try {
    auto initializer = seed ? nn::Initializer(*seed) : nn::Initializer::undrawn();
    auto image = make_image_tower(config, initializer);
    auto text = make_text_tower(config.text, initializer);
    const nn::DualEncoderImpl::Options options{config.image_projection, config.text_projection, config.scale};
    return std::make_shared<nn::DualEncoderImpl>(std::move(image), std::move(text), config.embed_dim, options,
                                                 initializer);
  } catch (const c10::Error& error) {  // of the allocator
    fail("{} cannot be made: {}", where, error.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    fail("{} cannot be made: out of memory", where);
  }
}

}  // namespace vlalign
