#include "data/sources/record_filter.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "core/check.hpp"
#include "data/sources/where/where_conditions.hpp"
#include "data/sources/where/where_tokens.hpp"

namespace vlalign {
namespace {

constexpr int deepest_condition = 100;

std::optional<WhereOperator> operator_of(const WhereToken& token) {
  using enum WhereOperator;
  constexpr std::array<std::pair<std::string_view, WhereOperator>, 8> all = {{{"<", less},
                                                                              {"<=", at_most},
                                                                              {">", more},
                                                                              {">=", at_least},
                                                                              {"=", equal},
                                                                              {"==", equal},
                                                                              {"!=", unequal},
                                                                              {"<>", unequal}}};
  const auto* found = std::find_if(all.begin(), all.end(), [&](const auto& one) { return token.is_symbol(one.first); });
  return found == all.end() ? std::nullopt : std::optional(found->second);
}

/// Reads by recursive descent, a function for each rule.
class WhereParser {
  using Kind = WhereToken::Kind;

 public:
  WhereParser(std::string_view expression, std::vector<std::string>& fields)
      : expression_(expression), tokens_(where_tokens(expression)), fields_(fields) {}

  WhereConditionPtr whole() {
    auto condition = any_of();
    if (next().kind != Kind::end) fail_expected("\"and\", \"or\" or the end");
    return condition;
  }

 private:
  const WhereToken& next() const { return tokens_[at_]; }

  [[noreturn]] void fail_expected(std::string_view what) const {
    const auto found = next().kind == Kind::end ? "the end" : fmt::format("\"{}\"", next().raw);
    fail_where(expression_, next().place, fmt::format("expected {}, found {}", what, found));
  }

  bool take_keyword(std::string_view word) {
    const bool is_it = next().is_keyword(word);
    if (is_it) ++at_;
    return is_it;
  }

  bool take_symbol(std::string_view symbol) {
    const bool is_it = next().is_symbol(symbol);
    if (is_it) ++at_;
    return is_it;
  }

  WhereConditionPtr any_of() {
    return joined("or", WhereJoined::By::or_, [&] { return all_of(); });
  }

  WhereConditionPtr all_of() {
    return joined("and", WhereJoined::By::and_, [&] { return one(); });
  }

  template <typename Part>
  WhereConditionPtr joined(std::string_view word, WhereJoined::By by, const Part& part) {
    std::vector<WhereConditionPtr> conditions;
    do conditions.push_back(part());
    while (take_keyword(word));
    if (conditions.size() == 1) return std::move(conditions.front());
    return std::make_unique<WhereJoined>(by, std::move(conditions));
  }

  WhereConditionPtr one() {
    if (take_keyword("not")) {
      return nested([&] { return std::make_unique<WhereNot>(one()); });
    }
    if (!take_symbol("(")) return about_a_value();
    return nested([&] {
      auto condition = any_of();
      if (!take_symbol(")")) fail_expected("\"and\", \"or\" or \")\"");
      return condition;
    });
  }

  /// What `part` gives. The stack bears only so many within each other.
  template <typename Part>
  WhereConditionPtr nested(const Part& part) {
    if (++depth_ > deepest_condition) {
      fail_where(expression_, next().place, fmt::format("conditions are nested more than {} deep", deepest_condition));
    }
    WhereConditionPtr condition = part();
    --depth_;
    return condition;
  }

  WhereConditionPtr about_a_value() {
    auto value = operand();
    if (const auto is = operator_of(next())) {
      ++at_;
      return std::make_unique<WhereComparison>(std::move(value), *is, operand());
    }
    if (take_keyword("is")) return null_or_not(std::move(value));
    const bool is_not = take_keyword("not");
    if (!take_keyword("in")) fail_expected(is_not ? "\"in\"" : "a comparison: <, <=, >, >=, =, !=, in or is");
    return unless(is_not, std::make_unique<WhereAmong>(std::move(value), list()));
  }

  WhereConditionPtr null_or_not(WhereOperand value) {
    const bool is_not = take_keyword("not");
    if (next().kind != Kind::literal || !next().value.is_null())
      fail_expected(is_not ? "null" : "null or \"not null\"");
    ++at_;
    return unless(is_not, std::make_unique<WhereIsNull>(std::move(value)));
  }

  static WhereConditionPtr unless(bool is_not, WhereConditionPtr condition) {
    if (!is_not) return condition;
    return std::make_unique<WhereNot>(std::move(condition));
  }

  std::vector<WhereOperand> list() {
    if (!take_symbol("(")) fail_expected("a list such as (1, 2)");
    std::vector<WhereOperand> list;
    do list.push_back(operand());
    while (take_symbol(","));
    if (!take_symbol(")")) fail_expected("\",\" or \")\"");
    return list;
  }

  WhereOperand operand() {
    const auto& token = next();
    const bool is_field = token.kind == Kind::field || token.kind == Kind::quoted_field;
    if (!is_field && token.kind != Kind::literal) {
      fail_expected("a field, a number, text in quotes, true, false or null");
    }
    ++at_;
    if (!is_field) return token.value;
    if (std::find(fields_.begin(), fields_.end(), token.text) == fields_.end()) fields_.push_back(token.text);
    return WhereField(token.text, token.kind == Kind::field ? WhereField::Dots::go_inside : WhereField::Dots::are_dots);
  }

  std::string_view expression_;
  std::vector<WhereToken> tokens_;
  std::vector<std::string>& fields_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

RecordFilter::RecordFilter(std::string_view expression)
    : text_(expression), condition_(WhereParser(expression, fields_).whole()) {}

bool RecordFilter::takes(const nlohmann::json& record) const { return condition_->of(record) == Truth::yes; }

}  // namespace vlalign
