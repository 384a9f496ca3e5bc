#include "vlalign/report/comparison.hpp"

#include <ATen/ops/tensor.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <fstream>

#include "../support/temp_folder.hpp"
#include "report/report_page.hpp"
#include "report/run_record.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/eval/test_outcome.hpp"

namespace vlalign::comparison_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::Page;
using Texts = std::vector<std::string>;

void write(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }

/// A run of ten steps of 100 pairs, a second each where it is fast.
fs::path make_run(const fs::path& folder, json settings = {}, double seconds = 1) {
  fs::create_directories(folder);
  json config{{"steps", 10}, {"batch_size", 100}, {"lr", 0.001}, {"model", {{"name", "tiny"}, {"width", 64}}}};
  if (!settings.is_null()) config.merge_patch(settings);
  write(folder / "config.json", config.dump());
  std::string lines;
  for (int step = 1; step <= 10; ++step)
    lines += json{{"step", step}, {"epoch", 0},        {"loss", 10 - step},          {"accuracy", 0.5},
                  {"lr", 0.001},  {"logit_scale", 14}, {"samples_seen", 100 * step}, {"pairs_per_s", 100 / seconds}}
                 .dump() +
             "\n";
  write(folder / "metrics.jsonl", lines);
  return folder;
}

struct Evaluation {
  RetrievalScores scores;
  TestOutcome outcome;
};

/// Of a test of 200 pairs, the better the nearer `noise` is to 0.
Evaluation evaluation(double noise, std::uint64_t seed) {
  auto test = test::make_test("t", 200);
  const auto image = test.embeddings.text + noise * test::random_unit_rows(200, 12, seed);
  test.embeddings.image = image / image.norm(2, 1, true);
  const auto scores = evaluate_retrieval(test.embeddings);
  return {scores, outcome_of("unseen", scores, test.embeddings)};
}

void finish(const fs::path& run, const Evaluation& evaluation) {
  fs::create_directories(run / "model");
  write(run / "eval.json", to_json(evaluation.scores));
  write_outcomes(run / "eval.safetensors", std::vector<TestOutcome>{evaluation.outcome});
}

/// The texts of a run's row in the n-th plot of intervals.
Texts row(const Page& page, int plot, const std::string& run) {
  return page.texts(fmt::format("(//ul[@class='intervals'])[{}]/li[span='{}']/span", plot, run));
}

TEST(Comparison, TellsWhichDifferencesAreMoreThanChance) {
  const test::TempFolder folder;
  const auto base = make_run(folder.path() / "base"), good = make_run(folder.path() / "good"),
             same = make_run(folder.path() / "same");
  const auto of_base = evaluation(1.0, 5), of_good = evaluation(0.6, 6), of_same = evaluation(1.0, 7);
  finish(base, of_base);
  finish(good, of_good);
  finish(same, of_same);
  const Page page(comparison_html({good, base, same}, base));
  EXPECT_EQ(page.faults(), Texts{});
  EXPECT_EQ(page.texts("//h3"), Texts{"unseen"});
  EXPECT_EQ(page.texts("//span[@class='tag']/../strong"), Texts{"base"});
  EXPECT_EQ(row(page, 1, "base").back(), "baseline");
  int plot = 0;
  for (const auto* key : {"image_to_text.recall@1", "text_to_image.recall@1"}) {
    ++plot;
    const auto better = compare_outcomes(of_good.outcome, of_base.outcome, {.resamples = 10'000}).at(key);
    ASSERT_LT(better.p_value, 0.05);
    EXPECT_EQ(row(page, plot, "good").back(),
              fmt::format("{:+.1f} points ({:+.1f} to {:+.1f}): better (p\u00a0=\u00a0{:.1g})", 100 * better.difference,
                          100 * better.interval.low, 100 * better.interval.high, better.p_value));
    const auto chance = compare_outcomes(of_same.outcome, of_base.outcome, {.resamples = 10'000}).at(key);
    ASSERT_GT(chance.p_value, 0.05);
    EXPECT_NE(row(page, plot, "same").back().find("no more than chance"), std::string::npos);
  }
  const auto& scores = of_good.scores;
  EXPECT_EQ(row(page, 1, "good")[2], fmt::format("{:.1f}% {:.1f}% to {:.1f}%", 100 * scores.image_to_text.recall_at_1,
                                                 100 * scores.image_to_text_interval95.recall_at_1.low,
                                                 100 * scores.image_to_text_interval95.recall_at_1.high));
  EXPECT_EQ(page.texts("//tr[th='Alignment']/td/data/@value").size(), 3U);
}

TEST(Comparison, PairsNothingThatDoesNotBelongTogether) {
  const test::TempFolder folder;
  const auto base = make_run(folder.path() / "base"), old = make_run(folder.path() / "old"),
             other = make_run(folder.path() / "other"), stale = make_run(folder.path() / "stale");
  finish(base, evaluation(1.0, 5));
  finish(old, evaluation(0.2, 6));
  fs::remove(old / "eval.safetensors");
  auto of_other = evaluation(1.0, 7);
  of_other.outcome.test = "of other pairs";
  finish(other, of_other);
  finish(stale, evaluation(1.0, 8));
  write(stale / "eval.json", to_json(evaluation(0.9, 9).scores));
  const Page page(comparison_html({base, old, other, stale}));
  const auto ending = [&](const std::string& run) {
    const auto text = row(page, 1, run).back();
    return text.substr(text.find(": ") + 2);
  };
  EXPECT_EQ(ending("old"), "not paired; the intervals lie apart");
  EXPECT_EQ(ending("other"), "not paired; the intervals overlap");
  EXPECT_EQ(
      page.texts("//ul[@class='note missing'][not(ancestor::li)]/li"),
      (Texts{"old: eval.safetensors doesn't tell of each query in both runs", "other: the tests hold different pairs",
             "stale: eval.safetensors is not of the evaluation in eval.json"}));
}

TEST(Comparison, ListsTheSettingsThatDiffer) {
  const test::TempFolder folder;
  const auto one = make_run(folder.path() / "one", {{"identity", {{"captions", "0123456789abcdef"}}}});
  const auto two = make_run(folder.path() / "two", {{"lr", 0.002}, {"model", {{"width", 128}}}, {"loss", "siglip"}});
  const Page page(comparison_html({one, two}));
  const auto of = [&](const std::string& key) { return page.texts("//tr[th='" + key + "']/td"); };
  EXPECT_EQ(page.texts("//h2[.='Settings that differ']/..//tbody//th"),
            (Texts{"loss", "lr", "model.width", "identity.captions"}));
  EXPECT_EQ(of("lr"), (Texts{"0.001", "0.002"}));
  EXPECT_EQ(of("model.width"), (Texts{"64", "128"}));
  EXPECT_EQ(of("loss"), (Texts{"—", "siglip"}));
  EXPECT_EQ(of("identity.captions"), (Texts{"0123456789…", "—"}));
  const Page equal(comparison_html({make_run(folder.path() / "a"), make_run(folder.path() / "b")}));
  EXPECT_EQ(equal.texts("//section/p[@class='card']"), Texts{"All settings of these runs are the same."});
}

TEST(Comparison, DrawsAllRunsOverStepsTimeAndPairs) {
  const test::TempFolder folder;
  const auto fast = make_run(folder.path() / "fast"), slow = make_run(folder.path() / "slow", {}, 4);
  write(slow / "validation.jsonl", "{\"step\":5,\"name\":\"unseen\",\"loss\":2,\"pairs\":7,\"modality_gap\":1}\n");
  const Page page(comparison_html({fast, slow}));
  const auto data = page.data();
  const auto& charts = data["charts"];
  EXPECT_EQ(charts[0]["name"], "Training loss");
  ASSERT_EQ(charts[0]["lines"].size(), 2U);
  EXPECT_EQ(charts[0]["lines"][1]["name"], "slow");
  EXPECT_EQ(charts[0]["lines"][1]["mean"], (json{9, 8, 7, 6, 5, 4, 3, 2, 1, 0}));
  EXPECT_EQ(charts[1]["name"], "unseen: Loss");
  ASSERT_EQ(charts[1]["lines"].size(), 1U);
  EXPECT_EQ(charts[1]["lines"][0]["colour"], 1);  // the run's, also where another has no such line
  EXPECT_EQ(data["runs"][0]["seconds"], (json{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
  EXPECT_EQ(data["runs"][1]["seconds"], (json{0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40}));
  EXPECT_EQ(data["runs"][1]["pairs"][10], 1000);
  EXPECT_EQ(page.count("//figure"), charts.size());
  EXPECT_EQ(page.texts("//input[@name='over']/@value"), (Texts{"steps", "seconds", "pairs"}));
  for (const auto& chart : charts) EXPECT_EQ(chart["name"].get<std::string>().find("pairs"), std::string::npos);
}

TEST(Comparison, ShowsRunsWithWhatTheyHave) {
  const test::TempFolder folder;
  const auto begun = folder.path() / "begun", broken = make_run(folder.path() / "broken"),
             done = make_run(folder.path() / "done");
  make_run(begun);
  fs::remove(begun / "metrics.jsonl");
  write(broken / "metrics.jsonl", "{\"step\":1}\n");
  write(broken / "eval.json", "[");
  finish(done, evaluation(1.0, 5));
  const auto lock = ::open(broken.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_EQ(::flock(lock, LOCK_EX | LOCK_NB), 0);  // as one that trains
  const Page page(comparison_html({begun, broken, done}));
  ::close(lock);
  EXPECT_EQ(page.texts("//ul[@class='runs']//p"),
            (Texts{"ended behind step 0 of 10", "running, step 0 of 10", "done, 10 steps"}));
  const auto missing = page.texts("//ul[@class='runs']//ul/li");
  ASSERT_EQ(missing.size(), 9U);
  EXPECT_EQ(missing[0], "metrics.jsonl isn't there");
  EXPECT_EQ(missing[4], (broken / "metrics.jsonl").string() + ":1: expected a number under \"epoch\"");
  EXPECT_EQ(missing[8], "validation.jsonl isn't there");
  EXPECT_EQ(page.texts("//ul[@class='intervals']/following-sibling::p"),
            Texts(2, "Without this figure: begun, broken"));
}

TEST(Comparison, CannotBeBrokenByWhatFilesHold) {
  const test::TempFolder folder;
  const std::string hostile = "</script><b id='broken'>&amp; <!-- 9";
  const auto run = make_run(folder.path() / "<b id='broken'>", {{"data", hostile}, {hostile, 5}});
  auto scores = evaluation(1.0, 5);
  scores.outcome.name = hostile;
  finish(run, scores);
  write(run / "validation.jsonl", json{{"step", 1}, {"name", hostile}, {hostile, 2}}.dump() + "\n");
  const Page page(comparison_html({run, make_run(folder.path() / "two")}));
  EXPECT_EQ(page.faults(), Texts{});
  EXPECT_EQ(page.count("//*[@id='broken']"), 0U);
  EXPECT_EQ(page.count("//script"), 2U);
  EXPECT_EQ(page.count("//comment()"), 0U);
  EXPECT_EQ(page.texts("//h3"), Texts{hostile});
  EXPECT_EQ(page.data()["charts"][1]["name"], hostile + ": " + hostile);
  EXPECT_EQ(page.html().find("https://"), std::string::npos);
}

TEST(Comparison, NamesRunsByWhatTellsThemApart) {
  EXPECT_EQ(names_of({"/a/x/run/", "/a/y/run", "/a/other"}), (Texts{"x/run", "y/run", "other"}));
  EXPECT_EQ(names_of({"/one/x/run", "/two/x/run"}), (Texts{"one/x/run", "two/x/run"}));
  EXPECT_EQ(names_of({"/run", "/a/run"}), (Texts{"run", "a/run"}));
}

TEST(Comparison, RefusesWhatIsNoRun) {
  const test::TempFolder folder;
  const auto run = make_run(folder.path() / "run");
  const auto complaint = [](const std::vector<fs::path>& runs) {
    return test::message_of<Error>([&] { comparison_html(runs); });
  };
  const auto none = folder.path() / "none", model = folder.path() / "model";
  EXPECT_EQ(complaint({run, none}), none.string() + ": is no run folder: there is no such folder");
  fs::create_directories(model);
  EXPECT_EQ(complaint({model}), model.string() + ": is no run folder: it has no config.json");
  write(model / "config.json", "{\"model_type\":\"clip\"}");
  EXPECT_EQ(complaint({model}), model.string() + ": is no run folder: its config.json holds no steps and batch_size");
  EXPECT_EQ(complaint({}), "[comparison] runs: expected at least one run folder");
  EXPECT_EQ(complaint({run, folder.path() / "." / "run"}),
            (folder.path() / "." / "run").string() + ": the run is named twice");
}

TEST(Comparison, ReplacesOnlyAReport) {
  const test::TempFolder folder;
  const auto run = make_run(folder.path() / "run");
  const auto page = folder.path() / "page.html", mine = folder.path() / "mine.html";
  write_comparison({run}, page);
  write_comparison({run}, page);
  EXPECT_GT(fs::file_size(page), 1000U);
  write(mine, "mine");
  EXPECT_EQ(test::message_of<Error>([&] { write_comparison({run}, mine); }),
            mine.string() + ": isn't replaced, since it is not a report: something else made it; choose another name");
}

}  // namespace
}  // namespace vlalign::comparison_test
