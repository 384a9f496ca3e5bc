#include "model/peers/image_family.hpp"

#include <algorithm>
#include <array>

namespace vlalign {

std::span<const ImageFamily* const> image_families() {
  static constexpr std::array all{&image_dinov2, &image_dinov2_with_registers,
                                  &image_dinov3, &image_dinov3_convnext,
                                  &image_clip,   &image_siglip,
                                  &image_vit,    &image_theia};
  return all;
}

const ImageFamily* image_family_of_type(std::string_view model_type) {
  const auto families = image_families();
  const auto found = std::find_if(families.begin(), families.end(),
                                  [&](const auto* family) { return family->model_type == model_type; });
  return found == families.end() ? nullptr : *found;
}

NamedTensors without_wrapper(const NamedTensors& tensors, std::string_view wrapper) {
  NamedTensors inside;
  for (const auto& [name, tensor] : tensors) {
    if (!wrapper.empty() && name.starts_with(wrapper)) inside.emplace(name.substr(wrapper.size()), tensor);
  }
  return inside.empty() ? tensors : inside;
}

}  // namespace vlalign
