#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/io/files.hpp"
#include "support/colours.hpp"

namespace vlalign::norms_run_test {
namespace {

using nlohmann::json;
using test::TempFolder;

class NormsOfARun : public test::Colours {
 protected:
  static std::vector<json> lines_of(const std::filesystem::path& file) {
    std::istringstream text(read_file(file));
    std::vector<json> lines;
    for (std::string line; std::getline(text, line);) lines.push_back(json::parse(line));
    return lines;
  }
  TrainSummary run(const std::filesystem::path& out, std::int64_t every, std::int64_t stop_at = 0,
                   bool resume = false) {
    auto how = options(12);
    how.out = out;
    how.norms_every = every;
    how.resume = resume;
    how.grad_clip = 0.1;
    Trainer trainer(model(), InfoNCE(), how);
    trainer.on_step([&](const StepResult& r) {
      if (r.step == stop_at) trainer.stop();
    });
    return trainer.fit(pairs_);
  }
};

TEST_F(NormsOfARun, AddUpToTheGradientsNormBeforeItIsClipped) {
  const TempFolder folder;
  run(folder.path() / "run", 3);
  const auto norms = lines_of(folder.path() / "run/norms.jsonl"),
             metrics = lines_of(folder.path() / "run/metrics.jsonl");
  ASSERT_EQ(norms.size(), 4U);
  for (std::size_t i = 0; i < norms.size(); ++i) {
    EXPECT_EQ(norms[i]["step"], 3 * (i + 1));
    double squares = 0;
    for (const auto& [name, group] : norms[i]["groups"].items()) {
      squares += std::pow(group["gradient"].get<double>(), 2);
      EXPECT_EQ(group["update"] == 0.0, metrics[3 * i + 2]["lr"] == 0.0) << name;
    }
    const double whole = metrics[3 * i + 2]["grad_norm"];
    EXPECT_NEAR(std::sqrt(squares), whole, 1e-5 * whole);
  }
}

TEST_F(NormsOfARun, ChangeNoBitOfItAndAreThereOnceAfterAResume) {
  const TempFolder folder;
  run(folder.path() / "plain", 0);
  run(folder.path() / "measured", 2);
  run(folder.path() / "resumed", 2, 5);
  run(folder.path() / "resumed", 2, 0, /*resume=*/true);
  const auto weights = [&](const char* name) {
    return read_file(folder.path() / name / "model/open_clip_model.safetensors");
  };
  EXPECT_EQ(weights("plain"), weights("measured"));
  EXPECT_EQ(weights("plain"), weights("resumed"));
  EXPECT_FALSE(is_there(folder.path() / "plain/norms.jsonl"));
  EXPECT_EQ(read_file(folder.path() / "measured/norms.jsonl"), read_file(folder.path() / "resumed/norms.jsonl"));
}

}  // namespace
}  // namespace vlalign::norms_run_test
