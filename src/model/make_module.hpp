#pragma once

#include <cstdint>
#include <memory>

#include "vlalign/config/model_config.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign {

/// The freshly initialised module of a config. Throws Error for towers of the user's own.
std::shared_ptr<nn::DualEncoderImpl> make_module(const ModelConfig& config, std::uint64_t seed);

}  // namespace vlalign
