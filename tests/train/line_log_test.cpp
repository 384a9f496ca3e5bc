// Lines of a run, and a disk that is full for a while.
#include "train/line_log.hpp"

#include <gtest/gtest.h>

#include <optional>

#include "core/io/files.hpp"
#include "support/captured_log.hpp"
#include "support/file_size_limit.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::line_log_test {
namespace {

using test::CapturedLog;
using test::FileSizeLimit;
using test::message_of;
using test::TempFolder;

TEST(LineLog, LosesNothingAtAFullDisk) {
  const TempFolder folder;
  const auto file = folder.path() / "metrics.jsonl";
  const CapturedLog told;
  LineLog log(file, "{\"step\":1}\n");
  std::string all = "{\"step\":1}\n";
  const auto append = [&](int step) {
    const auto line = "{\"step\":" + std::to_string(step) + ",\"text\":\"" + std::string(100, 'x') + "\"}";
    log.append(line);
    all += line + "\n";
  };
  append(2);
  {
    const FileSizeLimit full(200);
    for (int step = 3; step < 10; ++step) append(step);
    EXPECT_EQ(read_file(file), all.substr(0, 200));
    EXPECT_NE(message_of<Error>([&] { log.check_written(); }).find("metrics.jsonl: cannot write: "), std::string::npos);
  }
  append(10);
  EXPECT_EQ(read_file(file), all);
  EXPECT_NO_THROW(log.check_written());
  EXPECT_EQ(told.count("is the disk full?"), 1);
  EXPECT_EQ(told.count("there is room again"), 1);
}

TEST(LinesUpTo, EndWithTheStep) {
  const TempFolder folder;
  const auto file = folder.path() / "lines.jsonl";
  EXPECT_EQ(lines_up_to(file, 5, true), "");
  const std::string twice = "{\"step\":1}\n{\"step\":1}\n{\"step\":3}\n{\"step\":3}\n", cut = twice + "{\"step\":";
  write_file_atomically(file, cut);
  EXPECT_EQ(lines_up_to(file, 3, false), twice);
  EXPECT_EQ(lines_up_to(file, 2, false), twice.substr(0, twice.find("{\"step\":3}")));
  EXPECT_EQ(message_of<Error>([&] { lines_up_to(file, 3, true); }),
            file.string() + ":2.step: expected more than 1, the line before, got 1");
}

}  // namespace
}  // namespace vlalign::line_log_test
