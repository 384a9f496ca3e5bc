// Figures by dotted names, and JSON objects in objects. Internal.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "vlalign/eval/validation_result.hpp"

namespace vlalign {

/// The numbers in an object and in the objects in it, by their keys with dots between: NaN for null. What is no number
/// is left out.
Figures figures_of(const nlohmann::json& object);

/// The other way round.
nlohmann::json json_of(const Figures& figures);

}  // namespace vlalign
