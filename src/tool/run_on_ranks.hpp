// Commands that several processes share.
#pragma once

#include <functional>
#include <string>

#include "vlalign/ranks/ranks.hpp"

namespace vlalign::tool {

/// Does the work of a command that several processes share, as their launcher started them, or alone. What goes wrong
/// on one rank the others learn at once; it then ends without waiting for what is on its way to them.
///   task: in words, the same on all ranks
void run_on_ranks(const std::string& task, const std::function<void(const Ranks&)>& work);

}  // namespace vlalign::tool
