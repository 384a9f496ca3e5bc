#include "vlalign/nn/vit_front.hpp"

#include "core/check.hpp"
#include "nn/mobile_clip_front.hpp"
#include "nn/vitamin_front.hpp"

namespace vlalign::nn {

std::shared_ptr<VitFront> make_vit_front(const VitConfig& config, Initializer& initializer) {
  switch (config.front) {
    case VitConfig::Front::patches:
      return nullptr;
    case VitConfig::Front::vitamin:
      return std::make_shared<VitaminFront>(config, initializer);
    case VitConfig::Front::mobile_clip:
      return std::make_shared<MobileClipFront>(config.width, initializer);
  }
  fail("unknown front of a ViT");
}

}  // namespace vlalign::nn
