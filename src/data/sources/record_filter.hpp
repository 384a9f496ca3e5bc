// Which records of a data set are taken. Internal.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace vlalign {

class WhereCondition;

/// A condition such as "similarity > 0.3 and (width >= 64 or nsfw is null)", as a WHERE of SQL says it:
///
///   comparisons  < <= > >= = == != <>  between a field and a number, text in ' or ", true, false, null, or a field
///   x in (1, 'two', three), x not in (...), x is null, x is not null
///   not, and, or, of which not binds closest and or least; parentheses; all words in any case
///
/// A field is letters, digits, _ and dots, where a dot goes into an object unless a field's very name has it, or
/// anything in backquotes. A quote, or backquote, is doubled in its own kind.
///
/// Values compare as compare_values() says. One that isn't there, is null or NaN, or is of another kind than the other
/// makes a comparison unknown, and what is unknown stays so under `not`: only a record for which the whole is true is
/// taken. So none is by "x = null", which is "x is null". Text that says a number, "0.31", is that number beside one.
///
/// Copies share what was parsed. Safe from several threads.
class RecordFilter {
 public:
  /// Throws Error, "where: expected ...", that names the column, and for what is nested too deep.
  explicit RecordFilter(std::string_view expression);

  bool takes(const nlohmann::json& record) const;

  /// The names of those it reads, each once, in their order.
  const std::vector<std::string>& fields() const { return fields_; }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::vector<std::string> fields_;
  std::shared_ptr<const WhereCondition> condition_;
};

}  // namespace vlalign
