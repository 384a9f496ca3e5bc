// What a location of data names. Internal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vlalign {

/// Files, folders, URLs and pipe:COMMANDs, and how many times an epoch holds each of their records.
struct NamedPart {
  std::vector<std::string> places;
  double weight = 1.0;
};

/// The parts of a location, with "::" between them. A part ends with its weight, as in A@2::B@0.5, or has the weight 1.
/// Brace ranges are expanded, in commands too, and then globs (* ? [ab]) of files and of s3://, each glob's in
/// the order of their names. What is there under the very name is that. Throws Error when a file isn't there, nothing
/// fits a glob, or a weight is none; whether there is something behind a URL is not asked.
std::vector<NamedPart> expand_location(std::string_view location);

}  // namespace vlalign
