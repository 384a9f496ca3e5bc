#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace emoji {

/// What the Unicode CLDR says of one emoji in one language; either may be empty.
struct Annotation {
  std::string name;  ///< "grinning cat with smiling eyes"
  std::vector<std::string> keywords;
};

/// Emoji as UTF-8 without U+FE0F, in code point order.
using Annotations = std::map<std::string, Annotation>;

/// The names and keywords of a language, completed by those of its CLDR parent locales (en_GB by en_001 and en), the
/// root locale left aside.
///   cldr: the folder that holds annotations/, annotationsDerived/ and supplemental/
///   language: a file name of annotations/ without .xml
/// Throws vlalign::Error for a folder or file that isn't there or isn't whole, and for an unknown language, naming
/// close ones. Source: Unicode Technical Standard 35, part 2, annotations; parent locales in part 1.
Annotations read_annotations(const std::filesystem::path& cldr, std::string_view language);

}  // namespace emoji
