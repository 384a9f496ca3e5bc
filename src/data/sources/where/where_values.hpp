// What a record's values are to a condition, and what comparing two of them says. Internal.
#pragma once

#include <compare>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>
#include <variant>

namespace vlalign {

/// Of SQL's three-valued logic: `and` is the least of its parts, `or` the greatest.
enum class Truth { no, unknown, yes };

Truth negated(Truth truth);

/// An integer as it is, so that none is rounded: any of 64 bits, signed or not.
using WhereNumber = std::variant<__int128, double>;

struct NoValue {};     ///< null, NaN, and what isn't there
struct OtherValue {};  ///< a list, an object or text that is no Unicode: nothing compares with it
/// Text is the record's or the expression's own.
using WhereValue = std::variant<NoValue, OtherValue, bool, WhereNumber, std::string_view>;

/// Null is what isn't there.
WhereValue where_value(const nlohmann::json* value);

/// The number that the whole of a text says, white space around it aside; nothing where it says none.
std::optional<WhereNumber> number_in(std::string_view text);

/// Numbers by their exact values, text by its bytes, which is by its code points, false before true. Text beside a
/// number is taken for the number it says, beside true or false for "true" or "false" in any case. Unordered are values
/// of which one isn't there, or that are not alike.
std::partial_ordering compare_values(const WhereValue& left, const WhereValue& right);

enum class WhereOperator { less, at_most, more, at_least, equal, unequal };

/// Unknown for what is unordered.
Truth holds(WhereOperator is, std::partial_ordering order);

}  // namespace vlalign
