// transformers' CLIPVisionModel, CLIPVisionModelWithProjection and SiglipVisionModel.
#include "model/peers/hugging_face_clip.hpp"
#include "model/peers/image_family.hpp"

namespace vlalign {
namespace {

constexpr std::string_view vision_model = "vision_model.";

/// Versions of transformers from 5 on leave the name of the inner model out where there is no projection.
NamedTensors in_vision_model(NamedTensors tensors) {
  NamedTensors named;
  for (auto& [name, tensor] : tensors)
    named.emplace(name.starts_with(vision_model) ? name : std::string(vision_model) + name, std::move(tensor));
  return named;
}

VisionConfig read_image_clip(JsonSection& root) { return hugging_face_clip_vit(root); }
VisionConfig read_image_siglip(JsonSection& root) { return hugging_face_siglip_vit(root); }
NamingSchemes schemes_image_clip(const VisionConfig&) { return hugging_face_clip_schemes({}); }
NamingSchemes schemes_image_siglip(const VisionConfig&) { return hugging_face_siglip_schemes(); }

}  // namespace

const ImageFamily image_clip{
    "clip_vision_model",  "CLIP",          false, read_image_clip, schemes_image_clip, vision_model,
    "visual_projection.", in_vision_model,
};
const ImageFamily image_siglip{"siglip_vision_model", "Siglip",     false, read_image_siglip,
                               schemes_image_siglip,  vision_model, "",    in_vision_model};

}  // namespace vlalign
