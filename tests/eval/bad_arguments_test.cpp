// Every measure with arguments that are none: an Error that names the argument, nothing else and no figure.
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "../support/rows.hpp"
#include "../support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/eval/bootstrap.hpp"
#include "vlalign/eval/calibration.hpp"
#include "vlalign/eval/hubness.hpp"
#include "vlalign/eval/linear_probe.hpp"
#include "vlalign/eval/retrieval.hpp"
#include "vlalign/eval/search.hpp"
#include "vlalign/eval/space.hpp"
#include "vlalign/eval/test_outcome.hpp"
#include "vlalign/eval/training_metrics.hpp"
#include "vlalign/eval/validation_result.hpp"
#include "vlalign/eval/zero_shot.hpp"
#include "vlalign/report/report.hpp"

namespace vlalign::bad_arguments_test {
namespace {

using test::unit_rows;
using Ids = std::vector<std::int64_t>;
using Values = std::vector<double>;

constexpr auto nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
constexpr auto most = std::numeric_limits<std::int64_t>::max(), least = std::numeric_limits<std::int64_t>::min();

struct Call {
  std::string named;  // how the message begins
  std::function<void()> make;
};

void expect_named(const std::vector<Call>& calls) {
  for (std::size_t i = 0; i < calls.size(); ++i) {
    SCOPED_TRACE("call " + std::to_string(i) + ": " + calls[i].named);
    try {
      calls[i].make();
      ADD_FAILURE() << "was taken";
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find(calls[i].named), 0U) << error.what();
    } catch (const std::exception& error) {
      ADD_FAILURE() << "threw no Error, but " << std::string(error.what()).substr(0, 200);
    }
  }
}

Embeddings embeddings(const at::Tensor& image, const at::Tensor& text, const Ids& image_of_text) {
  Embeddings e;
  e.image = image;
  e.text = text;
  e.image_of_text = image_of_text;
  return e;
}

ImageIndex index_of(const at::Tensor& image, const std::vector<std::filesystem::path>& paths = {"a", "b", "c", "d"}) {
  return {paths, image, {}};
}

/// Rows that no measure takes.
std::vector<at::Tensor> no_rows() {
  auto with_nan = unit_rows(4, 3), with_infinity = unit_rows(4, 3);
  with_nan[2][1] = nan;
  with_infinity[3][0] = infinity;
  return {{},
          at::zeros({}),
          at::ones({3}),
          at::ones({2, 3, 4}),
          at::zeros({0, 3}),
          at::zeros({3, 0}),
          at::ones({4, 3}, at::kLong),
          at::ones({4, 3}, at::kComplexFloat),
          with_nan,
          with_infinity};
}

TEST(EvalArguments, RowsThatAreNoneAreNamed) {
  const auto good = unit_rows(4, 3);
  const Ids labels{0, 1, 2, 0};
  std::vector<Call> calls;
  for (const auto& bad : no_rows()) {
    const auto image = embeddings(bad, good, {0, 1, 2, 3}), text = embeddings(good, bad, {0, 1, 2, 3});
    const auto index = index_of(bad), good_index = index_of(good);
    calls.insert(calls.end(), {
                                  {"[alignment] x: ", [=] { alignment(bad, good); }},
                                  {"[alignment] y: ", [=] { alignment(good, bad); }},
                                  {"[uniformity] x: ", [=] { uniformity(bad); }},
                                  {"[modality_gap] x: ", [=] { modality_gap(bad, good); }},
                                  {"[modality_gap] y: ", [=] { modality_gap(good, bad); }},
                                  {"[linear_cka] x: ", [=] { linear_cka(bad, good); }},
                                  {"[linear_cka] y: ", [=] { linear_cka(good, bad); }},
                                  {"[effective_rank] x: ", [=] { effective_rank(bad); }},
                                  {"[k_occurrences] queries: ", [=] { k_occurrences(bad, good); }},
                                  {"[k_occurrences] candidates: ", [=] { k_occurrences(good, bad); }},
                                  {"[retrieval_ranks] image: ", [=] { retrieval_ranks(image); }},
                                  {"[retrieval_ranks] text: ", [=] { retrieval_ranks(text); }},
                                  {"[retrieval_ranks] image: ", [=] { evaluate_retrieval(image); }},
                                  {"[average_prompts] prompts: ", [=] { average_prompts(bad, 1); }},
                                  {"[score_classes] image: ", [=] { score_classes(bad, good, labels, 10); }},
                                  {"[score_classes] classes: ", [=] { score_classes(good, bad, labels, 10); }},
                                  {"[fit_linear_probe] features: ", [=] { fit_linear_probe(bad, labels, 3); }},
                                  {"[search] index.image: ", [=] { best_matches(index, good[0]); }},
                              });
    if (!bad.defined() || bad.sizes() != at::IntArrayRef{3})  // which is a text's row
      calls.push_back({"[search] text: ", [=] { best_matches(good_index, bad); }});
  }
  expect_named(calls);
}

TEST(EvalArguments, RowsThatDoNotGoTogetherAreNamed) {
  const auto x = unit_rows(4, 3), narrow = unit_rows(4, 2), short_by_one = unit_rows(3, 3), elsewhere = x.to(at::kMeta);
  const Ids labels{0, 1, 2, 0};
  const auto index = index_of(x);
  expect_named({
      {"[alignment] y: ", [=] { alignment(x, narrow); }},
      {"[alignment] y: ", [=] { alignment(x, short_by_one); }},
      {"[modality_gap] y: ", [=] { modality_gap(x, narrow); }},
      {"[linear_cka] y: ", [=] { linear_cka(x, short_by_one); }},
      {"[k_occurrences] candidates: ", [=] { k_occurrences(x, narrow); }},
      {"[score_classes] classes: ", [=] { score_classes(x, narrow, labels, 1); }},
      {"[search] text: ", [=] { best_matches(index, narrow[0]); }},
      {"[search] text: ", [=] { best_matches(index, short_by_one); }},
      {"[search] index.paths: ", [=] { best_matches(index_of(x, {"a"}), x[0]); }},
      {"[retrieval_ranks] text: ", [=] { retrieval_ranks(embeddings(x, narrow, labels)); }},
      {"[retrieval_ranks] image_of_text: ", [=] { retrieval_ranks(embeddings(x, x, labels)); }},
      {"[retrieval_ranks] image_of_text: ", [=] { retrieval_ranks(embeddings(x, x, {})); }},
      {"[retrieval_ranks] image_of_text: ",
       [=] {
         retrieval_ranks(embeddings(x, x, {0, 1, 2, most}));
       }},
      {"[retrieval_ranks] image_of_text: ",
       [=] {
         retrieval_ranks(embeddings(x, x, {0, 1, 2, least}));
       }},
  });
}

TEST(EvalArguments, NumbersOutOfRangeAreNamed) {
  const auto x = unit_rows(4, 3);
  const Ids labels{0, 1, 2, 0};
  const auto e = embeddings(x, x, {0, 1, 2, 3});
  const auto index = index_of(x);
  std::vector<Call> calls;
  for (const auto number : {std::int64_t{0}, std::int64_t{-1}, least}) {
    calls.insert(calls.end(), {
                                  {"[k_occurrences] k: ", [=] { k_occurrences(x, x, number); }},
                                  {"[k_occurrences] block: ", [=] { k_occurrences(x, x, 1, number); }},
                                  {"[retrieval_ranks] block: ", [=] { retrieval_ranks(e, number); }},
                                  {"[search] k: ", [=] { best_matches(index, x[0], number); }},
                                  {"[average_prompts] prompts: ", [=] { average_prompts(x, number); }},
                                  {"[bootstrap_interval] resamples: ",
                                   [=] {
                                     bootstrap_interval(Values{1, 2}, {.resamples = number});
                                   }},
                                  {"[fit_linear_probe] classes: ", [=] { fit_linear_probe(x, labels, number); }},
                                  {"[fit_linear_probe] max_iterations: ",
                                   [=] { fit_linear_probe(x, labels, 3, {.max_iterations = number}); }},
                              });
  }
  for (const auto number : {nan, infinity, -infinity, 0.0, -1.0}) {
    calls.insert(calls.end(), {
                                  {"[score_classes] logit_scale: ", [=] { score_classes(x, x, labels, number); }},
                                  {"[fit_linear_probe] c: ", [=] { fit_linear_probe(x, labels, 3, {.c = number}); }},
                                  {"[bootstrap_interval] confidence: ",
                                   [=] {
                                     bootstrap_interval(Values{1, 2}, {.confidence = number});
                                   }},
                              });
  }
  calls.insert(
      calls.end(),
      {
          {"[bootstrap_interval] resamples: ",
           [] {
             bootstrap_interval(Values{1, 2}, {.resamples = std::int64_t{1} << 62});
           }},
          {"[bootstrap_interval] confidence: ",
           [] {
             bootstrap_interval(Values{1, 2}, {.confidence = 1});
           }},
          {"[fit_linear_probe] classes: ", [=] { fit_linear_probe(x, labels, std::int64_t{1} << 40); }},
          {"[fit_linear_probe] classes: ", [=] { fit_linear_probe(x, labels, most); }},
          {"[fit_linear_probe] max_iterations: ", [=] { fit_linear_probe(x, labels, 3, {.max_iterations = most}); }},
      });
  expect_named(calls);
}

TEST(EvalArguments, NumbersThatAreOnlyLargeAreTaken) {
  const auto x = unit_rows(4, 3);
  EXPECT_EQ(k_occurrences(x, x, most), (Ids{4, 4, 4, 4}));
  EXPECT_EQ(k_occurrences(x, x, 1, most), (Ids{1, 1, 1, 1}));
  EXPECT_EQ(best_matches(index_of(x), x[2], most).size(), 4U);
  EXPECT_EQ(retrieval_ranks(embeddings(x, x, {0, 1, 2, 3}), most).text_to_image, Ids(4, 1));
}

TEST(EvalArguments, ListsThatDoNotFitAreNamed) {
  const auto x = unit_rows(4, 3);
  const auto fit = [&](const Ids& labels) { fit_linear_probe(x, labels, 3); };
  const auto score = [&](const Ids& labels) { score_classes(x, x, labels, 1); };
  const auto predict = [&](const at::Tensor& features) { fit_linear_probe(x, Ids{0, 1, 2, 0}, 3).predict(features); };
  const auto bootstrap = [](const Values& values, const Ids& groups) { bootstrap_interval(values, groups); };
  expect_named({
      {"[fit_linear_probe] labels: ",
       [&] {
         fit({0, 1});
       }},
      {"[fit_linear_probe] labels: ",
       [&] {
         fit({0, 1, 2, 3});
       }},
      {"[fit_linear_probe] labels: ",
       [&] {
         fit({0, 1, 2, -1});
       }},
      {"[LinearProbe] features: ", [&] { predict({}); }},
      {"[LinearProbe] features: ", [&] { predict(x.narrow(1, 0, 2)); }},
      {"[LinearProbe] features: ", [&] { predict(x[0]); }},
      {"[LinearProbe] weight, bias: ", [&] { LinearProbe().predict(x); }},
      {"[score_classes] labels: ", [&] { score({}); }},
      {"[score_classes] labels: ",
       [&] {
         score({0, 1, 2, 4});
       }},
      {"[score_classes] labels: ",
       [&] {
         score({0, 1, 2, least});
       }},
      {"[bootstrap_interval] values: ", [&] { bootstrap({}, {}); }},
      {"[bootstrap_interval] values: ",
       [&] {
         bootstrap({1, nan}, {0, 0});
       }},
      {"[bootstrap_interval] values: ",
       [&] {
         bootstrap({1, -infinity}, {0, 0});
       }},
      {"[bootstrap_interval] values: ",
       [&] {
         bootstrap({1e308, 1e308}, {0, 0});
       }},
      {"[bootstrap_interval] values: ",
       [&] {
         bootstrap_interval(Values{1e308, 1e308, 1e308});
       }},
      {"[bootstrap_interval] groups: ",
       [&] {
         bootstrap({1, 2}, {0});
       }},
      {"[bootstrap_interval] groups: ",
       [&] {
         bootstrap({1, 2}, {0, -1});
       }},
      {"[recall_scores] ranks: ", [] { recall_scores(Ids{}); }},
      {"[recall_scores] ranks: ",
       [] {
         recall_scores(Ids{1, 0});
       }},
      {"[recall_scores] ranks: ", [] { recall_scores(Ids{least}); }},
      {"[recall_scores] precisions: ",
       [] {
         recall_scores(Ids{1, 2}, Values{1});
       }},
      {"[recall_scores] precisions: ", [] { recall_scores(Ids{1}, Values{nan}); }},
      {"[recall_scores] precisions: ", [] { recall_scores(Ids{1}, Values{1.5}); }},
      {"[chance_scores] positives: ", [] { chance_scores({}, 4); }},
      {"[chance_scores] positives: ",
       [] {
         chance_scores(Ids{1, 5}, 4);
       }},
      {"[chance_scores] positives: ", [] { chance_scores(Ids{0}, 4); }},
      {"[chance_scores] positives: ", [] { chance_scores(Ids{1}, 0); }},
      {"[chance_scores] positives: ", [] { chance_scores(Ids{1}, least); }},
      {"[hubness] occurrences: ", [] { hubness({}); }},
      {"[hubness] occurrences: ",
       [] {
         hubness(Ids{1, -1});
       }},
      {"[calibration_error] predictions: ", [] { calibration_error({}); }},
      {"[calibration_error] predictions: ",
       [] {
         calibration_error(std::vector<Prediction>{{nan, true}});
       }},
      {"[calibration_error] predictions: ",
       [] {
         calibration_error(std::vector<Prediction>{{1.1, true}});
       }},
      {"[calibration_error] predictions: ",
       [] {
         calibration_error(std::vector<Prediction>{{-0.1, true}});
       }},
      {"template ", [] { class_prompts("cat", std::vector<std::string>{"a photo"}); }},
  });
}

/// The numbers of groups say nothing of how many there are.
TEST(EvalArguments, GroupsMayHaveAnyNumbers) {
  const Values values{0, 1, 1, 0.5};
  const auto few = bootstrap_interval(values, Ids{0, 0, 1, 2}), far = bootstrap_interval(values, Ids{7, 7, most, 1});
  EXPECT_EQ(few.low, far.low);
  EXPECT_EQ(few.high, far.high);
}

TEST(EvalArguments, ManyRightOnesAmongManyCostNoTime) {
  // Half of 2^41 are right: a random one is with probability 1/2, and one of five with 31/32.
  const auto scores = chance_scores(Ids{std::int64_t{1} << 40}, std::int64_t{1} << 41);
  EXPECT_NEAR(scores.recall_at_1, 0.5, 1e-9);
  EXPECT_NEAR(scores.recall_at_5, 31.0 / 32.0, 1e-9);
  EXPECT_NEAR(scores.map_at_10, (5 + 0.5 * 2.9289682539682538) / 20, 1e-9);  // 0.5 sum_r (1 + (r - 1) / 2) / r
}

TEST(EvalArguments, RowsTooLongForASumAreNoFigure) {
  const auto x = at::full({3, 2}, 1e300, at::kDouble) * unit_rows(3, 2), y = unit_rows(3, 2) * 1e200;
  expect_named({{"[alignment] ", [&] { alignment(x, y); }},
                {"[uniformity] ", [&] { uniformity(y); }},
                {"[modality_gap] ", [&] { modality_gap(x, y); }},
                {"[linear_cka] ", [&] { linear_cka(x, y); }}});
}

TEST(EvalArguments, OnePairIsMeasured) {
  const auto x = unit_rows(1, 3);
  const auto scores = evaluate_retrieval(embeddings(x, x, {0}));
  EXPECT_EQ(scores.image_to_text.recall_at_1, 1);
  EXPECT_EQ(scores.text_to_image.median_rank, 1);
  EXPECT_EQ(scores.uniformity, 0);
  EXPECT_EQ(scores.linear_cka, 0);
  EXPECT_EQ(scores.image_to_text_chance.recall_at_1, 1);
}

/// A file that can't be read, whatever is wrong with its place.
std::vector<std::filesystem::path> unreadable(const std::filesystem::path& folder) {
  std::filesystem::create_symlink("loop", folder / "loop");
  std::ofstream(folder / "file") << "text";
  return {folder / "absent",
          folder,
          folder / "loop",
          folder / "file" / "below",
          folder / std::string(300, 'n'),
          folder / std::string(5000, 'n'),
          {}};
}

TEST(EvalArguments, FilesThatCannotBeReadAreNamed) {
  const test::TempFolder folder;
  const auto paths = unreadable(folder.path());
  using Read = std::function<void(const std::filesystem::path&)>;
  for (const Read& read :
       {Read([](const auto& path) { read_metrics(path); }), Read([](const auto& path) { read_validations(path); }),
        Read([](const auto& path) { read_outcomes(path); })}) {
    for (const auto& path : paths) {
      try {
        read(path);
        ADD_FAILURE() << path;
      } catch (const Error& error) {
        EXPECT_EQ(std::string(error.what()).find(path.string()), 0U) << error.what();
      }
    }
  }
}

TEST(EvalArguments, LinesOfMetricsThatAreNoneAreNamed) {
  const test::TempFolder folder;
  const auto file = folder.path() / "metrics.jsonl";
  const std::string good = R"({"step": 1, "epoch": 0, "loss": 2.5, "accuracy": 0.5, "lr": 0.1, "logit_scale": 14.3,)"
                           R"( "samples_seen": 8, "pairs_per_s": 100})";
  const std::vector<std::string> bad{"",
                                     "null",
                                     "[]",
                                     "1",
                                     "{}",
                                     "nonsense",
                                     R"({"step": "1"})",
                                     "{\"step\": 1",
                                     "\xff",
                                     std::string(1, '\0'),
                                     std::string(100'000, '['),
                                     R"({"step": 1e999})",
                                     good.substr(0, good.size() - 1),
                                     good + "}",
                                     good + good,
                                     R"({"step": [1]})",
                                     R"({"step": true})"};
  for (const auto& line : bad) {
    std::ofstream(file) << good << "\n" << line << "\n" << good << "\n";
    try {
      read_metrics(file);
      ADD_FAILURE() << line.substr(0, 100);
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find(file.string() + ":2: "), 0U) << error.what();
    } catch (const std::exception& error) {
      ADD_FAILURE() << "threw no Error, but " << error.what();
    }
  }
  std::ofstream(file) << good << "\n";
  EXPECT_EQ(read_metrics(file).loss, Values{2.5});
}

/// A source of one picture, a white one.
class OnePicture : public PairSource {
 public:
  std::int64_t size() const override { return 1; }
  std::string name(std::int64_t) const override { return "white"; }
  std::vector<std::string> captions(std::int64_t) const override { return {"white"}; }
  Pair read(std::int64_t index) const override {
    if (index != 0) throw std::out_of_range("no such picture");
    return {"white", {"white"}, encode_png({8, 8, std::vector<std::uint8_t>(192, 255)})};
  }
};

TEST(EvalArguments, ReportsOfWhatIsNotThereAreRefused) {
  const test::TempFolder folder;
  const auto x = unit_rows(1, 3);
  const auto report_of = [&](const std::function<void(ReportTest&)>& change) {
    ReportTest test{.name = "t",
                    .note = {},
                    .scores = {},
                    .embeddings = embeddings(x, x, {0}),
                    .source = std::make_shared<OnePicture>()};
    test.embeddings.records = {0};
    test.embeddings.captions = {"white"};
    change(test);
    return report_html({.title = "r", .subtitle = {}, .tests = {test}, .metrics = {}, .facts = {}});
  };
  EXPECT_NO_THROW(report_of([](auto&) {}));
  expect_named({
      {"[report] test \"t\": ", [&] { report_of([](auto& t) { t.source = nullptr; }); }},
      {"[report] test \"t\": record 1 ", [&] { report_of([](auto& t) { t.embeddings.records = {1}; }); }},
      {"[report] test \"t\": record -1 ", [&] { report_of([](auto& t) { t.embeddings.records = {-1}; }); }},
      {"[report] test \"t\": ", [&] { report_of([](auto& t) { t.embeddings.records = {}; }); }},
      {"[report] test \"t\": ", [&] { report_of([](auto& t) { t.embeddings.captions = {}; }); }},
      {"[report] test \"t\": ", [&] { report_of([](auto& t) { t.embeddings.text.reset(); }); }},
      {"[report] image_of_text: ", [&] { report_of([](auto& t) { t.embeddings.image_of_text = {3}; }); }},
  });
  const ReportInput empty{.title = "\xff", .subtitle = {}, .tests = {}, .metrics = {}, .facts = {}};
  std::filesystem::create_symlink("loop", folder.path() / "loop");
  for (const auto& place :
       {folder.path() / "absent" / "r.html", folder.path() / "loop" / "r.html", folder.path() / std::string(300, 'n')})
    EXPECT_THROW(write_report(empty, place), Error) << place;
}

}  // namespace
}  // namespace vlalign::bad_arguments_test
