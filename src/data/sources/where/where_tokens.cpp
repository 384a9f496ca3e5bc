#include "data/sources/where/where_tokens.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "core/ascii.hpp"
#include "core/check.hpp"
#include "core/utf8.hpp"
#include "data/sources/where/where_values.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

bool begins_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_numeral(char c) { return c >= '0' && c <= '9'; }
bool goes_on_name(char c) { return begins_name(c) || is_numeral(c) || c == '.'; }

json as_json(const WhereNumber& number) {
  const auto* integer = std::get_if<__int128>(&number);
  if (integer == nullptr) return std::get<double>(number);
  return *integer < 0 ? json(static_cast<std::int64_t>(*integer)) : json(static_cast<std::uint64_t>(*integer));
}

class WhereLexer {
  using Kind = WhereToken::Kind;

 public:
  explicit WhereLexer(std::string_view expression) : all_(expression) {}

  std::vector<WhereToken> tokens() {
    while (skip_space()) read_token();
    add(Kind::end, "", at_);
    return std::move(tokens_);
  }

 private:
  char peek(std::size_t ahead = 0) const { return at_ + ahead < all_.size() ? all_[at_ + ahead] : '\0'; }

  /// False at the end.
  bool skip_space() {
    at_ = std::min(all_.find_first_not_of(" \t\r\n\f\v", at_), all_.size());
    return at_ < all_.size();
  }

  /// A token that goes on to `end`.
  WhereToken& add(Kind kind, std::string text, std::size_t end) {
    tokens_.push_back({kind, std::move(text), at_, all_.substr(at_, end - at_)});
    at_ = end;
    return tokens_.back();
  }

  void read_token() {
    const char c = peek();
    const bool is_signed = c == '-' || c == '+';
    const std::size_t first = is_signed ? 1 : 0;
    if (is_numeral(peek(first)) || (peek(first) == '.' && is_numeral(peek(first + 1)))) return read_number();
    if (begins_name(c)) return read_word();
    if (c == '\'' || c == '"' || c == '`') return read_quoted(c);
    read_symbol();
  }

  void read_number() {
    auto end = at_ + 1;
    const auto goes_on = [&] {
      const bool exponent = all_[end - 1] == 'e' || all_[end - 1] == 'E';
      return goes_on_name(all_[end]) || (exponent && (all_[end] == '-' || all_[end] == '+'));
    };
    while (end < all_.size() && goes_on()) ++end;
    const auto text = all_.substr(at_, end - at_);
    const auto number = number_in(text);
    if (!number) fail_where(all_, at_, fmt::format("\"{}\" is no number", text));
    add(Kind::literal, "", end).value = as_json(*number);
  }

  void read_word() {
    auto end = at_;
    while (end < all_.size() && goes_on_name(all_[end])) ++end;
    const auto word = all_.substr(at_, end - at_);
    const auto small = lower(word);
    constexpr std::array<std::string_view, 5> keywords = {"and", "or", "not", "in", "is"};
    if (std::find(keywords.begin(), keywords.end(), small) != keywords.end()) {
      add(Kind::keyword, small, end);
    } else if (small == "true" || small == "false") {
      add(Kind::literal, "", end).value = small == "true";
    } else if (small == "null") {
      add(Kind::literal, "", end);
    } else {
      add(Kind::field, std::string(word), end);
    }
  }

  /// Up to the same quote; two of them are one in the text.
  void read_quoted(char quote) {
    std::string text;
    auto end = at_ + 1;
    for (;; text += quote) {
      const auto closing = all_.find(quote, end);
      if (closing == all_.npos) fail_where(all_, at_, fmt::format("the quote {} is never closed", quote));
      text += all_.substr(end, closing - end);
      end = closing + 1;
      if (end == all_.size() || all_[end] != quote) break;
      ++end;
    }
    if (quote != '`') {
      add(Kind::literal, "", end).value = std::move(text);
    } else {
      add(Kind::quoted_field, std::move(text), end);
    }
  }

  void read_symbol() {
    constexpr std::array<std::string_view, 11> symbols = {"<=", ">=", "==", "!=", "<>", "<", ">", "=", "(", ")", ","};
    const auto rest = all_.substr(at_);
    const auto* found = std::find_if(symbols.begin(), symbols.end(), [&](auto one) { return rest.starts_with(one); });
    if (found != symbols.end()) {
      add(Kind::symbol, std::string(*found), at_ + found->size());
      return;
    }
    const auto character = rest.substr(0, static_cast<std::size_t>(first_code_point(rest).length));
    fail_where(
        all_, at_,
        fmt::format("\"{}\" is no part of a condition; a field with such a name goes in backquotes, text in quotes",
                    character));
  }

  std::string_view all_;
  std::size_t at_ = 0;
  std::vector<WhereToken> tokens_;
};

}  // namespace

std::vector<WhereToken> where_tokens(std::string_view expression) {
  check(is_utf8(expression), "where: expected UTF-8, got {}", as_utf8(expression));
  return WhereLexer(expression).tokens();
}

void fail_where(std::string_view expression, std::size_t place, std::string_view message) {
  constexpr std::size_t longest = 400;
  const auto is_first = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; };
  const auto before = expression.substr(0, place);
  const auto shown =
      expression.size() > longest ? as_utf8(expression.substr(0, longest)) + "..." : std::string(expression);
  fail("where: {}, column {} of: {}", message, 1 + std::count_if(before.begin(), before.end(), is_first), shown);
}

}  // namespace vlalign
