#include "core/log.hpp"

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/captured_log.hpp"

namespace vlalign::log_test {
namespace {

struct Output {
  std::string out, err;
};

/// What goes to the process's own stdout and stderr meanwhile.
template <typename Call>
Output output_of(const Call& call) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  call();
  std::fflush(nullptr);
  return {testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
}

TEST(Log, GoesToStderrUnlessTheUserTakesIt) {
  const auto [out, err] = output_of([] {
    log_warning("{} of {} are odd", 2, 5);
    log_info("resized");
  });
  EXPECT_EQ(out, "");
  EXPECT_EQ(err, "warning: 2 of 5 are odd\ninfo: resized\n");
}

TEST(Log, GoesToTheUsersHandlerAlone) {
  const test::CapturedLog log;
  const auto [out, err] = output_of([] {
    log_warning("{} of {} are odd", 2, 5);
    log_info("resized");
  });
  EXPECT_EQ(out + err, "");
  ASSERT_EQ(log.messages().size(), 2U);
  EXPECT_EQ(log.messages()[0].level, LogLevel::warning);
  EXPECT_EQ(log.messages()[0].text, "2 of 5 are odd");
  EXPECT_EQ(log.messages()[1].level, LogLevel::info);
}

TEST(Log, AnEmptyHandlerGivesItBackToStderr) {
  { const test::CapturedLog log; }
  EXPECT_EQ(output_of([] { log_warning("again"); }).err, "warning: again\n");
}

TEST(Log, AHandlersExceptionStopsNothingAndTheMessageIsSeen) {
  set_log_handler([](LogLevel, std::string_view) { throw std::runtime_error("the handler is broken"); });
  const auto [out, err] = output_of([] { EXPECT_NO_THROW(log_warning("a record is skipped")); });
  set_log_handler({});
  EXPECT_EQ(err, "warning: a record is skipped\n");
  EXPECT_EQ(out, "");
}

TEST(Log, AHandlerMayLogAndGiveWayToAnother) {
  int outer = 0, inner = 0;
  set_log_handler([&](LogLevel, std::string_view) {
    ++outer;
    set_log_handler([&](LogLevel, std::string_view) { ++inner; });
    log_warning("from within");
  });
  log_warning("first");
  set_log_handler({});
  EXPECT_EQ(outer, 1);
  EXPECT_EQ(inner, 1);
}

TEST(Log, LeavesTheProgramsOwnLoggerAlone) {
  std::ostringstream programs;
  const auto before = spdlog::default_logger();
  const auto logger =
      std::make_shared<spdlog::logger>("program", std::make_shared<spdlog::sinks::ostream_sink_mt>(programs));
  spdlog::set_default_logger(logger);
  logger->set_level(spdlog::level::off);
  const auto [out, err] = output_of([] { log_warning("heard all the same"); });
  spdlog::set_default_logger(before);
  EXPECT_EQ(programs.str(), "");
  EXPECT_EQ(err, "warning: heard all the same\n");
}

TEST(Log, LosesNoMessageOfManyThreadsWhileHandlersChange) {
  constexpr int threads = 4, messages = 2000;
  std::atomic<int> first = 0, second = 0;
  const auto count = [](std::atomic<int>& in) { return [&in](LogLevel, std::string_view) { ++in; }; };
  set_log_handler(count(first));
  std::vector<std::thread> talkers;
  for (int i = 0; i < threads; ++i) {
    talkers.emplace_back([] {
      for (int j = 0; j < messages; ++j) log_warning("{}", j);
    });
  }
  for (int i = 0; i < messages; ++i) set_log_handler(count(i % 2 == 0 ? second : first));
  for (auto& talker : talkers) talker.join();
  set_log_handler({});
  EXPECT_EQ(first + second, threads * messages);
}

}  // namespace
}  // namespace vlalign::log_test
