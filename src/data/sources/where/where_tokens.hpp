// The words of an expression such as "similarity > 0.3 and width >= 64". Internal.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace vlalign {

struct WhereToken {
  enum class Kind {
    keyword,       ///< and, or, not, in, is: `text` in small letters
    symbol,        ///< an operator, a parenthesis, a comma
    field,         ///< `text` is its name
    quoted_field,  ///< in backquotes: a dot in its name is only a dot
    literal,       ///< `value` is a number, a string, true, false or null
    end,
  };
  Kind kind;
  std::string text;
  std::size_t place;     ///< of its first byte
  std::string_view raw;  ///< as it is written
  nlohmann::json value{};

  bool is_keyword(std::string_view word) const { return kind == Kind::keyword && text == word; }
  bool is_symbol(std::string_view symbol) const { return kind == Kind::symbol && text == symbol; }
};

/// The last one is Kind::end. Throws Error naming the place of what is no word. Tokens look into the expression.
std::vector<WhereToken> where_tokens(std::string_view expression);

/// Throws Error with the place as a column, counted in characters from 1, and the expression behind the message.
[[noreturn]] void fail_where(std::string_view expression, std::size_t place, std::string_view message);

}  // namespace vlalign
