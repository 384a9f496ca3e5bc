#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "vlalign/config/model_config.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign {

/// The module of a config, freshly initialised from a seed; without one its weights have yet to be assigned. Throws
/// Error for towers of the user's own.
std::shared_ptr<nn::DualEncoderImpl> make_module(const ModelConfig& config, std::optional<std::uint64_t> seed);

/// Its image tower alone.
std::shared_ptr<nn::Tower> make_image_tower(const ModelConfig& config, nn::Initializer& initializer);

}  // namespace vlalign
