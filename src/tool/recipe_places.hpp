// The places that a recipe names, so that it can be used from another folder.
#pragma once

#include <string>

namespace vlalign::tool {

/// What an option of this long name says, with local paths from the root: those of data, A::B lists with weights, globs
/// and braces too, of NAME=DATA, and of files and folders. Addresses, pipe:COMMANDs and what is no path stay.
std::string absolute_place(const std::string& option, const std::string& text);

/// The same of a location of data.
std::string absolute_location(const std::string& location);

}  // namespace vlalign::tool
