// The files of a policy. Internal.
#pragma once

#include "core/io/folders.hpp"

namespace vlalign::vla {

/// What Policy::save() replaces.
const Replaceable& replaceable_policy();

}  // namespace vlalign::vla
