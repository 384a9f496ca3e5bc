// What an expression is made of, ready to be asked of records. Internal.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "data/sources/where/where_values.hpp"

namespace vlalign {

/// A field of a record. Where the record has none of the whole name, what is before the first dot names an object in
/// it, and what is behind a field of that.
class WhereField {
 public:
  /// As it stands in an expression, or in backquotes, where a dot is only a dot.
  enum class Dots { go_inside, are_dots };
  WhereField(const std::string& name, Dots dots);

  /// Null where the record has no such field.
  const nlohmann::json* find(const nlohmann::json& record) const;

 private:
  struct Part {
    std::string rest, first;  ///< the name from here on, and what of it is before the first dot
  };
  std::vector<Part> parts_;
};

/// What stands on a side of a comparison: a field, or a number, text, true, false or null.
using WhereOperand = std::variant<WhereField, nlohmann::json>;

class WhereCondition {
 public:
  virtual ~WhereCondition() = default;
  virtual Truth of(const nlohmann::json& record) const = 0;
};

using WhereConditionPtr = std::unique_ptr<const WhereCondition>;

/// left < right
class WhereComparison : public WhereCondition {
 public:
  WhereComparison(WhereOperand left, WhereOperator is, WhereOperand right)
      : left_(std::move(left)), is_(is), right_(std::move(right)) {}
  Truth of(const nlohmann::json& record) const override;

 private:
  WhereOperand left_;
  WhereOperator is_;
  WhereOperand right_;
};

/// value in (one, other, ...): equal to any
class WhereAmong : public WhereCondition {
 public:
  WhereAmong(WhereOperand value, std::vector<WhereOperand> list) : value_(std::move(value)), list_(std::move(list)) {}
  Truth of(const nlohmann::json& record) const override;

 private:
  WhereOperand value_;
  std::vector<WhereOperand> list_;
};

/// value is null: never unknown
class WhereIsNull : public WhereCondition {
 public:
  explicit WhereIsNull(WhereOperand value) : value_(std::move(value)) {}
  Truth of(const nlohmann::json& record) const override;

 private:
  WhereOperand value_;
};

class WhereNot : public WhereCondition {
 public:
  explicit WhereNot(WhereConditionPtr condition) : condition_(std::move(condition)) {}
  Truth of(const nlohmann::json& record) const override { return negated(condition_->of(record)); }

 private:
  WhereConditionPtr condition_;
};

/// Conditions with `and`, or with `or`, between them.
class WhereJoined : public WhereCondition {
 public:
  enum class By { and_, or_ };
  WhereJoined(By by, std::vector<WhereConditionPtr> conditions) : by_(by), conditions_(std::move(conditions)) {}
  Truth of(const nlohmann::json& record) const override;

 private:
  By by_;
  std::vector<WhereConditionPtr> conditions_;
};

}  // namespace vlalign
