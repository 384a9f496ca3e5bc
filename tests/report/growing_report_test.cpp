#include "vlalign/report/growing_report.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>

#include "../support/captured_log.hpp"
#include "../support/temp_folder.hpp"
#include "report/report_page.hpp"

namespace vlalign::growing_report_test {
namespace {

using test::Page;
using Texts = std::vector<std::string>;

void append(const std::filesystem::path& file, const std::string& text) { std::ofstream(file, std::ios::app) << text; }

std::string metrics_line(int step) {
  return fmt::format(
      R"({{"accuracy":0.5,"epoch":0,"grad_norm":1,"logit_scale":14,"loss":{},"lr":0.001,"pairs_per_s":10,"samples_seen":{},"step":{}}})"
      "\n",
      10 - step, 100 * step, step);
}

Page page_in(const std::filesystem::path& run) {
  std::ifstream stream(run / "report.html");
  return Page({std::istreambuf_iterator<char>(stream), {}});
}

ReportInput mine() {
  return {.title = "mine", .subtitle = {}, .tests = {}, .metrics = {}, .facts = {{"Model", "tiny"}}};
}

TEST(GrowingReport, ShowsWhatTheRunHasWrittenSoFar) {
  const test::TempFolder run;
  GrowingReport report(run.path(), mine(), std::chrono::minutes(1));
  append(run.path() / "metrics.jsonl", metrics_line(1));
  report.at_step(1, 8);
  {
    const auto page = page_in(run.path());
    EXPECT_EQ(page.faults(), Texts{});
    EXPECT_EQ(page.texts("//section[@id='progress']//strong"), Texts{"Step 1 of 8"});
    EXPECT_EQ(page.texts("//section[@id='progress']/@data-reload"), Texts{"60"});
    EXPECT_EQ(page.texts("//dl[@class='facts']//dd"), Texts{"tiny"});
    EXPECT_EQ(page.data()["charts"][0]["lines"][0]["mean"], (nlohmann::json{9}));
    EXPECT_EQ(page.count("//main/p"), 0U);  // that nothing was held out isn't known yet
  }
  append(run.path() / "metrics.jsonl", metrics_line(2) + "{\"accuracy\":0.5,\"ep");
  append(run.path() / "validation.jsonl",
         "{\"step\":2,\"name\":\"unseen\",\"image_to_text\":{\"recall@1\":0.25},\"loss\":3}\n");
  report.at_step(2, 8);
  EXPECT_EQ(page_in(run.path()).texts("//section[@id='progress']//strong"), Texts{"Step 1 of 8"});  // not due
  report.hurry();
  report.at_step(2, 8);
  const auto page = page_in(run.path());
  EXPECT_EQ(page.texts("//section[@id='progress']//strong"), Texts{"Step 2 of 8"});
  EXPECT_EQ(page.texts("//div[@class='headline']//data"), Texts{"25.0%"});
  const auto charts = page.data()["charts"];
  EXPECT_EQ(charts[0]["lines"][0]["name"], "unseen");
  EXPECT_EQ(charts[2]["lines"][0]["mean"], (nlohmann::json{9, 8}));
  // 200 pairs at 10 a second, so 6 steps more take 60 seconds
  EXPECT_NE(page.texts("//section[@id='progress']/p")[0].find("25% · about 60 s left"), std::string::npos);
}

TEST(GrowingReport, OfAResumedRunBeginsWithWhatItHad) {
  const test::TempFolder run;
  for (int step = 1; step <= 5; ++step) append(run.path() / "metrics.jsonl", metrics_line(step));
  GrowingReport report(run.path(), mine());
  report.at_step(5, 8);
  EXPECT_EQ(page_in(run.path()).data()["charts"][0]["lines"][0]["mean"], (nlohmann::json{9, 8, 7, 6, 5}));
}

TEST(GrowingReport, OfAStoppedRunSaysSoAndReloadsNoMore) {
  const test::TempFolder run;
  append(run.path() / "metrics.jsonl", metrics_line(1));
  GrowingReport report(run.path(), mine());
  report.at_step(1, 8);
  append(run.path() / "metrics.jsonl", metrics_line(2));
  report.at_step(2, 8);
  report.stopped();
  const auto page = page_in(run.path());
  EXPECT_EQ(page.texts("//section[@id='progress']//strong"), Texts{"Stopped behind step 2 of 8"});
  EXPECT_EQ(page.texts("//section[@id='progress']/@data-reload"), Texts{"0"});
}

TEST(GrowingReport, ThatCannotBeWrittenCostsOneWarning) {
  const test::TempFolder run;
  append(run.path() / "report.html", "mine");
  const test::CapturedLog log;
  GrowingReport report(run.path(), mine(), std::chrono::seconds(0));
  report.at_step(1, 8);
  report.at_step(2, 8);
  ASSERT_EQ(log.messages().size(), 1U);
  EXPECT_NE(log.messages()[0].text.find("report.html: isn't replaced"), std::string::npos);
}

TEST(GrowingReport, IsFollowedByTheRunsLast) {
  const test::TempFolder run;
  GrowingReport report(run.path(), mine());
  report.at_step(1, 8);
  write_report(mine(), run.path() / "report.html");
  EXPECT_EQ(page_in(run.path()).count("//section[@id='progress']"), 0U);
}

}  // namespace
}  // namespace vlalign::growing_report_test
