// Where an export may be put. Internal.
#pragma once

#include "core/io/place.hpp"

namespace vlalign {

/// A folder that an earlier export wrote, and nothing else is in.
const Replaceable& replaceable_export();

}  // namespace vlalign
