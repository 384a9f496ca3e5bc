#include "core/json/parse_json.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/json/python_json.hpp"
#include "core/utf8.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::parse_json_test {
namespace {

using nlohmann::json;

TEST(PythonJson, IsReadBesideWhatJsonLacks) {
  const auto read = parse_json(R"({"a": NaN, "b": [Infinity, -Infinity], "c": "\ud800", "d": 1e999, "e": "NaN"})", "f");
  for (const auto& bad : {read["a"], read["b"][0], read["b"][1], read["c"], read["d"]}) {
    EXPECT_FALSE(bad.is_string() || bad.is_number() || bad.is_null() || bad.is_structured());
  }
  EXPECT_EQ(shown(read["a"]), "NaN");
  EXPECT_EQ(shown(read["b"][1]), "-Infinity");
  EXPECT_EQ(shown(read["c"]), "\\ud800");
  EXPECT_EQ(shown(read),
            R"({"a":NaN,"b":[Infinity,-Infinity],"c":\ud800,"d":1e999,"e":"NaN"})");  // as the file has it
  EXPECT_EQ(read["e"], "NaN");
  EXPECT_EQ(parse_json("[\"\xef\xbf\xbf\"]", "f")[0], "\xef\xbf\xbf");  // U+FFFF itself
  EXPECT_EQ(test::message_of<Error>([] { parse_json(R"({"\ud800": 1})", "f"); }).substr(0, 21),
            "f: a key is no text: ");
}

TEST(PythonJson, OfAnyDepthIsReadInARecord) {
  const std::string deep(100'000, '[');
  EXPECT_EQ(parse_record(R"({"a": )" + deep + "NaN" + std::string(100'000, ']') + R"(, "b": 1})")["b"], 1);
}

TEST(PythonJson, LeavesJsonAsItIs) {
  for (const auto* text :
       {R"({"NaN": "a \"NaN\" \\", "x": -1.5e3, "y": "\ud83d\udc31\u00e9\\ud800", "Infinity": [1, true]})", "[]",
        "\"caf\xc3\xa9 \xf0\x9f\x90\xb1\"", "{", "", "\"", "\"\\", "\"\\u12", "{NaN: 1}", "nan"}) {
    EXPECT_EQ(as_strict_json(text), text);
  }
}

TEST(PythonJson, NamesFilesAsPythonDoes) {
  // json.dumps(os.fsdecode(name)) of each name, by Python 3.11
  const std::pair<const char*, std::string> names[] = {{R"("caf\udce9.png")", "caf\xe9.png"},
                                                       {R"("\udcff\udc80")", "\xff\x80"},
                                                       {R"("caf\u00e9.png")", "caf\xc3\xa9.png"},
                                                       {R"("\ud83d\udc31")", "\xf0\x9f\x90\xb1"}};
  for (const auto& [text, name] : names) EXPECT_EQ(file_name_of(parse_record(text)), name);
  EXPECT_EQ(file_name_of(parse_record("\"caf\xe9.png\"")), "caf\xe9.png");
  for (const auto* text : {R"("\ud800")", R"("\udc7f")", "NaN", "3", "[]"})
    EXPECT_EQ(file_name_of(parse_record(text)), std::nullopt);
}

TEST(PythonJson, OfARecordTakesTheLastOfEqualKeys) {
  EXPECT_EQ(parse_record(R"({"a": 1, "a": 2})")["a"], 2);
  EXPECT_EQ(test::message_of<Error>([] { parse_json(R"({"a": NaN, "a": 2})", "f"); }), "f: \"a\" is named twice");
  EXPECT_TRUE(test::message_of<Error>([] { parse_record("{NaN: 1}"); }).starts_with("not JSON: "));
}

TEST(Utf8, IsToldFromWhatIsNone) {
  for (const auto* text : {"", "a", "\xc3\xa9", "\xef\xbf\xbd", "\xf4\x8f\xbf\xbf", "\xef\xbb\xbf"}) {
    EXPECT_TRUE(is_utf8(text));
    EXPECT_EQ(as_utf8(text), text);
  }
  // bytes.decode("utf-8", "replace") of each, by Python 3.11
  const std::pair<const char*, const char*> broken[] = {{"caf\xe9", "caf\xef\xbf\xbd"},
                                                        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
                                                        {"\xf0\x9f\x90 x", "\xef\xbf\xbd x"},
                                                        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"}};
  for (const auto& [text, replaced] : broken) {
    EXPECT_FALSE(is_utf8(text));
    EXPECT_EQ(as_utf8(text), replaced);
  }
}

}  // namespace
}  // namespace vlalign::parse_json_test
