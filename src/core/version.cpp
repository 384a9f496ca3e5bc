#include "vlalign/core/version.hpp"

namespace vlalign {

const char* version() { return VLALIGN_VERSION; }

}  // namespace vlalign
