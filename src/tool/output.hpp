// What the program says: results on stdout, which must get there, and errors for people on stderr.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "vlalign/ranks/ranks.hpp"

namespace vlalign::tool {

/// A line of JSON on stdout; a path that is no UTF-8 is made so.
void print_json(const nlohmann::ordered_json& json);

/// The same text for a file, indented.
std::string indented(const nlohmann::ordered_json& json);

/// Makes sure that no file takes the number of a standard stream that is closed, and that a reader who goes away, of
/// the results or of the progress, ends no run: what can't be written is an error where it matters.
void prepare_streams();

/// What `work` returns, after all it printed has reached stdout. Where either fails: one line on stderr, with nothing
/// in it that libraries say to programmers, and 1.
int exit_status_of(const std::function<int()>& work);

/// Does the work of a command that several processes share, as their launcher started them, or alone. What goes wrong
/// on one rank the others learn at once; it then ends without waiting for what is on its way to them.
///   task: in words, the same on all ranks
void run_on_ranks(const std::string& task, const std::function<void(const Ranks&)>& work);

}  // namespace vlalign::tool
