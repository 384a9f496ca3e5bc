#pragma once

#include <c10/core/Device.h>

#include <string_view>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// What the towers compute in. Parameters, logits, losses and optimizer state are float32 in each. fp16 is for GPUs:
/// trainers scale the loss for it, see docs/performance.md.
/// int8 is for inference on CPUs, of a model that quantize() has prepared.
enum class Precision { fp32, bf16, fp16, int8 };

/// "fp32", "bf16", "fp16" or "int8"; throws Error naming them on anything else.
VLALIGN_EXPORT Precision parse_precision(std::string_view name);
VLALIGN_EXPORT std::string_view to_string(Precision precision);

/// "cpu", "cuda" or "cuda:N"; throws Error when the machine or this build of LibTorch has no such device.
VLALIGN_EXPORT c10::Device parse_device(std::string_view name);

}  // namespace vlalign
