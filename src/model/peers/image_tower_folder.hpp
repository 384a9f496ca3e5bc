// Image towers that stand alone: in a folder of transformers' or timm's, or as a file of tensors.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "model/peers/image_processor.hpp"
#include "model/peers/tower_source.hpp"
#include "vlalign/model/peers/read_config.hpp"

namespace vlalign {

/// What files of such a folder say. config: config.json's content; where: what errors call it.
ImageTowerConfig parse_image_config(const nlohmann::json& config, const ImageProcessor& processor,
                                    const std::string& where);

/// Whether config.json describes an image tower alone, transformers' or timm's.
bool is_image_config(const nlohmann::json& config);

/// Its tensors, and how they name the tower. config: read_image_config()'s of the path.
TowerSource image_tower_alone(const std::filesystem::path& path, const ImageTowerConfig& config);

/// Files of tensors whose names and shapes say all: torchvision's ResNet, alone or in R3M's or VIP's state dict (Nair
/// et al. 2022, Ma et al. 2023), CLIP's ResNet in LIV's (Ma et al. 2023), a DeiT in Theia's (Shang et al. 2024). None
/// for other names.
std::optional<ImageTowerConfig> image_config_of(const NamedTensors& tensors, const std::string& where);
/// The same file's tensors as the tower's source.
TowerSource image_file_source(NamedTensors tensors, const std::string& where);

// timm's folders: config.json names the "architecture".
ImageTowerConfig parse_timm_folder(const nlohmann::json& config, const std::string& where);
TowerSource timm_folder_source(NamedTensors tensors, const std::string& where, const nlohmann::json& config,
                               const VisionConfig& vision);

}  // namespace vlalign
