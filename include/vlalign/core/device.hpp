#pragma once

#include <c10/core/Device.h>

#include <string_view>

namespace vlalign {

/// What the towers compute in. Parameters, logits, losses and optimizer state are float32 in both.
enum class Precision { fp32, bf16 };

/// "fp32" or "bf16"; throws Error naming both on anything else.
Precision parse_precision(std::string_view name);
std::string_view to_string(Precision precision);

/// "cpu", "cuda" or "cuda:N"; throws Error when the machine or this build of LibTorch has no such device.
c10::Device parse_device(std::string_view name);

}  // namespace vlalign
