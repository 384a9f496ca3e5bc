// Sources that callers hand over. Internal.
#pragma once

#include <memory>
#include <string_view>

#include "core/check.hpp"

namespace vlalign {

/// The source itself. Throws Error "WHERE: ..." for a null pointer.
template <typename Source>
const Source& checked_source(const std::shared_ptr<const Source>& source, std::string_view where) {
  check(source != nullptr, "{}: expected a data set, got a null pointer", where);
  return *source;
}

}  // namespace vlalign
