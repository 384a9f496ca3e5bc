#pragma once

namespace vlalign {

/// The text of presets.json, which is part of the library.
extern const char* const presets_json;

}  // namespace vlalign
