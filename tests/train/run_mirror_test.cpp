#include "train/run_mirror.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "remote/remote_options.hpp"
#include "support/captured_log.hpp"
#include "support/colours.hpp"
#include "support/file_size_limit.hpp"
#include "support/s3_server.hpp"
#include "train/mirrored_run.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::run_mirror_test {
namespace {

namespace fs = std::filesystem;
using test::CapturedLog;
using test::Colours;
using test::FileSizeLimit;
using test::HttpCall;
using test::message_of;
using test::S3Account;
using test::S3Server;
using test::TempFolder;

constexpr auto latest = "run/checkpoints/latest";

void put(const fs::path& file, const std::string& text) {
  fs::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

/// Fails when it takes a minute.
void wait_until(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!holds() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ASSERT_TRUE(holds());
}

/// Calls that wait until it is opened.
class Barrier {
 public:
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    opened_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    ++came_;
    opened_.wait_for(lock, std::chrono::minutes(1), [this] { return open_; });
  }
  bool has_come() {
    const std::lock_guard lock(mutex_);
    return came_ > 0;
  }

 private:
  std::mutex mutex_;
  std::condition_variable opened_;
  bool open_ = false;
  int came_ = 0;
};

bool is_put(const HttpCall& call, const std::string& part) {
  return call.method == "PUT" && call.path().find(part) != std::string::npos;
}

/// A run of 6 steps with checkpoints at 2, 4 and 6, and a bucket of its own.
class MirroredColours : public Colours {
 protected:
  static constexpr std::array variables{
      "AWS_ENDPOINT_URL_S3",   "AWS_ENDPOINT_URL",  "AWS_REGION",  "AWS_DEFAULT_REGION",  "AWS_ACCESS_KEY_ID",
      "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_NO_SIGN_REQUEST", "AWS_SECURITY_TOKEN"};

  void SetUp() override {
    Colours::SetUp();
    for (const char* name : variables) ::unsetenv(name);
    ::setenv("no_proxy", "*", 1);
    ::setenv("AWS_CONFIG_FILE", "/nowhere", 1);
    ::setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere", 1);
    ::setenv("AWS_ENDPOINT_URL", server_.server().url().c_str(), 1);
    ::setenv("AWS_ACCESS_KEY_ID", "AKIDTEST", 1);
    ::setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    set_remote_options({.timeout_s = 30, .attempts = 3, .first_wait_s = 0.01});
    how_ = options(6);
    how_.checkpoints.every = 2;
    how_.out = runs_.path() / "run";
    how_.mirror = "s3://bkt/run/";
  }
  void TearDown() override {
    for (const char* name : variables) ::unsetenv(name);
    set_remote_options({});
  }

  std::string at(const std::string& key) const {
    const auto all = server_.objects();
    const auto found = all.find(key);
    return found == all.end() ? "" : found->second;
  }
  void wait_for(const std::string& checkpoint) const {
    wait_until([&] { return at(latest) == checkpoint + "\n"; });
  }

  void train_with(const DualEncoder& trained, const TrainerOptions& how,
                  const std::function<void(std::int64_t)>& behind_step) const {
    Trainer trainer(trained, InfoNCE(), how);
    trainer.on_step([&](const StepResult& r) { behind_step(r.step); });
    trainer.fit(pairs_);
  }

  /// Trains to step 5 and then is lost; checkpoint 4 is up.
  void lose_machine() const {
    const auto lost = [&] {
      train_with(model(), how_, [&](std::int64_t step) {
        if (step != 5) return;
        wait_for("step-00000004");
        throw std::runtime_error("pulled the plug");
      });
    };
    EXPECT_THROW(lost(), std::runtime_error);
  }

  /// All of the run folder is there, but for a checkpoint that another overtook.
  void expect_mirrored(const fs::path& run) const {
    const auto objects = server_.objects();
    std::size_t files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(run)) {
      if (entry.is_directory()) continue;
      const auto key = "run/" + entry.path().lexically_relative(run).string();
      const bool overtaken = key.find("step-") != key.npos && key.find("step-00000006") == key.npos;
      if (overtaken && !objects.contains(key)) continue;
      ASSERT_TRUE(objects.contains(key)) << key;
      EXPECT_EQ(objects.at(key), read_file(entry.path())) << key;
      ++files;
    }
    EXPECT_GT(files, 10U);
  }

  Barrier barrier_;  // these two outlive the server's threads
  std::atomic<bool> refuses_ = false;
  S3Server server_{S3Account{.access_key = "AKIDTEST", .secret_key = "secret", .session_token = {}}};
  TempFolder runs_;
  TrainerOptions how_;
  CapturedLog log_;
};

TEST_F(MirroredColours, NameACheckpointWhenAllOfItIsThere) {
  how_.ema_decay = 0.9;
  std::vector<std::string> metrics;
  train_with(model(), how_, [&](std::int64_t step) {
    if (step % 2 == 0) return;
    if (step > 1) wait_for("step-0000000" + std::to_string(step - 1));
    if (step > 1) metrics.push_back(at("run/metrics.jsonl"));
  });
  expect_mirrored(how_.out);
  EXPECT_TRUE(fs::exists(how_.out / "model-ema"));
  ASSERT_EQ(metrics.size(), 2U);
  EXPECT_GE(std::count(metrics[1].begin(), metrics[1].end(), '\n'), 4);

  std::map<std::string, int> came;  // files of each checkpoint
  std::vector<std::string> named;
  for (const auto& call : server_.server().calls()) {
    if (call.method != "PUT") continue;
    const auto path = call.path();
    const auto step = path.find("step-");
    if (step != path.npos) ++came[path.substr(step, 13)];
    if (path != std::string("/bkt/") + latest) continue;
    named.push_back(call.body.substr(0, 13));
    const auto folder = how_.out / "checkpoints" / named.back();
    EXPECT_EQ(came[named.back()], std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
  }
  EXPECT_EQ(named, (std::vector<std::string>{"step-00000002", "step-00000004", "step-00000006"}));
  EXPECT_EQ(log_.warnings(), 0U) << log_.text();
  EXPECT_EQ(read_file(how_.out / "config.json").find("s3://"), std::string::npos);  // it decides no bits
}

TEST_F(MirroredColours, GoOnInAnEmptyFolderToTheSameBits) {
  const auto whole = model();
  auto alone = how_;
  alone.out = runs_.path() / "alone";
  alone.mirror = "";
  train(whole, alone);
  lose_machine();

  how_.out = runs_.path() / "another machine's";
  how_.resume = true;
  const auto resumed = model(99);
  int steps = 0;
  train_with(resumed, how_, [&](std::int64_t) { ++steps; });
  EXPECT_EQ(steps, 2);
  expect_equal_bits(whole, resumed);
  EXPECT_EQ(metrics(how_.out).size(), 6U);
  EXPECT_EQ(std::distance(fs::directory_iterator(how_.out), fs::directory_iterator()), 6);  // of events two
  expect_mirrored(how_.out);

  // A run that is over is fetched too.
  how_.out = runs_.path() / "a third's";
  fs::create_directory(how_.out);
  train(model(98), how_);
  EXPECT_EQ(read_file(how_.out / "model" / "open_clip_model.safetensors"), at("run/model/open_clip_model.safetensors"));
  EXPECT_EQ(log_.warnings(), 0U) << log_.text();
}

TEST_F(MirroredColours, HoldValidationsTheRecipeAndTheBestCheckpoint) {
  const auto calls = std::make_shared<int>(0);
  how_.validations = {{.name = "mine", .measure = [calls](const DualEncoder&, const EmbedOptions&) {
                         return Figures{{"figure", -++*calls}};  // best at first
                       }}};
  how_.validation = {.every = 2, .best = "mine.figure"};
  how_.recipe = "{}\n";
  lose_machine();
  EXPECT_EQ(at("run/checkpoints/best"), "step-00000002\n");
  EXPECT_NE(at("run/checkpoints/step-00000002/trainer.json"), "");

  how_.out = runs_.path() / "another machine's";
  how_.resume = true;
  train(model(99), how_);
  std::istringstream lines(read_file(how_.out / "validation.jsonl"));
  std::vector<std::int64_t> steps;
  for (std::string line; std::getline(lines, line);) steps.push_back(nlohmann::json::parse(line).at("step"));
  EXPECT_EQ(steps, (std::vector<std::int64_t>{2, 4, 6}));
  EXPECT_EQ(read_file(how_.out / "recipe.json"), "{}\n");
  EXPECT_EQ(read_file(how_.out / "checkpoints" / "best"), "step-00000002\n");
  EXPECT_TRUE(fs::exists(how_.out / "checkpoints" / "step-00000002" / "trainer.json"));
  EXPECT_EQ(at("run/checkpoints/best"), "step-00000002\n");
  expect_mirrored(how_.out);
}

TEST_F(MirroredColours, BeginWithResumeWhereNothingIs) {
  how_.resume = true;
  train(model(), how_);
  expect_mirrored(how_.out);
}

TEST_F(MirroredColours, KeepNamingTheLastWholeCheckpointWhenTheServerFails) {
  server_.set_gate([&](const HttpCall& call) {
    if (is_put(call, "step-00000004/trainer.safetensors")) refuses_ = true;
    return !refuses_ || call.method != "PUT";
  });
  train_with(model(), how_, [&](std::int64_t step) {
    if (step == 3) wait_for("step-00000002");
    if (step != 5) return;
    wait_until([&] { return log_.count("the mirror isn't up to date") == 1; });
    EXPECT_EQ(at(latest), "step-00000002\n");
    EXPECT_EQ(log_.count("AccessDenied"), 1);
    server_.set_gate({});
  });
  EXPECT_EQ(at(latest), "step-00000006\n");
  EXPECT_EQ(log_.count("is up to date again"), 1);
  expect_mirrored(how_.out);
}

TEST_F(MirroredColours, EndInAnErrorWhenTheLastStateIsNotUp) {
  train_with(model(), how_, [](std::int64_t) {});  // what is expected of a second bucket's
  const auto expected = read_file(how_.out / "model" / "open_clip_model.safetensors");

  how_.out = runs_.path() / "other";
  how_.mirror = "s3://bkt/other";
  server_.set_gate([](const HttpCall& call) { return !is_put(call, "step-00000006"); });
  const auto message = message_of<Error>([&] {
    train_with(model(), how_, [&](std::int64_t step) {
      if (step == 5) wait_until([&] { return at("other/checkpoints/latest") == "step-00000004\n"; });
    });
  });
  EXPECT_EQ(message.find("s3://bkt/other: the mirror isn't whole: s3://bkt/other/checkpoints/step-00000006/"), 0U)
      << message;
  EXPECT_NE(message.find("AccessDenied"), std::string::npos) << message;
  EXPECT_EQ(at("other/checkpoints/latest"), "step-00000004\n");
  EXPECT_EQ(read_file(how_.out / "model" / "open_clip_model.safetensors"), expected);

  server_.set_gate({});
  how_.resume = true;
  train(model(), how_);
  EXPECT_EQ(at("other/checkpoints/latest"), "step-00000006\n");
  EXPECT_EQ(at("other/model/open_clip_model.safetensors"), expected);
}

TEST_F(MirroredColours, NeverHoldUpTheSteps) {
  server_.set_gate([&](const HttpCall& call) {
    if (is_put(call, "step-00000002")) barrier_.wait();
    return true;
  });
  train_with(model(), how_, [&](std::int64_t step) {
    if (step == 3) wait_until([&] { return barrier_.has_come(); });
    if (step == 6) barrier_.open();  // the answer to what step 3 saw begin
    if (step < 6) {
      EXPECT_EQ(at(latest), "");
    }
  });
  EXPECT_EQ(at(latest), "step-00000006\n");
  expect_mirrored(how_.out);
}

TEST_F(MirroredColours, LeaveAnUploadWhenTheRunFails) {
  server_.set_gate([&](const HttpCall& call) {
    if (is_put(call, "step-00000002")) barrier_.wait();
    return true;
  });
  const auto failing = [&] {
    train_with(model(), how_, [&](std::int64_t step) {
      if (step < 3) return;
      wait_until([&] { return barrier_.has_come(); });
      throw std::runtime_error("pulled the plug");
    });
  };
  EXPECT_THROW(failing(), std::runtime_error);
  barrier_.open();
  EXPECT_EQ(at(latest), "");
}

TEST_F(MirroredColours, RefuseAnotherRunAndChangeNothing) {
  lose_machine();
  const auto before = server_.objects();
  how_.out = runs_.path() / "another";
  EXPECT_EQ(message_of<Error>([&] { train(model(), how_); }),
            "s3://bkt/run: already holds a run; resume it (--resume) or choose another mirror");
  how_.resume = true;
  how_.learning_rate = 1;
  EXPECT_EQ(message_of<Error>([&] { train(model(), how_); }),
            "s3://bkt/run/config.json: cannot resume a run of other settings: lr was 0.003, is now 1.0; use the old "
            "settings or another mirror");
  server_.put("run/config.json", "[]");
  EXPECT_EQ(message_of<Error>([&] { train(model(), how_); }),
            "s3://bkt/run/config.json: expected an object, got array");
  server_.put("run/config.json", before.at("run/config.json"));
  EXPECT_EQ(server_.objects(), before);
  EXPECT_FALSE(fs::exists(how_.out));
}

TEST_F(MirroredColours, AreKnownToBeNoneBeforeTheFirstStep) {
  const auto complaint = [&](const std::string& mirror) {
    how_.mirror = mirror;
    const auto message =
        message_of<Error>([&] { train_with(model(), how_, [](std::int64_t) { ADD_FAILURE() << "a step"; }); });
    EXPECT_FALSE(fs::exists(how_.out));
    return message;
  };
  EXPECT_NE(complaint("s3://other/run").find("NoSuchBucket"), std::string::npos);
  EXPECT_EQ(complaint("http://bkt/run"), "[Trainer] mirror: expected s3://bucket/prefix, got http://bkt/run");
  EXPECT_NE(complaint("s3:///run").find("should be s3://bucket/key"), std::string::npos);
  server_.set_gate([](const HttpCall& call) { return call.method != "PUT"; });
  EXPECT_NE(complaint("s3://bkt/run").find("AccessDenied"), std::string::npos);
  // What can't be looked at might be another run.
  server_.set_gate([](const HttpCall& call) { return call.method != "GET"; });
  EXPECT_NE(complaint("s3://bkt/run").find("s3://bkt/run/config.json: the server answers 403"), std::string::npos);
  EXPECT_TRUE(server_.objects().empty());
  how_.out = "";
  EXPECT_EQ(message_of<Error>([&] { train(model(), how_); }),
            "[Trainer] mirror: is a copy of the run folder, which out has to name");
}

TEST_F(MirroredColours, AreFetchedWholeOrNotAtAll) {
  const auto whole = model();
  auto alone = how_;
  alone.out = runs_.path() / "alone";
  alone.mirror = "";
  train(whole, alone);
  lose_machine();
  const auto objects = server_.objects();
  how_.out = runs_.path() / "another";
  how_.resume = true;
  const auto complaint = [&] {
    const auto message = message_of<Error>([&] { train(model(), how_); });
    EXPECT_TRUE(!fs::exists(how_.out) || fs::is_empty(how_.out)) << message;
    return message;
  };
  for (const auto* name : {"trainer.json", "trainer.safetensors", "open_clip_model.safetensors", "metrics.jsonl"}) {
    server_.set_gate(
        [&](const HttpCall& call) { return call.method != "GET" || call.path().find(name) == std::string::npos; });
    EXPECT_NE(complaint().find("AccessDenied"), std::string::npos);
  }
  server_.set_gate({});
  server_.put(latest, "../../etc\n");
  EXPECT_EQ(complaint(),
            "s3://bkt/run/checkpoints/latest: names \"../../etc\", which is no checkpoint; choose another "
            "mirror");
  server_.put(latest, "step-00000005\n");
  EXPECT_NE(complaint().find("s3://bkt/run/checkpoints/step-00000005/trainer.json: is missing"), std::string::npos);
  server_.put(latest, objects.at(latest));
  server_.put("run/checkpoints/step-00000004/../../x", "mine");
  EXPECT_NE(complaint().find("its name is none of a file below"), std::string::npos);

  how_.out = runs_.path() / "stranger's";
  put(how_.out / "notes.txt", "mine");
  EXPECT_EQ(message_of<Error>([&] { train(model(), how_); }),
            how_.out.string() + ": is not empty and holds no run; choose another folder");
}

TEST_F(MirroredColours, AreFetchedIntoARunThatHasNoCheckpointYet) {
  const auto whole = model();
  auto alone = how_;
  alone.out = runs_.path() / "alone";
  alone.mirror = "";
  train(whole, alone);
  lose_machine();
  fs::remove_all(how_.out / "checkpoints");
  how_.resume = true;
  const auto resumed = model(9);
  train(resumed, how_);
  expect_equal_bits(whole, resumed);
  expect_mirrored(how_.out);
}

TEST_F(MirroredColours, FollowTheRunFoldersOwnCheckpointAlsoBack) {
  lose_machine();
  put(how_.out / "checkpoints" / "latest", "step-00000002\n");
  how_.resume = true;
  train_with(model(9), how_, [&](std::int64_t step) {
    if (step == 3) wait_for("step-00000002");
  });
  EXPECT_EQ(log_.count("goes on from its own step-00000002, though s3://bkt/run has step-00000004"), 1) << log_.text();
  expect_mirrored(how_.out);
}

/// A mirror of files that no trainer wrote.
class FollowedFolder : public MirroredColours {
 protected:
  void SetUp() override {
    MirroredColours::SetUp();
    put(run_ / "config.json", "{}");
    put(run_ / "metrics.jsonl", "");
  }
  void add_checkpoint(const std::string& name) const {
    for (const auto* file : {"a.json", "b.safetensors", "encoder/c.bin", "encoder/d.json"})
      put(run_ / "checkpoints" / name / file, name + file);
    put(run_ / "checkpoints" / "latest", name + "\n");
  }

  const fs::path run_ = runs_.path() / "followed";
};

TEST_F(FollowedFolder, SendsWholeLinesOfMetricsWithoutACheckpointToo) {
  RunMirror mirror(run_, "s3://bkt/run", 0.02);
  mirror.begin();
  wait_until([&] { return at("run/config.json") == "{}"; });
  put(run_ / "metrics.jsonl", "{\"step\": 1}\n{\"st");
  wait_until([&] { return at("run/metrics.jsonl") == "{\"step\": 1}\n"; });
  const auto puts = server_.server().count("PUT");
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_EQ(server_.server().count("PUT"), puts);  // what hasn't changed isn't sent
  put(run_ / "metrics.jsonl", "{\"step\": 1}\n{\"step\": 2}\n");
  wait_until([&] { return at("run/metrics.jsonl") == "{\"step\": 1}\n{\"step\": 2}\n"; });
  EXPECT_EQ(mirror.finish(true), "");
}

TEST_F(FollowedFolder, SendsACheckpointThatIsRemovedMeanwhile) {
  server_.set_gate([&](const HttpCall& call) {
    if (is_put(call, "step-00000001")) barrier_.wait();
    return true;
  });
  add_checkpoint("step-00000001");
  RunMirror mirror(run_, "s3://bkt/run");
  mirror.begin();
  wait_until([&] { return barrier_.has_come(); });
  fs::remove_all(run_ / "checkpoints" / "step-00000001");
  barrier_.open();
  wait_for("step-00000001");
  EXPECT_EQ(at("run/checkpoints/step-00000001/encoder/c.bin"), "step-00000001encoder/c.bin");
  const auto calls = server_.server().calls();
  const auto first_json = std::find_if(calls.begin(), calls.end(), [](const auto& c) { return is_put(c, ".json"); });
  EXPECT_TRUE(std::none_of(first_json, calls.end(),
                           [](const auto& c) { return is_put(c, "b.safetensors") || is_put(c, "c.bin"); }));
  EXPECT_EQ(mirror.finish(false), "");
  EXPECT_EQ(log_.warnings(), 0U) << log_.text();
}

TEST_F(FollowedFolder, LeavesOutCheckpointsThatAreOvertaken) {
  server_.set_gate([&](const HttpCall& call) {
    if (is_put(call, "step-00000001")) barrier_.wait();
    return true;
  });
  add_checkpoint("step-00000001");
  RunMirror mirror(run_, "s3://bkt/run");
  mirror.begin();
  wait_until([&] { return barrier_.has_come(); });
  for (const auto* name : {"step-00000002", "step-00000003"}) {
    add_checkpoint(name);
    mirror.checkpoint_written();
  }
  barrier_.open();
  wait_for("step-00000003");
  EXPECT_EQ(mirror.finish(false), "");
  EXPECT_EQ(server_.server().count("PUT", "/bkt/run/checkpoints/step-00000001/a.json"), 1);
  EXPECT_EQ(server_.server().count("PUT", "/bkt/run/checkpoints/step-00000002/a.json"), 0);
  EXPECT_EQ(server_.server().count("PUT", std::string("/bkt/") + latest), 2);
}

TEST_F(FollowedFolder, SendsNoFileOfACheckpointTwice) {
  add_checkpoint("step-00000001");
  server_.set_gate([](const HttpCall& call) { return !is_put(call, "d.json"); });
  RunMirror mirror(run_, "s3://bkt/run", 0.02);
  mirror.begin();
  const std::string folder = "/bkt/run/checkpoints/step-00000001/";
  wait_until([&] { return server_.server().count("PUT", folder + "encoder/d.json") > 2; });
  EXPECT_EQ(server_.server().count("PUT", folder + "b.safetensors"), 1);
  EXPECT_EQ(mirror.finish(false).find("s3://bkt/run/checkpoints/step-00000001/encoder/d.json: "), 0U);
  EXPECT_EQ(at(latest), "");
}

TEST_F(FollowedFolder, TriesAgainWithoutACheckpointToo) {
  server_.set_gate([](const HttpCall& call) { return call.method != "PUT"; });
  add_checkpoint("step-00000001");
  RunMirror mirror(run_, "s3://bkt/run", 0.02);
  mirror.begin();
  wait_until([&] { return server_.server().count("PUT") > 3; });
  EXPECT_EQ(log_.warnings(), 1U) << log_.text();
  server_.set_gate({});
  wait_for("step-00000001");
  EXPECT_EQ(mirror.finish(false), "");
}

TEST_F(FollowedFolder, SendsAllWhenItHadNoMirrorUntilNow) {
  add_checkpoint("step-00000001");
  for (const auto* file : {"events.out.tfevents.1.vlalign", "model/a.bin", "model-ema/a.bin", "notes.txt"})
    put(run_ / file, file);
  RunMirror mirror(run_, "s3://bkt/run/");
  mirror.begin();
  EXPECT_EQ(mirror.finish(true), "");
  for (const auto* file : {"events.out.tfevents.1.vlalign", "model/a.bin", "model-ema/a.bin"})
    EXPECT_EQ(at(std::string("run/") + file), file);
  EXPECT_EQ(at("run/notes.txt"), "");  // isn't the run's
}

TEST_F(FollowedFolder, ComesBackWithTheFoldersInIt) {
  add_checkpoint("step-00000001");
  for (const auto* file : {"trainer.json", "trainer.safetensors"})
    put(run_ / "checkpoints" / "step-00000001" / file, std::string(2000, 'x'));
  put(run_ / "events.out.tfevents.1.vlalign", "events");
  put(run_ / "metrics.jsonl", "{\"step\": 1}\n");
  RunMirror mirror(run_, "s3://bkt/run");
  mirror.begin();
  EXPECT_EQ(mirror.finish(false), "");
  server_.put("run/events.out.tfevents.x/y", "another's");

  const auto back = runs_.path() / "back";
  const auto fetch = [&] { fetch_run(look_at_mirror("s3://bkt/run"), back); };
  {
    const FileSizeLimit full(1000);
    EXPECT_NE(message_of<Error>(fetch).find("File too large"), std::string::npos);
    EXPECT_TRUE(fs::is_empty(back));
  }
  fetch();
  const auto files_in = [](const fs::path& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
      if (!entry.is_directory()) files[entry.path().lexically_relative(folder)] = read_file(entry.path());
    return files;
  };
  EXPECT_EQ(files_in(back), files_in(run_));
}

TEST_F(FollowedFolder, TakesResultsOfLater) {
  put(run_ / "eval.json", "{}");
  add_to_mirror("s3://bkt/run/", run_, {"eval.json", "report.html"});
  EXPECT_EQ(server_.objects(), (std::map<std::string, std::string>{{"run/eval.json", "{}"}}));
  server_.set_gate([](const HttpCall&) { return false; });
  const auto message = message_of<Error>([&] { add_to_mirror("s3://bkt/run/", run_, {"eval.json"}); });
  EXPECT_EQ(message.find("s3://bkt/run: the mirror isn't whole: s3://bkt/run/eval.json: "), 0U) << message;
}

}  // namespace
}  // namespace vlalign::run_mirror_test
