// A safetensors file whose tensors are not all there at once. Internal.
#pragma once

#include <functional>
#include <string>

#include "vlalign/core/io/safetensors.hpp"

namespace vlalign {

/// As write_safetensors() of tensors, each of which is asked for when its turn comes, in the order of the names.
///   like: their shapes and types, numbers or not
void write_safetensors(const std::filesystem::path& file, const NamedTensors& like,
                       const std::function<at::Tensor(const std::string&)>& tensor_of,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace vlalign
