#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "../support/temp_folder.hpp"
#include "eval/new_lines.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/eval/validation_result.hpp"

namespace vlalign::validation_lines_test {
namespace {

std::filesystem::path write(const test::TempFolder& folder, const std::string& text) {
  const auto file = folder.path() / "validation.jsonl";
  std::ofstream(file) << text;
  return file;
}

TEST(ValidationLines, HoldTheNumbersByDottedKeys) {
  const test::TempFolder folder;
  const auto lines = read_validations(write(
      folder,
      R"({"step":500,"name":"unseen","seconds":3.5,"loss":1.25,"pairs":1000,"image_to_text":{"recall@1":0.5,"median_rank":2},)"
      R"("interval95":{"image_to_text":{"recall@1":[0.4,0.6]}},"note":"x"})"
      "\n"
      R"({"step":1000,"name":"grasping","seconds":9,"success.rate":null})"
      "\n"));
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].step, 500);
  EXPECT_EQ(lines[0].name, "unseen");
  EXPECT_EQ(lines[0].seconds, 3.5);
  EXPECT_EQ(lines[0].figures,
            (std::map<std::string, double>{
                {"loss", 1.25}, {"pairs", 1000}, {"image_to_text.recall@1", 0.5}, {"image_to_text.median_rank", 2}}));
  EXPECT_TRUE(std::isnan(lines[1].figures.at("success.rate")));
}

TEST(ValidationLines, LeaveOutALastOneThatWasCutShort) {
  const test::TempFolder folder;
  const std::string whole = "{\"step\":1,\"name\":\"a\",\"loss\":2}";
  EXPECT_EQ(read_validations(write(folder, whole + "\n{\"step\":2,\"na")).size(), 1U);
  EXPECT_EQ(read_validations(write(folder, whole)).size(), 0U);  // its end may still come
  EXPECT_EQ(read_validations(write(folder, "")).size(), 0U);
}

TEST(ValidationLines, NameTheLineThatIsWrong) {
  const test::TempFolder folder;
  const auto complaint = [&](const std::string& line) {
    const auto file = write(folder, "{\"step\":1,\"name\":\"a\"}\n" + line + "\n");
    const auto message = test::message_of<Error>([&] { read_validations(file); });
    return message.substr(file.string().size());
  };
  EXPECT_EQ(complaint("{\"step\":2}"), ":2.name is missing");
  EXPECT_EQ(complaint("[1]"), ":2: expected an object, got array");
  EXPECT_EQ(complaint("{\"step\":\"2\",\"name\":\"a\"}"), ":2.step: not a value of the expected kind: \"2\"");
  EXPECT_EQ(complaint("{\"step\":2,").substr(0, 13), ":2: not JSON:");
  EXPECT_THROW(read_validations(folder.path() / "none.jsonl"), Error);
}

TEST(NewLines, AreThoseThatAFileHasGained) {
  const test::TempFolder folder;
  NewLines lines(folder.path() / "validation.jsonl");
  std::vector<std::string> seen;
  const auto read = [&] {
    seen.clear();
    lines.read(
        [&](std::string_view line, int number) { seen.push_back(std::to_string(number) + " " + std::string(line)); });
    return seen;
  };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(read(), Texts{});  // no file yet
  std::ofstream file(folder.path() / "validation.jsonl");
  file << "one\ntw" << std::flush;
  EXPECT_EQ(read(), Texts{"1 one"});
  EXPECT_EQ(read(), Texts{});
  file << "o\n\nfour\n" << std::flush;
  EXPECT_EQ(read(), (Texts{"2 two", "3 ", "4 four"}));
  EXPECT_EQ(read(), Texts{});
}

}  // namespace
}  // namespace vlalign::validation_lines_test
