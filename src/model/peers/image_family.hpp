// transformers' image towers in folders of their own.
#pragma once

#include <span>
#include <string_view>

#include "core/json/json_section.hpp"
#include "model/peers/peer_names.hpp"
#include "vlalign/config/model_config.hpp"

namespace vlalign {

/// One family of them. Its file adds it to image_families().
struct ImageFamily {
  std::string_view model_type;
  std::string_view processor;  ///< of pictures, where no file names one, without "ImageProcessor"
  bool any_size;               ///< pictures may have another size than the config's image_size
  VisionConfig (*read)(JsonSection& root);
  NamingSchemes (*schemes)(const VisionConfig& vision);  ///< our names begin with "visual."
  std::string_view wrapper;                              ///< what stands before the names in a model on such a tower
  std::string_view projection;                           ///< the layer to a joint space, "visual_projection."
  /// The tower's tensors with what the tower keeps in other ones; null: as they are.
  NamedTensors (*prepared)(NamedTensors tensors) = nullptr;
  /// Back again, to what the peer reads as the same; null: as they are.
  NamedTensors (*restored)(NamedTensors tensors) = nullptr;
};

std::span<const ImageFamily* const> image_families();

/// Null where none is of that type.
const ImageFamily* image_family_of_type(std::string_view model_type);

/// Only what begins with `wrapper`, without it; all where nothing does.
NamedTensors without_wrapper(const NamedTensors& tensors, std::string_view wrapper);

// The families, each in its own file.
extern const ImageFamily image_dinov2, image_dinov2_with_registers, image_dinov3, image_dinov3_convnext, image_clip,
    image_siglip, image_vit, image_theia;

}  // namespace vlalign
