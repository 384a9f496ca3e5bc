// Files of a run that hold a line a step. Internal.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace vlalign {

/// The lines of steps up to `step`. A last line without an end was cut short by a kill and is made again. Throws Error
/// naming the line that is no JSON object with a "step" above the line's before.
std::string lines_up_to(const std::filesystem::path& file, std::int64_t step);

}  // namespace vlalign
