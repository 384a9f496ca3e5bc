// What the program says: results on stdout, which must get there, and errors for people on stderr.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

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

}  // namespace vlalign::tool
