#include "vlalign/core/device.hpp"

#include <ATen/Context.h>

#include <charconv>

#include "core/check.hpp"

namespace vlalign {

Precision parse_precision(std::string_view name) {
  if (name == "fp32") return Precision::fp32;
  if (name == "bf16") return Precision::bf16;
  if (name == "fp16") return Precision::fp16;
  if (name == "int8") return Precision::int8;
  fail("unknown precision \"{}\": it is fp32, bf16, fp16 or int8", name);
}

std::string_view to_string(Precision precision) {
  switch (precision) {
    case Precision::fp32:
      return "fp32";
    case Precision::bf16:
      return "bf16";
    case Precision::fp16:
      return "fp16";
    case Precision::int8:
      return "int8";
  }
  fail("[to_string] unknown precision");
}

c10::Device parse_device(std::string_view name) {
  if (name == "cpu") return {c10::kCPU};
  int index = 0;
  bool known = name == "cuda";
  if (name.starts_with("cuda:")) {
    const auto [end, error] = std::from_chars(name.begin() + 5, name.end(), index);
    known = error == std::errc() && end == name.end() && index >= 0;
  }
  check(known, "unknown device \"{}\": it is cpu, cuda or cuda:N", name);
  check(at::hasCUDA(), "device {}: this machine has no CUDA GPU, or this LibTorch is without CUDA; use cpu", name);
  const auto count = at::getNumGPUs();
  check(static_cast<std::size_t>(index) < count, "device {}: this machine has {} GPU(s)", name, count);
  return {c10::kCUDA, static_cast<c10::DeviceIndex>(index)};
}

}  // namespace vlalign
