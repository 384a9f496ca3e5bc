#include "vlalign/eval/report.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <libxml/HTMLparser.h>
#include <libxml/xpath.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "../support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/random.hpp"
#include "vlalign/data/image.hpp"

namespace {

using nlohmann::json;
using vlalign::Image;
using vlalign::ReportInput;
using vlalign::ReportTest;

/// Picture i of a test is one flat colour that no other picture has.
std::array<std::uint8_t, 3> colour_of(std::int64_t i) {
  return {static_cast<std::uint8_t>(7 * i % 256), static_cast<std::uint8_t>(i % 256),
          static_cast<std::uint8_t>(i / 256)};
}

std::vector<std::byte> flat_png(std::int64_t i) {
  Image image{.width = 90, .height = 70, .rgb = {}};
  for (int pixel = 0; pixel < 90 * 70; ++pixel) {
    for (const auto channel : colour_of(i)) image.rgb.push_back(channel);
  }
  return vlalign::encode_png(image);
}

std::vector<std::byte> noise_png(std::int64_t i) {
  vlalign::Rng rng({9, static_cast<std::uint64_t>(i)});
  Image image{.width = 64, .height = 64, .rgb = {}};
  for (int byte = 0; byte < 3 * 64 * 64; ++byte) image.rgb.push_back(static_cast<std::uint8_t>(rng.below(256)));
  return vlalign::encode_png(image);
}

class FakePairs : public vlalign::PairSource {
 public:
  FakePairs(std::vector<std::string> texts, std::function<std::vector<std::byte>(std::int64_t)> picture)
      : texts_(std::move(texts)), picture_(std::move(picture)) {}
  std::int64_t size() const override { return std::ssize(texts_); }
  std::string name(std::int64_t i) const override { return "picture-" + std::to_string(i); }
  std::vector<std::string> captions(std::int64_t i) const override { return {texts_[static_cast<std::size_t>(i)]}; }
  vlalign::Pair read(std::int64_t i) const override { return {name(i), captions(i), picture_(i)}; }

 private:
  std::vector<std::string> texts_;
  std::function<std::vector<std::byte>(std::int64_t)> picture_;
};

at::Tensor random_unit_rows(std::int64_t n, std::int64_t d, std::uint64_t seed) {
  vlalign::Rng rng({seed});
  auto x = at::zeros({n, d}, at::kFloat);
  for (std::int64_t i = 0; i < n * d; ++i) x.mutable_data_ptr<float>()[i] = static_cast<float>(rng.uniform(-1.0, 1.0));
  return x / x.norm(2, 1, true);
}

/// A test of n pairs whose embeddings agree somewhat.
ReportTest make_test(std::string name, std::int64_t n,
                     std::function<std::vector<std::byte>(std::int64_t)> picture = flat_png) {
  ReportTest test;
  test.name = std::move(name);
  auto& e = test.embeddings;
  for (std::int64_t i = 0; i < n; ++i) {
    e.captions.push_back("caption " + std::to_string(i));
    e.names.push_back("picture-" + std::to_string(i));
    e.records.push_back(i);
    e.image_of_text.push_back(i);
  }
  const auto text = random_unit_rows(n, 12, 1);
  const auto image = text + 0.7 * random_unit_rows(n, 12, 2);
  e.text = text;
  e.image = image / image.norm(2, 1, true);
  test.source = std::make_shared<FakePairs>(e.captions, std::move(picture));
  test.scores = vlalign::evaluate_retrieval(e);
  return test;
}

vlalign::TrainingMetrics make_metrics(std::size_t steps) {
  vlalign::TrainingMetrics metrics;
  for (std::size_t i = 1; i <= steps; ++i) {
    metrics.step.push_back(static_cast<double>(i));
    metrics.loss.push_back(static_cast<double>(i % 2 == 0 ? i : i + 10));
    metrics.accuracy.push_back(0.5);
  }
  return metrics;
}

/// The page as libxml2's HTML parser reads it.
class Page {
 public:
  explicit Page(const std::string& html) : html_(html) {
    auto* context = htmlNewParserCtxt();
    xmlSetStructuredErrorFunc(&faults_, [](void* faults, auto* error) {
      // libxml2 knows the elements of HTML 4 only.
      if (error->code != XML_HTML_UNKNOWN_TAG)
        static_cast<std::vector<std::string>*>(faults)->push_back(error->message);
    });
    document_ =
        htmlCtxtReadMemory(context, html.data(), static_cast<int>(html.size()), nullptr, "UTF-8", HTML_PARSE_NONET);
    xmlSetStructuredErrorFunc(nullptr, nullptr);
    htmlFreeParserCtxt(context);
  }
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;
  ~Page() { xmlFreeDoc(document_); }

  const std::vector<std::string>& faults() const { return faults_; }
  const std::string& html() const { return html_; }

  /// The text of every node that an XPath expression finds.
  std::vector<std::string> texts(const std::string& xpath) const {
    auto* context = xmlXPathNewContext(document_);
    auto* found = xmlXPathEvalExpression(reinterpret_cast<const xmlChar*>(xpath.c_str()), context);
    std::vector<std::string> out;
    for (int i = 0; found != nullptr && found->nodesetval != nullptr && i < found->nodesetval->nodeNr; ++i) {
      auto* content = xmlNodeGetContent(found->nodesetval->nodeTab[i]);
      out.emplace_back(reinterpret_cast<const char*>(content));
      xmlFree(content);
    }
    xmlXPathFreeObject(found);
    xmlXPathFreeContext(context);
    return out;
  }

  std::size_t count(const std::string& xpath) const { return texts(xpath).size(); }

  json data() const { return json::parse(texts("//script[@id='data']").at(0)); }

 private:
  std::string html_;
  std::vector<std::string> faults_;
  xmlDoc* document_ = nullptr;
};

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
  return vlalign::decode_image(decode_base64(std::string_view(style).substr(begin, style.find(')') - begin)), "sheet");
}

/// The colour in the middle of a thumbnail.
std::array<std::uint8_t, 3> colour_at(const Image& sheet, const json& layout, std::int64_t thumb) {
  const std::int64_t side = layout["side"], columns = layout["columns"];
  const auto x = thumb % columns * side + side / 2, y = thumb / columns * side + side / 2;
  const auto at = static_cast<std::size_t>(3 * (y * sheet.width + x));
  return {sheet.rgb.at(at), sheet.rgb.at(at + 1), sheet.rgb.at(at + 2)};
}

std::int64_t number_in(const std::string& caption) { return std::stoll(caption.substr(caption.find_last_of(' ') + 1)); }

TEST(Report, IsWellFormedAndLoadsNothing) {
  const Page page(vlalign::report_html({.title = "A run",
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
  const Page page(vlalign::report_html({.title = "t", .subtitle = {}, .tests = {test}, .metrics = {}, .facts = {}}));
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
  const Page page(vlalign::report_html({.title = "<u id=\"broken\">",
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
  const Page page(vlalign::report_html({.title = "t", .subtitle = {}, .tests = {test}, .metrics = {}, .facts = {}}));
  std::set<std::string> texts;
  const auto map = page.data()["tests"][0]["map"];
  for (const auto& point : map) texts.insert(point["text"].get<std::string>());
  EXPECT_EQ(page.faults(), std::vector<std::string>{});
  EXPECT_EQ(texts, (std::set<std::string>{"bad \uFFFD\uFFFD byte", std::string(159, 'x') + "é…",
                                          std::string("null ") + '\0'}));
}

TEST(Report, PutsTheRightThumbnailBesideEachCaption) {
  const Page page(vlalign::report_html(
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

TEST(Report, MarksTheRightAnswersAndTheirRanks) {
  const auto test = make_test("t", 60);
  const auto ranks = vlalign::retrieval_ranks(test.embeddings);
  const Page page(vlalign::report_html({.title = "t", .subtitle = {}, .tests = {test}, .metrics = {}, .facts = {}}));
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

TEST(Report, ShowsTheCosinesOfItsMatrix) {
  const auto test = make_test("t", 50);
  const Page page(vlalign::report_html({.title = "t", .subtitle = {}, .tests = {test}, .metrics = {}, .facts = {}}));
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

TEST(Report, StandsLikePairsSideBySide) {
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
  const Page page(vlalign::report_html({.title = "t", .subtitle = {}, .tests = {test}, .metrics = {}, .facts = {}}));
  const auto captions = page.data()["tests"][0]["matrix"]["captions"];
  ASSERT_EQ(captions.size(), 36U);
  for (std::size_t i = 1; i < captions.size(); ++i) {
    EXPECT_EQ(std::abs(place(number_in(captions[i])) - place(number_in(captions[i - 1]))), 1);
  }
}

TEST(Report, DrawsCurvesOfTheMeanLowestAndHighestOfNeighbouringSteps) {
  const Page page(
      vlalign::report_html({.title = "t", .subtitle = {}, .tests = {}, .metrics = make_metrics(800), .facts = {}}));
  const auto curves = page.data()["curves"];
  ASSERT_EQ(curves.size(), 2U);  // only the columns that are there
  EXPECT_EQ(page.count("//figure"), 2U);
  const auto& loss = curves[0];
  EXPECT_EQ(loss["name"], "Loss");
  ASSERT_EQ(loss["step"].size(), 400U);
  // steps 1 and 2 have losses 11 and 2
  EXPECT_EQ(loss["step"][0], 2);
  EXPECT_EQ(loss["mean"][0], 6.5);
  EXPECT_EQ(loss["low"][0], 2);
  EXPECT_EQ(loss["high"][0], 11);
  EXPECT_EQ(loss["step"].back(), 800);
}

TEST(Report, LeavesAGapWhereTheLossWasNotFinite) {
  auto metrics = make_metrics(3);
  metrics.loss[1] = std::numeric_limits<double>::quiet_NaN();
  const Page page(vlalign::report_html({.title = "t", .subtitle = {}, .tests = {}, .metrics = metrics, .facts = {}}));
  EXPECT_EQ(page.data()["curves"][0]["mean"], (json{11, nullptr, 13}));
}

TEST(Report, OfAnUntestedRunSaysSo) {
  const Page page(vlalign::report_html({.title = "t", .subtitle = {}, .tests = {}, .metrics = {}, .facts = {}}));
  EXPECT_EQ(page.texts("//main/p"), std::vector<std::string>{"This run was not tested: no pairs were held out."});
  EXPECT_EQ(page.count("//section"), 0U);
}

TEST(Report, OfOnePairIsWhole) {
  const Page page(
      vlalign::report_html({.title = "t", .subtitle = {}, .tests = {make_test("t", 1)}, .metrics = {}, .facts = {}}));
  EXPECT_EQ(page.faults(), std::vector<std::string>{});
  const auto test = page.data()["tests"][0];
  EXPECT_EQ(test["map"].size(), 1U);
  EXPECT_EQ(test["matrix"]["cosines"].size(), 1U);
}

TEST(Report, StaysSmallEvenWithPicturesThatDoNotCompress) {
  const auto html = vlalign::report_html({.title = "t",
                                          .subtitle = {},
                                          .tests = {make_test("a", 2000, noise_png), make_test("b", 2000, noise_png)},
                                          .metrics = make_metrics(5000),
                                          .facts = {}});
  EXPECT_LT(html.size(), 3'000'000U);
}

TEST(Report, SaysWhatDoesNotFitTogether) {
  const auto complaint = [](const ReportTest& test) {
    return vlalign::test::message_of<vlalign::Error>(
        [&] { vlalign::report_html({.title = "t", .subtitle = {}, .tests = {test}, .metrics = {}, .facts = {}}); });
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
  EXPECT_EQ(vlalign::test::message_of<vlalign::Error>([&] {
              vlalign::report_html({.title = "t", .subtitle = {}, .tests = {}, .metrics = metrics, .facts = {}});
            }),
            "[report] metrics: 4 steps, but 3 values of \"Loss\"");
}

TEST(Report, IsWrittenWholeOrNotAtAll) {
  const vlalign::test::TempFolder folder;
  const ReportInput input{.title = "t", .subtitle = {}, .tests = {}, .metrics = {}, .facts = {}};
  const auto file = folder.path() / "report.html";
  vlalign::write_report(input, file);
  std::ifstream stream(file);
  const std::string written{std::istreambuf_iterator<char>(stream), {}};
  EXPECT_EQ(written, vlalign::report_html(input));
  EXPECT_THROW(vlalign::write_report(input, folder.path() / "missing" / "report.html"), vlalign::Error);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

}  // namespace
