#include "data/sources/record_filter.hpp"

#include <cmath>
#include <limits>
#include <memory>

#include "core/json/parse_json.hpp"
#include "data/pairs_fixture.hpp"

namespace vlalign::test::record_filter_test {
namespace {

bool takes(std::string_view expression, const json& record) { return RecordFilter(expression).takes(record); }
bool takes(std::string_view expression, const char* record) { return takes(expression, json::parse(record)); }

std::string error_of(std::string_view expression) {
  try {
    const RecordFilter filter(expression);
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

/// A condition's truth, of which takes() tells only whether it is true: its negation is true where it is false.
std::string truth(const std::string& condition) {
  const bool is_true = takes(condition, json::object());
  const bool is_false = takes("not (" + condition + ")", json::object());
  EXPECT_FALSE(is_true && is_false) << condition;
  return is_true ? "true" : is_false ? "false" : "unknown";
}

TEST(RecordFilter, JoinsByTheThreeValuedTruthTable) {
  const std::string t = "1 = 1", f = "1 = 2", u = "none = 1";
  struct Row {
    std::string left, right, both, either;
  };
  const std::vector<Row> table = {
      {t, t, "true", "true"},    {t, f, "false", "true"},    {t, u, "unknown", "true"},
      {f, t, "false", "true"},   {f, f, "false", "false"},   {f, u, "false", "unknown"},
      {u, t, "unknown", "true"}, {u, f, "false", "unknown"}, {u, u, "unknown", "unknown"},
  };
  for (const auto& row : table) {
    EXPECT_EQ(truth(row.left + " and " + row.right), row.both) << row.left << ", " << row.right;
    EXPECT_EQ(truth(row.left + " or " + row.right), row.either) << row.left << ", " << row.right;
  }
  EXPECT_EQ(truth("not " + t), "false");
  EXPECT_EQ(truth("not " + f), "true");
  EXPECT_EQ(truth("not " + u), "unknown");
}

TEST(RecordFilter, BindsNotCloserThanAndAndAndCloserThanOr) {
  EXPECT_EQ(truth("1 = 1 or 1 = 1 and 1 = 2"), "true");
  EXPECT_EQ(truth("(1 = 1 or 1 = 1) and 1 = 2"), "false");
  EXPECT_EQ(truth("1 = 2 and 1 = 1 or 1 = 1"), "true");
  EXPECT_EQ(truth("1 = 2 and (1 = 1 or 1 = 1)"), "false");
  EXPECT_EQ(truth("not 1 = 2 or 1 = 1"), "true");
  EXPECT_EQ(truth("not 1 = 1 and 1 = 2"), "false");
  EXPECT_EQ(truth("not (1 = 1 and 1 = 2)"), "true");
  EXPECT_EQ(truth("not 1 = 1 or 1 = 1"), "true");
  EXPECT_EQ(truth("not (1 = 1 or 1 = 1)"), "false");
  EXPECT_EQ(truth("not not 1 = 1"), "true");
}

TEST(RecordFilter, ComparesWithEveryOperator) {
  struct Row {
    std::string is, of_less, of_equal, of_more;
  };
  const std::vector<Row> table = {
      {"<", "true", "false", "false"}, {"<=", "true", "true", "false"}, {">", "false", "false", "true"},
      {">=", "false", "true", "true"}, {"=", "false", "true", "false"}, {"==", "false", "true", "false"},
      {"!=", "true", "false", "true"}, {"<>", "true", "false", "true"},
  };
  for (const auto& row : table) {
    for (const auto* three : {"1 2 3", "-0.5 .25 1e3", "'a' 'b' 'c'", "'' 'a' 'aa'"}) {
      std::istringstream words(three);
      std::string less, middle, more;
      words >> less >> middle >> more;
      EXPECT_EQ(truth(less + row.is + middle), row.of_less) << row.is;
      EXPECT_EQ(truth(middle + row.is + middle), row.of_equal) << row.is;
      EXPECT_EQ(truth(more + " " + row.is + " " + middle), row.of_more) << row.is;
    }
    EXPECT_EQ(truth("false " + row.is + " true"), row.of_less) << row.is;
    EXPECT_EQ(truth("true " + row.is + " TRUE"), row.of_equal) << row.is;
    EXPECT_EQ(truth("none " + row.is + " 1"), "unknown") << row.is;
    EXPECT_EQ(truth("1 " + row.is + " null"), "unknown") << row.is;
    EXPECT_EQ(truth("none " + row.is + " none"), "unknown") << row.is;
  }
}

TEST(RecordFilter, FindsWhetherAValueIsInAList) {
  EXPECT_EQ(truth("2 in (1, 2)"), "true");
  EXPECT_EQ(truth("3 in (1, 2)"), "false");
  EXPECT_EQ(truth("3 not in (1, 2)"), "true");
  EXPECT_EQ(truth("2 in (null, 2)"), "true");
  EXPECT_EQ(truth("3 in (null, 2)"), "unknown");
  EXPECT_EQ(truth("3 not in (null, 2)"), "unknown");
  EXPECT_EQ(truth("none in (1, 2)"), "unknown");
  EXPECT_EQ(truth("none not in (1, 2)"), "unknown");
  EXPECT_EQ(truth("'b' in ('a', 'b')"), "true");
  EXPECT_TRUE(takes("2 in (a, b)", R"({"a": 1, "b": 2})"));
}

TEST(RecordFilter, NeverDoubtsWhatIsNull) {
  for (const auto* record : {R"({})", R"({"a": null})"}) {
    EXPECT_TRUE(takes("a is null", record));
    EXPECT_FALSE(takes("a is not null", record));
  }
  for (const auto* record : {R"({"a": 0})", R"({"a": ""})", R"({"a": false})", R"({"a": []})", R"({"a": {}})"}) {
    EXPECT_FALSE(takes("a is null", record)) << record;
    EXPECT_TRUE(takes("a is not null", record)) << record;
  }
  EXPECT_TRUE(takes("a is null", json{{"a", std::nan("")}}));
}

TEST(RecordFilter, TakesNanForNothingAndInfinityForANumber) {
  const auto as_python_writes = parse_record(R"({"a": NaN, "b": Infinity, "c": -Infinity, "d": "\ud800"})");
  const json as_computed = {{"a", std::nan("")},
                            {"b", std::numeric_limits<double>::infinity()},
                            {"c", -std::numeric_limits<double>::infinity()},
                            {"d", json::array()}};
  for (const auto& record : {as_python_writes, as_computed}) {
    EXPECT_TRUE(takes("a is null and b is not null and c is not null and d is not null", record));
    EXPECT_FALSE(takes("a = a or a != a or a < 1 or a >= 1", record));
    EXPECT_TRUE(takes("b > 1e308 and b > 18446744073709551615 and c < -9223372036854775808 and b = b", record));
    EXPECT_FALSE(takes("d = d or d != 'x' or d < 1 or d >= 1", record));
  }
}

TEST(RecordFilter, RoundsNoInteger) {
  const auto* record = R"({"odd": 9007199254740993, "even": 9007199254740992, "real": 9007199254740992.0,
                           "most": 18446744073709551615, "least": -9223372036854775808, "two64": 18446744073709551616.0})";
  EXPECT_TRUE(takes("odd > even and odd != even and odd > real and even = real and not odd <= real", record));
  EXPECT_TRUE(takes("odd = 9007199254740993 and odd > 9007199254740992.0", record));
  EXPECT_TRUE(takes("most < two64 and most > 18446744073709551614 and most > least and least < -1", record));
  EXPECT_TRUE(takes("least < -9.2e18 and most > 1.8e19 and least = -9223372036854775808.0", record));
  EXPECT_TRUE(takes("3 < 3.5 and -3 > -3.5 and 4 > 3.5 and -4 < -3.5 and 0 = -0.0", record));
}

TEST(RecordFilter, ReadsNumbersWrittenAsText) {
  const auto* record =
      R"({"a": "0.31", "b": " +64\n", "c": "1e-400", "d": "1e999", "n": "nan", "w": "many", "e": "", "s": "+-2", "t": "++2",
                           "odd": "9007199254740993", "number": 0.31})";
  EXPECT_TRUE(takes("a > 0.3 and a < 1 and a = 0.31 and 0.3 < a and a = number and a in (1, 0.31)", record));
  EXPECT_TRUE(takes("b >= 64 and b <= 64 and c >= 0 and c < 1 and d > 1e308", record));
  EXPECT_TRUE(takes("odd > 9007199254740992 and odd != 9007199254740992.0", record));
  for (const auto* nothing : {"n", "w", "e", "s", "t"}) {
    EXPECT_FALSE(takes(fmt::format("{0} < 1 or {0} >= 1 or {0} != 1", nothing), record)) << nothing;
  }
  // Beside text they are text.
  EXPECT_TRUE(takes("'9' > '10' and a = '0.31' and a != '0.310'", record));
}

TEST(RecordFilter, ComparesNothingOfAnotherKind) {
  const auto* record = R"({"truth": true, "text": " True\n", "number": 1, "list": [1], "object": {"a": 1}})";
  EXPECT_TRUE(takes("truth = true and text = true and truth = text and truth != false", record));
  for (const auto* pair : {"truth = number", "truth != number", "list = 1", "list != 1", "object != 1", "list = list",
                           "object = object", "number = 'one'", "number != 'one'", "truth != 'yes'"}) {
    EXPECT_FALSE(takes(pair, record)) << pair;
    EXPECT_FALSE(takes(std::string("not ") + pair, record)) << pair;
  }
  for (const auto* record_is : {"[]", "1", "null", "\"a\""}) {
    EXPECT_FALSE(takes("a = 1 or a.b != 1", record_is));
    EXPECT_TRUE(takes("a is null and a.b is null", record_is));
  }
}

TEST(RecordFilter, ComparesTextByItsCodePoints) {
  EXPECT_EQ(truth("'Z' < 'a'"), "true");
  EXPECT_EQ(truth("'z' < '\u00e9'"), "true");
  EXPECT_EQ(truth("'\uffee' < '\U0001f600'"), "true");
}

TEST(RecordFilter, FindsFieldsByTheirNames) {
  const auto* record = R"({"a": {"b": {"c": 1}, "d.e": 2, "list": [1]}, "a.x": 3, "two words": 4, "and": 5, "f.g": 6,
                           "f": {"g": 7}, "`": 8, "caf\u00e9": 9})";
  EXPECT_TRUE(takes("a.b.c = 1 and a.d.e = 2 and a.x = 3 and `two words` = 4 and `and` = 5", record));
  EXPECT_TRUE(takes("f.g = 6 and ```` = 8 and `caf\u00e9` = 9 and `f.g` = 6", record));
  EXPECT_TRUE(takes("`a.b.c` is null and a.b.c.d is null and a.list.x is null and A is null and b is null", record));
}

TEST(RecordFilter, NamesItsFieldsOnceInTheirOrder) {
  const std::string text = "width >= 64 AND NOT (`a b` = width or height in (x.y, width)) and z is null";
  const auto original = std::make_unique<RecordFilter>(text);
  const RecordFilter copy = *original;
  EXPECT_EQ(original->fields(), (std::vector<std::string>{"width", "a b", "height", "x.y", "z"}));
  EXPECT_EQ(copy.fields(), original->fields());
  EXPECT_EQ(copy.text(), text);
}

TEST(RecordFilter, ReadsQuotesAndWordsInAnyCase) {
  const auto* record = R"({"a": "it's", "b": "say \"no\"", "c": "\\n"})";
  EXPECT_TRUE(takes(R"(a = 'it''s' and a = "it's" and b = "say ""no""" and b = 'say "no"' and c = '\n')", record));
  EXPECT_TRUE(takes("a\tIS\nNOT\r\nNULL And nOt a In ('')", record));
  EXPECT_EQ(truth("''=''"), "true");
}

TEST(RecordFilter, SaysWhereAnExpressionIsWrong) {
  const std::string operand = "a field, a number, text in quotes, true, false or null";
  const std::vector<std::pair<std::string, std::string>> all = {
      {"", "expected " + operand + ", found the end, column 1 of: "},
      {"  ", "expected " + operand + ", found the end, column 3 of:   "},
      {"similarity > and width", "expected " + operand + ", found \"and\", column 14 of: similarity > and width"},
      {"a", "expected a comparison: <, <=, >, >=, =, !=, in or is, found the end, column 2"},
      {"(a) = 1", "expected a comparison: <, <=, >, >=, =, !=, in or is, found \")\", column 3"},
      {"a between 1 and 2", "found \"between\", column 3"},
      {"a not 1", "expected \"in\", found \"1\", column 7"},
      {"a not", "expected \"in\", found the end, column 6"},
      {"a is 1", "expected null or \"not null\", found \"1\", column 6"},
      {"a is not 'null'", "expected null, found \"'null'\", column 10"},
      {"a in 1", "expected a list such as (1, 2), found \"1\", column 6"},
      {"a in ()", "expected " + operand + ", found \")\", column 7"},
      {"a in (1 2)", "expected \",\" or \")\", found \"2\", column 9"},
      {"a in (1, 2", "expected \",\" or \")\", found the end, column 11"},
      {"(a = 1", "expected \"and\", \"or\" or \")\", found the end, column 7"},
      {"a = 1)", "expected \"and\", \"or\" or the end, found \")\", column 6"},
      {"a = 1 b = 2", "expected \"and\", \"or\" or the end, found \"b\", column 7"},
      {"0 < a < 1", "expected \"and\", \"or\" or the end, found \"<\", column 7"},
      {"a = 3px", "\"3px\" is no number, column 5"},
      {"a = 1.2.3", "\"1.2.3\" is no number, column 5"},
      {"a = 0x10", "\"0x10\" is no number, column 5"},
      {"a = 'it's'", "the quote ' is never closed, column 10"},
      {"a = 'it's fine", "expected \"and\", \"or\" or the end, found \"s\", column 9"},
      {"a = 'open", "the quote ' is never closed, column 5"},
      {"a = 'open''", "the quote ' is never closed, column 5"},
      {"`a = 1", "the quote ` is never closed, column 1"},
      {"a & 1", "\"&\" is no part of a condition"},
      {"a = -b", "\"-\" is no part of a condition"},
      {"a = '\u00e9\u00e9' and \u00e9 = 1",
       "\"\u00e9\" is no part of a condition; a field with such a name goes in "
       "backquotes, text in quotes, column 14 of: a"},
      {"a = '\xff'", "where: expected UTF-8, got a = '\uFFFD'"},
  };
  for (const auto& [expression, message] : all) {
    EXPECT_HAS(error_of(expression), message) << expression;
    EXPECT_TRUE(error_of(expression).starts_with("where: ")) << error_of(expression);
  }
}

std::string repeated(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(RecordFilter, RefusesWhatWouldOverflowTheStack) {
  EXPECT_TRUE(takes(repeated("(", 100) + "1 = 1" + repeated(")", 100), json::object()));
  EXPECT_TRUE(takes(repeated("not ", 100) + "1 = 1", json::object()));
  EXPECT_HAS(error_of(repeated("(", 101) + "1 = 1" + repeated(")", 101)), "more than 100 deep, column 102 of: ((((");
  for (const auto* opening : {"(", "not ", "not("}) {
    EXPECT_HAS(error_of(repeated(opening, 100'000) + "1 = 1"),
               "where: conditions are nested more than 100 deep, column");
    EXPECT_LT(error_of(repeated(opening, 100'000)).size(), 1000U);
  }
  EXPECT_EQ(truth("1 = 2" + repeated(" or 1 = 2", 100'000) + " or 1 = 1"), "true");
  EXPECT_EQ(truth("1 = 1" + repeated(" and (1 = 1)", 100'000)), "true");
}

/// The fixture is tests/fixtures/make_where.py's, which says what the two don't share.
TEST(RecordFilter, TakesWhatSqliteTakes) {
  const auto all = read_json(fixtures / "where.json");
  const auto& records = all["records"];
  EXPECT_GE(all["conditions"].size(), 400U);
  for (const auto& [condition, taken] : all["conditions"].items()) {
    const RecordFilter filter(condition);
    std::string ours;
    for (const auto& record : records) ours += filter.takes(record) ? '1' : '0';
    EXPECT_EQ(ours, taken.get<std::string>()) << condition;
  }
}

}  // namespace
}  // namespace vlalign::test::record_filter_test
