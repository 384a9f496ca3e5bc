// Recipes: the flags of `train` in a JSON file, whose keys are their names, "batch_size" for --batch-size.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

namespace vlalign::tool {

/// The words of a command line behind those of the recipe that it names with --recipe FILE, or with --resume RUN, whose
/// run folder has one. Left out of the recipe is what the words say themselves, or what doesn't go with that. Throws
/// Error for a recipe that can't be read, with file and key, and CLI::ParseError for words that make no sense.
///   command: of these flags, a fresh one, which the words are parsed with
std::vector<std::string> with_recipe(CLI::App& command, const std::vector<std::string>& words);

/// A recipe of the flags that a command was given, and of those whose defaults decide a run, that makes the run again
/// from any folder: local paths are absolute. Throws Error for a path that is no UTF-8, which JSON can't hold.
std::string recipe_of(const CLI::App& command);

}  // namespace vlalign::tool
