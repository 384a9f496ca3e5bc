#include "vlalign/report/report.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "../support/temp_folder.hpp"
#include "report/report_page.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::report_test {
namespace {

using test::make_metrics;
using test::make_test;
using test::Page;

std::vector<std::byte> noise_png(std::int64_t i) {
  Rng rng({9, static_cast<std::uint64_t>(i)});
  Image image{.width = 64, .height = 64, .rgb = {}};
  for (int byte = 0; byte < 3 * 64 * 64; ++byte) image.rgb.push_back(static_cast<std::uint8_t>(rng.below(256)));
  return encode_png(image);
}

TEST(Report, IsWellFormedAndLoadsNothing) {
  const Page page(report_html({.title = "A run",
                               .subtitle = "of two tests",
                               .tests = {make_test("First", 200), make_test("Second", 40)},
                               .metrics = make_metrics(1000),
                               .facts = {{"Model", "tiny"}}}));
  EXPECT_EQ(page.faults(), std::vector<std::string>{});
  EXPECT_EQ(page.html().find("http://"), std::string::npos);
  EXPECT_EQ(page.html().find("https://"), std::string::npos);
  EXPECT_EQ(page.count("//*[@src or @href]"), 0U);
  EXPECT_EQ(page.count("//link | //iframe | //object | //embed"), 0U);
  for (auto at = page.html().find("url("); at != std::string::npos; at = page.html().find("url(", at + 1)) {
    const auto target = page.html().substr(at + 4, 5);
    EXPECT_TRUE(target == "data:" || target == "${she" || target == "(.*?)") << target;
  }
  EXPECT_EQ(page.texts("//title"), std::vector<std::string>{"A run"});
  EXPECT_EQ(page.count("//canvas[@role='img'][@aria-label]"), 4U);  // a matrix and a map a test
  EXPECT_EQ(page.count("//span[contains(@class, 'thumb')][not(@aria-label)]"), 0U);
  EXPECT_EQ(page.texts("//dl[@class='facts']//dd"), std::vector<std::string>{"tiny"});
}

TEST(Report, ShowsTheFiguresItIsGivenBesideChance) {
  ReportTest test;
  test.name = "Unseen things";
  test.note = "Never seen.";
  test.scores = {.pairs = 142,
                 .captions = 710,
                 .skipped = 3,
                 .image_to_text = {0.6125, 0.75, 0.9, 2.5, 0.6875},
                 .text_to_image = {0.5, 0.625, 0.875, 4.0, 0.575},
                 .image_to_text_chance = {0.0070, 0.0352, 0.0704, 71.5, 0.0206},
                 .text_to_image_chance = {0.0004, 0.0200, 0.0300, 300.0, 0.0003},
                 .alignment = 0.8125,
                 .uniformity = -3.25,
                 .modality_gap = 0.4375,
                 .linear_cka = 0.3125};
  const Page page(report_html({.title = "t", .subtitle = {}, .tests = {test}, .metrics = {}, .facts = {}}));
  const std::string card = "//div[@class='headline']/article";
  EXPECT_EQ(page.texts(card + "/h2"), std::vector<std::string>{"Unseen things"});
  EXPECT_EQ(page.texts(card + "/p[@class='note']"), std::vector<std::string>{"Never seen."});
  EXPECT_EQ(page.texts(card + "/div[@class='big']/data/@value"), std::vector<std::string>{"0.6125"});
  EXPECT_EQ(page.texts(card + "/div[@class='big']"), std::vector<std::string>{"61.3%"});
  EXPECT_EQ(page.texts(card + "/span[@class='chance']"), std::vector<std::string>{"chance 0.7%"});
  EXPECT_EQ(page.texts(card + "//dd/strong"), (std::vector<std::string>{"75.0%", "90.0%"}));

  const auto row = [&](const std::string& name) {
    return page.texts("//tr[th='" + name + "']/td//data | //tr[th='" + name + "']/td/span");
  };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(row("Recall@1"), (Texts{"61.3%", "chance 0.7%", "50.0%", "chance 0.04%"}));
  EXPECT_EQ(row("Recall@5"), (Texts{"75.0%", "chance 3.5%", "62.5%", "chance 2.0%"}));
  EXPECT_EQ(row("Recall@10"), (Texts{"90.0%", "chance 7.0%", "87.5%", "chance 3.0%"}));
  EXPECT_EQ(row("mAP@10"), (Texts{"68.8%", "chance 2.1%", "57.5%", "chance 0.03%"}));
  EXPECT_EQ(row("Median rank"), (Texts{"2.5", "chance 71.5", "4", "chance 300"}));
  EXPECT_EQ(page.texts("//tr[th='Alignment']//data/@value"), Texts{"0.8125"});
  EXPECT_EQ(page.texts("//tr[th='Uniformity']//data/@value"), Texts{"-3.25"});
  EXPECT_EQ(page.texts("//tr[th='Modality gap']//data/@value"), Texts{"0.4375"});
  EXPECT_EQ(page.texts("//tr[th='Linear CKA']//data/@value"), Texts{"0.3125"});
  EXPECT_EQ(page.texts("//div[@class='tables']//p"), Texts{"142 pictures, 710 captions; left out, unreadable: 3"});
  EXPECT_EQ(page.count("//canvas | //figure"), 0U);  // no embeddings, no metrics: nothing is left empty
}

TEST(Report, CannotBeBrokenByACaption) {
  const std::string hostile = "</script><b id='broken'>\"&amp;' <!-- 9";
  auto test = make_test("<i id='broken'>", 10);
  std::fill(test.embeddings.captions.begin(), test.embeddings.captions.end(), hostile);
  const Page page(report_html({.title = "<u id=\"broken\">",
                               .subtitle = hostile,
                               .tests = {test},
                               .metrics = make_metrics(3),
                               .facts = {{hostile, hostile}}}));
  EXPECT_EQ(page.faults(), std::vector<std::string>{});
  EXPECT_EQ(page.count("//*[@id='broken']"), 0U);
  EXPECT_EQ(page.count("//script"), 2U);
  EXPECT_EQ(page.count("//comment()"), 0U);
  EXPECT_EQ(page.texts("//h1"), std::vector<std::string>{"<u id=\"broken\">"});
  EXPECT_EQ(page.texts("//dd[../../@class='facts']"), std::vector<std::string>{hostile});
  for (const auto& caption : page.texts("//p[@class='query']/bdi")) EXPECT_EQ(caption, hostile);
  for (const auto& title : page.texts("//span[contains(@class, 'thumb')]/@title")) EXPECT_EQ(title, hostile);
  const auto map = page.data()["tests"][0]["map"];
  EXPECT_EQ(map.size(), 10U);
  for (const auto& point : map) EXPECT_EQ(point["text"], hostile);
}

TEST(Report, ReplacesWhatIsNotTextAndCutsLongCaptions) {
  auto test = make_test("t", 3);
  test.embeddings.captions = {"bad \xff\xc3 byte", std::string(159, 'x') + "é and more", std::string("null ") + '\0'};
  const Page page(report_html({.title = "t", .subtitle = {}, .tests = {test}, .metrics = {}, .facts = {}}));
  std::set<std::string> texts;
  const auto map = page.data()["tests"][0]["map"];
  for (const auto& point : map) texts.insert(point["text"].get<std::string>());
  EXPECT_EQ(page.faults(), std::vector<std::string>{});
  EXPECT_EQ(texts, (std::set<std::string>{"bad \uFFFD\uFFFD byte", std::string(159, 'x') + "é…",
                                          std::string("null ") + '\0'}));
}

TEST(Report, OfAnUntestedRunSaysSo) {
  const Page page(report_html({.title = "t", .subtitle = {}, .tests = {}, .metrics = {}, .facts = {}}));
  EXPECT_EQ(page.texts("//main/p"), std::vector<std::string>{"This run was not tested: no pairs were held out."});
  EXPECT_EQ(page.count("//section"), 0U);
}

TEST(Report, OfOnePairIsWhole) {
  const Page page(
      report_html({.title = "t", .subtitle = {}, .tests = {make_test("t", 1)}, .metrics = {}, .facts = {}}));
  EXPECT_EQ(page.faults(), std::vector<std::string>{});
  const auto test = page.data()["tests"][0];
  EXPECT_EQ(test["map"].size(), 1U);
  EXPECT_EQ(test["matrix"]["cosines"].size(), 1U);
}

TEST(Report, StaysSmallEvenWithPicturesThatDoNotCompress) {
  const auto html = report_html({.title = "t",
                                 .subtitle = {},
                                 .tests = {make_test("a", 2000, noise_png), make_test("b", 2000, noise_png)},
                                 .metrics = make_metrics(5000),
                                 .facts = {}});
  EXPECT_LT(html.size(), 3'000'000U);
}

TEST(Report, SaysWhatDoesNotFitTogether) {
  const auto complaint = [](const ReportTest& test) {
    return test::message_of<Error>(
        [&] { report_html({.title = "t", .subtitle = {}, .tests = {test}, .metrics = {}, .facts = {}}); });
  };
  auto test = make_test("Held out", 5);
  test.source = nullptr;
  EXPECT_EQ(complaint(test), "[report] test \"Held out\": embeddings without a source of their pictures");
  test = make_test("Held out", 5);
  test.embeddings.captions.pop_back();
  EXPECT_EQ(complaint(test),
            "[report] test \"Held out\": expected 5 records and 5 captions as embeddings, got 5 and 4");
  test = make_test("Held out", 5);
  test.embeddings.image_of_text[4] = 7;
  EXPECT_EQ(complaint(test), "[report] image_of_text: expected rows 0 to 4, got 7");
  auto metrics = make_metrics(4);
  metrics.loss.pop_back();
  EXPECT_EQ(test::message_of<Error>(
                [&] { report_html({.title = "t", .subtitle = {}, .tests = {}, .metrics = metrics, .facts = {}}); }),
            "[report] metrics: 4 steps, but 3 values of \"Loss\"");
}

TEST(Report, ReplacesOnlyAReport) {
  const test::TempFolder folder;
  const ReportInput input{.title = "t", .subtitle = {}, .tests = {}, .metrics = {}, .facts = {}};
  const auto file = folder.path() / "report.html";
  write_report(input, file);
  write_report(input, file);
  const auto page = folder.path() / "index.html";
  std::ofstream(page) << "<!DOCTYPE html><title>mine</title>";
  EXPECT_EQ(test::message_of<Error>([&] { write_report(input, page); }),
            page.string() + ": isn't replaced, since it is not a report: something else made it; choose another name");
  EXPECT_EQ(std::filesystem::file_size(page), 34U);
}

TEST(Report, IsWrittenWholeOrNotAtAll) {
  const test::TempFolder folder;
  const ReportInput input{.title = "t", .subtitle = {}, .tests = {}, .metrics = {}, .facts = {}};
  const auto file = folder.path() / "report.html";
  write_report(input, file);
  std::ifstream stream(file);
  const std::string written{std::istreambuf_iterator<char>(stream), {}};
  EXPECT_EQ(written, report_html(input));
  EXPECT_THROW(write_report(input, folder.path() / "missing" / "report.html"), Error);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

}  // namespace
}  // namespace vlalign::report_test
