// Where one tower's weights come from.
#pragma once

#include <filesystem>

#include "model/peers/peer_names.hpp"
#include "model/peers/positions.hpp"
#include "vlalign/nn/projection.hpp"

namespace vlalign {

/// Tensors that hold a tower, and how they name it.
struct TowerSource {
  std::string where{};
  NamedTensors tensors{};
  NamingSchemes schemes{};
  std::string prefix{};                               ///< before our names
  bool text = false;                                  ///< a text tower's
  bool whole_model = false;                           ///< other tensors than the tower's are there too
  NamedTensors (*restored)(NamedTensors) = nullptr;   ///< ImageFamily::restored
  Resizing resizing{};                                ///< of its positions, beside what its folder's config says
  at::Tensor projection_weight{}, projection_bias{};  ///< to a joint space, where half a model holds one; undefined
};

/// Throws Error, naming the folder, where the models would compute other things from the same weights: no shape shows
/// heads or activations.
void check_same_computation(const ModelConfig& source, const ModelConfig& config, const std::filesystem::path& folder);

/// Whether the path holds an image tower and no whole model.
bool is_image_tower_alone(const std::filesystem::path& path);

/// Whether the folder holds one of transformers' text towers (text_families()) and no whole model.
bool is_text_tower_alone(const std::filesystem::path& folder);

/// A whole model folder, or a tower alone as read_image_config() reads it.
TowerSource image_tower_source(const std::filesystem::path& path, const ModelConfig& config);

/// A whole model folder, or one of transformers' text towers alone (text_families()) or in a language model.
TowerSource text_tower_source(const std::filesystem::path& folder, const ModelConfig& config);

/// Copies the weights. Throws one Error that lists what is missing, extra or wrongly shaped.
void assign_tower(const torch::nn::Module& tower, const TowerSource& source);

/// Copies the projection that half a model holds, where the model has one of the same shape, and says in a line of the
/// log what became of it. projection: null where the model has none.
void assign_projection(const nn::Projection* projection, const TowerSource& source);

}  // namespace vlalign
