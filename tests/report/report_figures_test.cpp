// The pictures and curves of the report, against what they are made from.
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <set>

#include "report/report_page.hpp"
#include "vlalign/eval/retrieval.hpp"

namespace vlalign::report_figures_test {
namespace {

using nlohmann::json;
using test::colour_of;
using test::make_metrics;
using test::make_test;
using test::Page;

std::vector<std::byte> decode_base64(std::string_view text) {
  const std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<std::byte> out;
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text.substr(0, text.find('='))) {
    bits = bits << 6 | static_cast<std::uint32_t>(digits.find(c));
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out.push_back(static_cast<std::byte>(bits >> held & 255U));
  }
  return out;
}

Image contact_sheet(const Page& page) {
  const auto style = page.texts("//style[@id='sheet-style']").at(0);
  const std::string_view prefix = "data:image/png;base64,";
  const auto begin = style.find(prefix) + prefix.size();
  return decode_image(decode_base64(std::string_view(style).substr(begin, style.find(')') - begin)), "sheet");
}

/// The colour in the middle of a thumbnail.
std::array<std::uint8_t, 3> colour_at(const Image& sheet, const json& layout, std::int64_t thumb) {
  const std::int64_t side = layout["side"], columns = layout["columns"];
  const auto x = thumb % columns * side + side / 2, y = thumb / columns * side + side / 2;
  const auto at = static_cast<std::size_t>(3 * (y * sheet.width + x));
  return {sheet.rgb.at(at), sheet.rgb.at(at + 1), sheet.rgb.at(at + 2)};
}

std::int64_t number_in(const std::string& caption) { return std::stoll(caption.substr(caption.find_last_of(' ') + 1)); }

TEST(ReportFigures, PutsTheRightThumbnailBesideEachCaption) {
  const Page page(report_html(
      {.title = "t", .subtitle = {}, .tests = {make_test("a", 300), make_test("b", 700)}, .metrics = {}, .facts = {}}));
  const auto data = page.data();
  const auto sheet = contact_sheet(page);
  for (const auto& test : data["tests"]) {
    for (const auto& point : test["map"]) {
      EXPECT_EQ(colour_at(sheet, data["sheet"], point["thumb"]), colour_of(number_in(point["text"])));
    }
    const auto& matrix = test["matrix"];
    ASSERT_EQ(matrix["pictures"].size(), matrix["captions"].size());
    for (std::size_t i = 0; i < matrix["pictures"].size(); ++i) {
      EXPECT_EQ(colour_at(sheet, data["sheet"], matrix["pictures"][i]), colour_of(number_in(matrix["captions"][i])));
    }
  }
  // Thumbnails of the page itself are found by the position of the sheet behind them.
  const auto styles = page.texts("//span[contains(@class, 'thumb')]/@style");
  const auto titles = page.texts("//span[contains(@class, 'thumb')]/@title");
  ASSERT_EQ(styles.size(), titles.size());
  const double columns = data["sheet"]["columns"], rows = data["sheet"]["rows"];
  for (std::size_t i = 0; i < styles.size(); ++i) {
    double x = 0, y = 0;
    ASSERT_EQ(std::sscanf(styles[i].c_str(), "background-position:%lf%% %lf%%", &x, &y), 2);
    const auto column = std::lround(x / 100 * (columns - 1)), row = std::lround(y / 100 * (rows - 1));
    const auto thumb = row * static_cast<std::int64_t>(columns) + column;
    EXPECT_EQ(colour_at(sheet, data["sheet"], thumb), colour_of(number_in(titles[i])));
  }
}

TEST(ReportFigures, MarksTheRightAnswersAndTheirRanks) {
  const auto test = make_test("t", 60);
  const auto ranks = retrieval_ranks(test.embeddings);
  const Page page(report_html({.title = "t", .subtitle = {}, .tests = {test}, .metrics = {}, .facts = {}}));
  const auto place = [](std::int64_t rank) {
    return rank == 1 ? std::string("first") : "at place " + std::to_string(rank);
  };

  const std::string example = "//article[contains(@class, 'example')]";
  const auto pictures = page.texts(example + "/span/@title");
  ASSERT_EQ(pictures.size(), 6U);
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const auto card = "(" + example + ")[" + std::to_string(i + 1) + "]";
    const auto row = number_in(pictures[i]);
    const auto rank = ranks.image_to_text[static_cast<std::size_t>(row)];
    EXPECT_EQ(page.texts(card + "//span[@class='rank']").at(0), "The right caption comes " + place(rank) + " of 60.");
    const auto right = page.texts(card + "//li[@class='right']/bdi");
    EXPECT_EQ(right, rank <= 5 ? std::vector<std::string>{"✓ " + pictures[i]} : std::vector<std::string>{});
    // The cosines beside the captions are the dot products.
    const auto captions = page.texts(card + "//li/bdi"), cosines = page.texts(card + "//li/span");
    ASSERT_EQ(captions.size(), 5U);
    for (std::size_t k = 0; k < captions.size(); ++k) {
      const auto dot = (test.embeddings.image[row] * test.embeddings.text[number_in(captions[k])]).sum().item<double>();
      EXPECT_NEAR(std::stod(cosines[k]), dot, 0.0051);
    }
    if (rank <= 5) {
      EXPECT_EQ(captions[static_cast<std::size_t>(rank - 1)], right.at(0));
    }
  }

  const auto queries = page.texts("//p[@class='query']/bdi");
  const auto notes = page.texts("//p[@class='query']/span");
  ASSERT_EQ(queries.size(), 5U);
  for (std::size_t i = 0; i < queries.size(); ++i) {
    const auto rank = ranks.text_to_image[static_cast<std::size_t>(number_in(queries[i]))];
    EXPECT_EQ(notes[i], "The right picture comes " + place(rank) + " of 60.");
    const auto ringed =
        page.texts("(//div[@class='strip'])[" + std::to_string(i + 1) + "]/span[@class='thumb right']/@title");
    EXPECT_EQ(ringed, rank <= 6 ? std::vector<std::string>{queries[i]} : std::vector<std::string>{});
  }
}

TEST(ReportFigures, ShowsTheCosinesOfItsMatrix) {
  const auto test = make_test("t", 50);
  const Page page(report_html({.title = "t", .subtitle = {}, .tests = {test}, .metrics = {}, .facts = {}}));
  const auto matrix = page.data()["tests"][0]["matrix"];
  const auto n = matrix["captions"].size();
  ASSERT_EQ(n, 36U);
  std::set<std::int64_t> distinct;
  for (std::size_t r = 0; r < n; ++r) {
    const auto row = number_in(matrix["captions"][r]);
    distinct.insert(row);
    for (std::size_t c = 0; c < n; ++c) {
      const auto dot = (test.embeddings.image[row] * test.embeddings.text[number_in(matrix["captions"][c])]).sum();
      EXPECT_NEAR(matrix["cosines"][r * n + c].get<double>(), dot.item<double>(), 1e-4);
    }
  }
  EXPECT_EQ(distinct.size(), n);
}

TEST(ReportFigures, StandsLikePairsSideBySide) {
  // Pairs along a half circle, mixed, the first in the middle: the matrix has them in the order of the arc.
  auto test = make_test("t", 36);
  auto& e = test.embeddings;
  const auto place = [](std::int64_t i) { return (5 * i + 18) % 36; };
  for (std::int64_t i = 0; i < 36; ++i) {
    for (auto* rows : {&e.image, &e.text}) {
      rows->select(0, i).fill_(0.0);
      (*rows)[i][0] = std::cos(static_cast<double>(place(i)) * 0.08);
      (*rows)[i][1] = std::sin(static_cast<double>(place(i)) * 0.08);
    }
  }
  const Page page(report_html({.title = "t", .subtitle = {}, .tests = {test}, .metrics = {}, .facts = {}}));
  const auto captions = page.data()["tests"][0]["matrix"]["captions"];
  ASSERT_EQ(captions.size(), 36U);
  for (std::size_t i = 1; i < captions.size(); ++i) {
    EXPECT_EQ(std::abs(place(number_in(captions[i])) - place(number_in(captions[i - 1]))), 1);
  }
}

TEST(ReportFigures, DrawsCurvesOfTheMeanLowestAndHighestOfNeighbouringSteps) {
  const Page page(report_html({.title = "t", .subtitle = {}, .tests = {}, .metrics = make_metrics(800), .facts = {}}));
  const auto charts = page.data()["charts"];
  ASSERT_EQ(charts.size(), 2U);  // only the columns that are there
  EXPECT_EQ(page.count("//figure"), 2U);
  EXPECT_EQ(charts[0]["name"], "Loss");
  ASSERT_EQ(charts[0]["lines"].size(), 1U);
  const auto& loss = charts[0]["lines"][0];
  ASSERT_EQ(loss["step"].size(), 400U);
  // steps 1 and 2 have losses 11 and 2
  EXPECT_EQ(loss["step"][0], 2);
  EXPECT_EQ(loss["mean"][0], 6.5);
  EXPECT_EQ(loss["low"][0], 2);
  EXPECT_EQ(loss["high"][0], 11);
  EXPECT_EQ(loss["step"].back(), 800);
}

TEST(ReportFigures, LeavesAGapWhereTheLossWasNotFinite) {
  auto metrics = make_metrics(3);
  metrics.loss[1] = std::numeric_limits<double>::quiet_NaN();
  const Page page(report_html({.title = "t", .subtitle = {}, .tests = {}, .metrics = metrics, .facts = {}}));
  EXPECT_EQ(page.data()["charts"][0]["lines"][0]["mean"], (json{11, nullptr, 13}));
}

TEST(ReportFigures, PutsWhatIsValidatedOnSeveralSetsIntoOneChart) {
  const std::vector<ValidationResult> lines{
      {.step = 10, .name = "near", .seconds = 1, .figures = {{"loss", 3}, {"image_to_text.recall@1", 0.25}}},
      {.step = 10, .name = "far", .seconds = 1, .figures = {{"loss", 4}, {"image_to_text.recall@1", 0.125}}},
      {.step = 10, .name = "classes", .seconds = 1, .figures = {{"images", 5}, {"top1", 0.5}, {"top5", 0.75}}},
      {.step = 20, .name = "near", .seconds = 1, .figures = {{"loss", 2}, {"image_to_text.recall@1", 0.5}}}};
  const Page page(
      report_html({.title = "t", .subtitle = {}, .tests = {}, .metrics = {}, .facts = {}, .validations = lines}));
  EXPECT_EQ(page.faults(), std::vector<std::string>{});
  const auto charts = page.data()["charts"];
  ASSERT_EQ(charts.size(), 4U);
  EXPECT_EQ(page.count("//figure"), 4U);
  EXPECT_EQ(charts[0]["name"], "Loss");
  ASSERT_EQ(charts[0]["lines"].size(), 2U);
  EXPECT_EQ(charts[0]["lines"][0]["name"], "near");
  EXPECT_EQ(charts[0]["lines"][0]["step"], (json{10, 20}));
  EXPECT_EQ(charts[0]["lines"][0]["mean"], (json{3, 2}));
  EXPECT_EQ(charts[0]["lines"][1]["name"], "far");
  EXPECT_EQ(charts[0]["lines"][1]["mean"], (json{4}));
  EXPECT_EQ(charts[1]["lines"][0]["mean"], (json{0.25, 0.5}));
  EXPECT_EQ(charts[1]["percent"], true);
  EXPECT_EQ(charts[2]["name"], "Top-1 accuracy");
  EXPECT_EQ(page.count("//details//figure"), 1U);  // top5
  // A set has one colour in all charts, and without tests its latest figure is the headline.
  EXPECT_EQ(charts[1]["lines"][1]["colour"], charts[0]["lines"][1]["colour"]);
  EXPECT_EQ(page.texts("//div[@class='headline']//h2"), (std::vector<std::string>{"near", "far", "classes"}));
  EXPECT_EQ(page.texts("//div[@class='headline']//data"), (std::vector<std::string>{"50.0%", "12.5%", "50.0%"}));
}

}  // namespace
}  // namespace vlalign::report_figures_test
