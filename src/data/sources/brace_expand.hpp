// Shell-like brace expansion for the names of shards.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vlalign {

/// "a-{000..031}.tar" gives 32 names padded to the width of the longer end, "{x,y}.tar" gives two; braces multiply,
/// left one slowest, and may nest. Braces without a comma or a numeric range stay as they are, as in a shell. Throws
/// Error on a brace that is never closed, on more than 64 braces and on more than a million names.
std::vector<std::string> brace_expand(std::string_view pattern);

}  // namespace vlalign
