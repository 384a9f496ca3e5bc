#pragma once

#include <stdexcept>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// What every function of this library throws on bad input.
/// The message is for people: what was wrong, where (file, line, record, key), and what would be right.
class VLALIGN_EXPORT Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace vlalign
