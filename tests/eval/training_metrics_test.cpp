#include "vlalign/eval/training_metrics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "../support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace {

std::filesystem::path write(const vlalign::test::TempFolder& folder, const std::string& text) {
  const auto file = folder.path() / "metrics.jsonl";
  std::ofstream(file) << text;
  return file;
}

TEST(TrainingMetrics, AreTheColumnsOfTheFile) {
  const vlalign::test::TempFolder folder;
  const auto metrics = vlalign::read_metrics(write(
      folder,
      R"({"step":1,"epoch":0,"loss":5.5,"lr":0.0001,"logit_scale":14.3,"samples_seen":256,"pairs_per_s":900.5,"accuracy":0.25,"extra":"x"})"
      "\n"
      R"({"step":2,"epoch":0.5,"loss":null,"lr":0.0002,"logit_scale":14.5,"samples_seen":512,"pairs_per_s":910,"accuracy":0.5})"
      "\n"));
  EXPECT_EQ(metrics.step, (std::vector<double>{1, 2}));
  EXPECT_EQ(metrics.epoch, (std::vector<double>{0, 0.5}));
  EXPECT_EQ(metrics.loss[0], 5.5);
  EXPECT_TRUE(std::isnan(metrics.loss[1]));
  EXPECT_EQ(metrics.learning_rate, (std::vector<double>{0.0001, 0.0002}));
  EXPECT_EQ(metrics.logit_scale, (std::vector<double>{14.3, 14.5}));
  EXPECT_EQ(metrics.samples_seen, (std::vector<double>{256, 512}));
  EXPECT_EQ(metrics.pairs_per_s, (std::vector<double>{900.5, 910}));
  EXPECT_EQ(metrics.accuracy, (std::vector<double>{0.25, 0.5}));
}

TEST(TrainingMetrics, AreTheSameHoweverALineIsSpaced) {
  const vlalign::test::TempFolder folder;
  const std::string plain =
      R"({"accuracy":0.0,"epoch":3,"grad_norm":null,"logit_scale":14.285715103149414,"loss":-1.25e-05,"lr":4.9876543210987654e-4,"pairs_per_s":1e3,"samples_seen":123456789012,"skipped":true,"step":9007199254740993})";
  std::string spaced;
  for (const char c : plain) spaced += c == ':' || c == ',' ? std::string{c, ' '} : std::string{c};
  const auto metrics = vlalign::read_metrics(write(folder, plain + "\n" + spaced + "\n"));
  for (const auto* column : {&metrics.step, &metrics.epoch, &metrics.loss, &metrics.accuracy, &metrics.learning_rate,
                             &metrics.logit_scale, &metrics.samples_seen, &metrics.pairs_per_s}) {
    ASSERT_EQ(column->size(), 2U);
    EXPECT_EQ(column->front(), column->back());
  }
  EXPECT_EQ(metrics.loss[0], -1.25e-05);
  EXPECT_EQ(metrics.samples_seen[0], 123456789012.0);
}

TEST(TrainingMetrics, NameTheLineThatIsWrong) {
  const vlalign::test::TempFolder folder;
  const auto complaint = [&](const std::string& second_line) {
    const auto file = write(
        folder, R"({"step":1,"epoch":0,"loss":5,"lr":1,"logit_scale":1,"samples_seen":1,"pairs_per_s":1,"accuracy":0})"
                "\n" +
                    second_line);
    const auto message = vlalign::test::message_of<vlalign::Error>([&] { vlalign::read_metrics(file); });
    return message.substr(file.string().size());
  };
  EXPECT_EQ(complaint("{\"step\": 2, \"epo"), ":2: expected one JSON object a line");
  EXPECT_EQ(complaint("{\"step\": \"2\"}"), ":2: expected a number under \"step\"");
  EXPECT_EQ(complaint("{\"step\": 2}"), ":2: expected a number under \"epoch\"");
  const std::string rest = R"("epoch":0,"loss":5,"lr":1,"logit_scale":1,"samples_seen":1,"pairs_per_s":1,"accuracy":)";
  EXPECT_EQ(complaint("{\"step\":2," + rest + "true}"), ":2: expected a number under \"accuracy\"");
  EXPECT_EQ(complaint("{\"step\":2," + rest + "nan}"), ":2: expected one JSON object a line");
  EXPECT_EQ(complaint("{\"epoch\":2," + rest + "1}"), ":2: expected a number under \"step\"");
  EXPECT_EQ(complaint("{\"step\":2," + rest + "1}}"), ":2: expected one JSON object a line");
  EXPECT_THROW(vlalign::read_metrics(folder.path() / "none.jsonl"), vlalign::Error);
}

}  // namespace
