// What the library has to say, from all its rooms, goes to stderr or to the user, and never to the program's stdout.
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "core/io/files.hpp"
#include "data/tar_of.hpp"
#include "support/captured_log.hpp"
#include "support/colours.hpp"
#include "vlalign/config/model_config.hpp"
#include "vlalign/data/loading/loader.hpp"
#include "vlalign/loss/info_nce.hpp"
#include "vlalign/model/peers/read_config.hpp"

namespace vlalign::warnings_test {
namespace {

namespace fs = std::filesystem;

struct Origin {
  std::string says;
  std::function<void()> happens;
};

class Warnings : public test::Colours {
 protected:
  fs::path file(const std::string& name, const std::string& text) const {
    write_file_atomically(folder_.path() / name, text);
    return folder_.path() / name;
  }

  fs::path shard(bool with_end) const {
    const auto picture = read_file(folder_.path() / "red.png");
    auto tar = test::tar_of({{"0.png", picture}, {"0.txt", "red"}, {"1.png", picture}});
    if (!with_end) tar.resize(tar.size() - 1024);
    return file(with_end ? "a.tar" : "b.tar", tar);
  }

  std::vector<Origin> origins() const {
    return {
        {"the caption is empty", [this] { open_pairs(file("a.tsv", "red.png\tred\nred.png\t \n").string()); }},
        {"has no caption", [this] { open_pairs(shard(true).string()); }},
        {"has no end mark", [this] { open_pairs(shard(false).string()); }},
        {"a record is skipped",
         [this] {
           file("bad.png", "no picture");
           Loader(open_pairs(file("b.tsv", "red.png\tred\nbad.png\tbad\n").string()), model().tokenizer(), 16,
                  {.image_size = 8}, {.batch_size = 2})
               .next();
         }},
        {"no preprocess_cfg",
         [this] {
           read_model_config(
               file("open_clip_config.json", R"({"model_cfg": {"embed_dim": 4, "vision_cfg": {}, "text_cfg": {}}})"));
         }},
        {"there is no batch norm to freeze",
         [this] {
           auto how = options(1);
           how.fine_tuning.freeze_batch_norm = true;
           train(model(), how);
         }},
        {"is not finite",
         [this] {
           const auto nothing_at_first = [steps = 0](const ContrastiveBatch& b) mutable {
             return InfoNCE().forward(b) * (++steps == 1 ? std::numeric_limits<double>::quiet_NaN() : 1.0);
           };
           Trainer(model(), nothing_at_first, options(2)).fit(pairs_);
         }},
    };
  }
};

TEST_F(Warnings, ComeOnStderrAndLeaveStdoutEmpty) {
  for (const auto& [says, happens] : origins()) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    happens();
    const auto out = testing::internal::GetCapturedStdout(), err = testing::internal::GetCapturedStderr();
    EXPECT_EQ(out, "") << says;
    EXPECT_TRUE(err.starts_with("warning: ")) << err;
    EXPECT_NE(err.find(says), std::string::npos) << err;
  }
}

TEST_F(Warnings, ComeToTheUsersHandlerInstead) {
  for (const auto& [says, happens] : origins()) {
    const test::CapturedLog log;
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    happens();
    EXPECT_EQ(testing::internal::GetCapturedStdout() + testing::internal::GetCapturedStderr(), "") << says;
    EXPECT_GE(log.warnings(), 1U) << says;
    EXPECT_NE(log.text().find(says), std::string::npos) << log.text();
  }
}

}  // namespace
}  // namespace vlalign::warnings_test
