// Folders that are never half written and never half read. Internal.
#pragma once

#include <filesystem>
#include <functional>

#include "core/io/place.hpp"

namespace vlalign {

/// `fill` writes into a folder beside `path`, which is synced and then takes its place in one step where the system can
/// exchange two names; else in two, and read_whole_folder() and the next writer know what a kill between them left.
/// Throws Error, and then has changed nothing, when `path` names what isn't replaceable, before `fill` is called.
void write_folder_atomically(const std::filesystem::path& path, const Replaceable& replaceable,
                             const std::function<void(const std::filesystem::path&)>& fill);

/// Calls `read` with the folder, and again when it was replaced meanwhile, so that nobody gets a mix of two. After a
/// kill between the two steps above, it is called with what was there before.
void read_whole_folder(const std::filesystem::path& folder,
                       const std::function<void(const std::filesystem::path&)>& read);

/// Removes a folder so that a kill leaves it whole or without its name. Throws Error when it can't be.
void remove_folder_atomically(const std::filesystem::path& folder);

/// Removes what dead writers left in a folder, and puts back what they had moved out of its place.
void tidy_folder(const std::filesystem::path& folder);

}  // namespace vlalign
