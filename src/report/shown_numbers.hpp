// Numbers as the pages show them. Internal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace vlalign {

/// 0.613 as "61.3%", small shares with one digit.
std::string percent(double share);

/// "12,345"
std::string with_thousands(std::int64_t number);

std::string plural(std::int64_t count, std::string_view one, std::string_view many);

/// "40 s", "12 min", "3.5 h", "2.1 days"
std::string duration(double seconds);

/// Whether a figure is a share of queries, which is shown in percent.
bool is_share(std::string_view key);

/// A figure as its key has it: a share in percent, all else with four digits; "not finite".
std::string shown_figure(std::string_view key, double value);

/// The value as text, and exactly for programs.
std::string datum(double value, std::string_view text);

/// A figure's key for people: "Recall@1, picture → caption"; keys that aren't the library's stay.
std::string readable_key(const std::string& key);

/// Where a figure stands among others of its validation: losses first, then what is best known.
std::size_t place_of_key(const std::string& key);

/// A key of the library's own that is of interest to those who look closer.
bool is_detail(const std::string& key);

/// A key that is the same in every validation of a set, such as "pairs" and what chance would reach.
bool is_constant(const std::string& key);

}  // namespace vlalign
