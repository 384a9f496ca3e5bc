// A policy's configuration: its file, and what it must hold. Internal.
#pragma once

#include "vlalign/vla/policy.hpp"

namespace vlalign::vla {

/// Throws Error naming the field unless every size is one that can be, the lists have the sizes' lengths and all
/// numbers are finite, states' deviations are above 0 and ranges aren't empty, and to_json() can hold the names.
///   where: for messages, "[Policy]" or a file
void check_config(const PolicyConfig& config, const std::string& where);

/// Of a second tower, in a policy's folder.
constexpr auto second_folder = "second_tower";

/// Reads and checks a policy.json, and the second tower that it names beside it.
PolicyConfig read_policy_config(const std::filesystem::path& file);

}  // namespace vlalign::vla
