// What a location of data names. Internal.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

namespace vlalign {

/// The files and folders that a location names: parts with "::" between them, in which brace ranges are expanded and
/// then globs (* ? [ab]), each glob's in the order of their names. What is there under the very name is that.
/// Throws Error when one isn't there, or nothing fits a glob.
std::vector<std::filesystem::path> expand_location(std::string_view location);

}  // namespace vlalign
