// Modules: parts of the library with libraries of their own, which nobody loads who doesn't need them. Internal.
#pragma once

#include <string>

namespace vlalign {

/// Where a module's libraries look for the names that they export themselves.
enum class ModuleNames {
  programs_first,  ///< as every library does: what the program exports under such a name is taken instead
  own_first,       ///< for libraries that export what the program, or LibTorch, exports too
};

/// Loads the module of this name, which lies beside the library, and gives the address of its entry. What it exports is
/// seen by nobody else. It is never unloaded: what it made may outlive any place that could do it.
///   missing: the message of the Error when there is no such module; where it was looked for is added
/// Throws Error naming the module when it can't be loaded.
void* load_module(const std::string& name, const char* entry, ModuleNames names, const std::string& missing);

}  // namespace vlalign
