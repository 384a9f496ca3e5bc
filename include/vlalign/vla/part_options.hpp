#pragma once

#include <map>
#include <string>

namespace vlalign::vla {

/// Settings of a fusion or an action head by the names of its class's Options, such as {{"layers", 2}}; what isn't
/// named keeps its default.
using PartOptions = std::map<std::string, double>;

}  // namespace vlalign::vla
