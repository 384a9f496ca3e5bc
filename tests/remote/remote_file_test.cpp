#include "remote/remote_file.hpp"

#include <atomic>
#include <thread>

#include "remote/download.hpp"
#include "remote/remote_error.hpp"
#include "remote/remote_fixture.hpp"

namespace vlalign::test::remote_file_test {
namespace {

constexpr std::size_t mega = 1 << 20;

class RemoteFileTest : public Remote {
 protected:
  void SetUp() override {
    Remote::SetUp();
    server_.put("/a.tar", {whole_});
  }

  std::string read(const RemoteFile& file, std::int64_t offset, std::int64_t size) const {
    return text_of(file.read(offset, size));
  }
  std::string all_of(const std::string& path) const {
    std::string all;
    download(server_.url(path), [&](auto bytes) { all += text_of(bytes); });
    return all;
  }
  std::string part(std::size_t offset, std::size_t size) const { return whole_.substr(offset, size); }

  const std::string whole_ = random_bytes(3 * mega + 17);
  FileServer server_;
};

TEST(RemoteNames, AreToldByTheirBeginning) {
  for (const char* name : {"http://h/a", "https://h/a", "s3://b/k"}) EXPECT_TRUE(is_remote(name)) << name;
  for (const char* name : {"a/http://b", "/s3", "s3:/b", "ftp://h/a", "", "http:/h"}) EXPECT_FALSE(is_remote(name));
}

TEST_F(RemoteFileTest, EachReadIsOneRequestForThoseBytes) {
  const RemoteFile file(server_.url("/a.tar"));
  EXPECT_EQ(file.size(), static_cast<std::int64_t>(whole_.size()));
  EXPECT_EQ(file.etag(), "\"one\"");
  EXPECT_EQ(file.name(), server_.url("/a.tar"));
  EXPECT_EQ(requests(), 1);
  EXPECT_EQ(read(file, 0, 5), part(0, 5));
  EXPECT_EQ(read(file, 1000, 2 * mega), part(1000, 2 * mega));
  EXPECT_EQ(read(file, file.size() - 1, 1), part(whole_.size() - 1, 1));
  EXPECT_EQ(read(file, file.size(), 0), "");
  EXPECT_EQ(read(file, 0, file.size()), whole_);
  EXPECT_EQ(requests(), 5);
  EXPECT_EQ(retries(), 0);
  EXPECT_EQ(bytes(), static_cast<std::int64_t>(5 + 2 * mega + 1 + whole_.size()));
  EXPECT_EQ(server_.count("HEAD"), 1);
  EXPECT_EQ(server_.server().connections(), 1);
  EXPECT_HAS(error_of([&] { read(file, file.size() - 1, 2); }), "ends after 3145745 bytes");
  EXPECT_EQ(requests(), 5);
}

TEST_F(RemoteFileTest, ThreadsReadAtOnceAndKeepTheirConnections) {
  const RemoteFile file(server_.url("/a.tar"));
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 8; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (int i = 0; i < 50; ++i) {
        const auto offset = random() % whole_.size();
        const auto size = std::min<std::size_t>(random() % 20000, whole_.size() - offset);
        wrong += read(file, static_cast<std::int64_t>(offset), static_cast<std::int64_t>(size)) != part(offset, size);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_LE(server_.server().connections(), 9);
}

TEST_F(RemoteFileTest, AServerWithoutHeadIsAskedForTheFirstByte) {
  for (const int status : {403, 405, 501}) {
    server_.change_all([&](const HttpCall& call, HttpReply& reply) {
      if (call.method == "HEAD") reply = {.status = status};
    });
    const RemoteFile file(server_.url("/a.tar"));
    EXPECT_EQ(file.size(), static_cast<std::int64_t>(whole_.size()));
    EXPECT_EQ(read(file, 77, 100), part(77, 100));
  }
  EXPECT_EQ(requests(), 9);
  EXPECT_EQ(retries(), 0);
}

TEST_F(RemoteFileTest, AnEmptyFileIsOne) {
  server_.put("/none", {""});
  for (const bool head : {true, false}) {
    if (!head)
      server_.change_all(
          [](const auto& call, auto& reply) { reply.status = call.method == "HEAD" ? 405 : reply.status; });
    const RemoteFile file(server_.url("/none"));
    EXPECT_EQ(file.size(), 0);
    EXPECT_EQ(read(file, 0, 0), "");
  }
  EXPECT_EQ(all_of("/none"), "");
  EXPECT_EQ(read_remote(server_.url("/none"), 0), "");
}

TEST_F(RemoteFileTest, ATransferThatBreaksGoesOnWhereItBroke) {
  const RemoteFile file(server_.url("/a.tar"));
  server_.plant([](auto&, auto& reply) { reply.cut_after = 1000; }, 3);
  EXPECT_EQ(read(file, 50, 100000), part(50, 100000));
  EXPECT_EQ(retries(), 3);
  const auto calls = server_.server().calls();
  ASSERT_EQ(calls.size(), 5U);
  EXPECT_EQ(calls[1].header("range"), "bytes=50-100049");
  EXPECT_EQ(calls[2].header("range"), "bytes=1050-100049");
  EXPECT_EQ(calls[4].header("range"), "bytes=3050-100049");
  EXPECT_EQ(bytes(), 100000);
}

TEST_F(RemoteFileTest, AsManyBreaksAsALongFileTakesAreNoFault) {
  server_.plant([](auto&, auto& reply) { reply.cut_after = 100000; }, 25);
  EXPECT_EQ(all_of("/a.tar"), whole_);
  EXPECT_EQ(retries(), 25);
  EXPECT_EQ(requests(), 26);
  EXPECT_EQ(bytes(), static_cast<std::int64_t>(whole_.size()));
}

TEST_F(RemoteFileTest, PassingFaultsAreTriedAgain) {
  const RemoteFile file(server_.url("/a.tar"));
  for (const int status : {500, 502, 503, 504, 429, 408}) {
    const auto before = requests();
    server_.plant([&](auto&, auto& reply) { reply = {.status = status, .body = "busy"}; }, 2);
    EXPECT_EQ(read(file, 10, 1000), part(10, 1000));
    EXPECT_EQ(requests() - before, 3) << status;
  }
  EXPECT_EQ(retries(), 12);
}

TEST_F(RemoteFileTest, WhatDoesNotPassIsAnErrorAfterAllAttempts) {
  const RemoteFile file(server_.url("/a.tar"));
  server_.plant(
      [](auto&, auto& reply) {
        reply = {.status = 503, .headers = {{"Content-Type", "text/plain"}}, .body = "too busy\nmore"};
      },
      6);
  EXPECT_EQ(error_of([&] { read(file, 10, 1000); }),
            file.name() + ": the server answers 503 (too busy), 6 times in a row");
  EXPECT_EQ(requests(), 7);
  EXPECT_EQ(log_.text(), file.name() + ": the server answers 503 (too busy), 3 times in a row; it is tried again\n");
  EXPECT_EQ(read(file, 10, 1000), part(10, 1000));
}

TEST_F(RemoteFileTest, TheServerSaysHowLongToWait) {
  const RemoteFile file(server_.url("/a.tar"));
  server_.plant([](auto&, auto& reply) { reply = {.status = 503, .headers = {{"Retry-After", "1"}}}; });
  EXPECT_EQ(read(file, 10, 1000), part(10, 1000));
  EXPECT_GE(seconds(), 1);
}

TEST_F(RemoteFileTest, AStalledTransferIsBegunAgain) {
  const RemoteFile file(server_.url("/a.tar"));
  set_remote_options({.timeout_s = 0.2, .attempts = 3, .first_wait_s = 0.01});
  server_.plant([](auto&, auto& reply) { reply.stall_after = 300; });
  EXPECT_EQ(read(file, 10, 1000), part(10, 1000));
  EXPECT_EQ(retries(), 1);
  server_.plant([](auto&, auto& reply) { reply.stall_after = 0; }, 3);
  EXPECT_HAS(error_of([&] { read(file, 10, 1000); }), "no byte came for 0.2 s, 3 times in a row");
  EXPECT_LT(seconds(), 5);
}

TEST_F(RemoteFileTest, ASlowTransferIsNone) {
  const RemoteFile file(server_.url("/a.tar"));
  set_remote_options({.timeout_s = 1, .attempts = 1, .first_wait_s = 0.01});
  server_.plant([](auto&, auto& reply) { reply.pause_s = 0.2; });
  EXPECT_EQ(read(file, 0, 10 * 1024), part(0, 10 * 1024));
  EXPECT_GE(seconds(), 2);
}

TEST_F(RemoteFileTest, ABodyOfAnotherLengthIsNotTaken) {
  const RemoteFile file(server_.url("/a.tar"));
  server_.plant([](auto&, auto& reply) { reply.content_length = reply.body.size() + 5; });
  EXPECT_EQ(read(file, 10, 1000), part(10, 1000));
  server_.plant([](auto&, auto& reply) { reply.content_length = reply.body.size() - 5; });
  EXPECT_EQ(read(file, 10, 1000), part(10, 1000));
  server_.plant([](auto&, auto& reply) { reply.body += "more than was asked for"; });
  EXPECT_EQ(read(file, 10, 1000), part(10, 1000));
  server_.plant([](auto&, auto& reply) { reply.headers["Content-Range"] = "bytes 11-1010/3145745"; });
  EXPECT_EQ(read(file, 10, 1000), part(10, 1000));
  server_.plant([](auto&, auto& reply) { reply.headers.erase("Content-Range"); });
  EXPECT_EQ(read(file, 10, 1000), part(10, 1000));
}

TEST_F(RemoteFileTest, RubbishInPlaceOfAnAnswerIsTriedAgainAndThenAnError) {
  const RemoteFile file(server_.url("/a.tar"));
  for (const char* raw :
       {"\x16\x03\x01 what is this\r\n\r\n", "HTTP/1.1 200 OK\r\n\x01\x02", "HTTP/9.9 xyz\r\n\r\n", "SSH-2.0-x\r\n"}) {
    server_.plant([&](auto&, auto& reply) { reply.raw = raw; });
    EXPECT_EQ(read(file, 10, 1000), part(10, 1000));
    server_.plant([&](auto&, auto& reply) { reply.raw = raw; }, 6);
    EXPECT_HAS(error_of([&] { read(file, 10, 1000); }), "6 times in a row");
  }
}

TEST_F(RemoteFileTest, AnotherFileUnderTheNameIsRefused) {
  const RemoteFile file(server_.url("/a.tar"));
  const auto other = random_bytes(whole_.size(), 2);
  server_.put("/a.tar", {other, "\"two\""});
  EXPECT_EQ(error_of([&] { read(file, 10, 1000); }),
            file.name() + ": has changed since it was opened: the server has another object there now");
  EXPECT_EQ(requests(), 2);
  server_.put("/a.tar", {whole_ + "x", ""});
  EXPECT_HAS(error_of([&] { read(file, 10, 1000); }), "has changed since it was opened");
  server_.put("/a.tar", {"short", ""});
  EXPECT_HAS(error_of([&] { read(file, 10, 1000); }), "has changed since it was opened");
  server_.put("/a.tar", {whole_, "W/\"one\""});
  EXPECT_EQ(read(file, 10, 1000), part(10, 1000));
}

TEST_F(RemoteFileTest, WithoutAnETagTheDateOfTheFileTells) {
  server_.put("/a.tar", {whole_, "", "Tue, 01 Sep 2026 10:00:00 GMT"});
  const RemoteFile file(server_.url("/a.tar"));
  EXPECT_EQ(file.etag(), "");
  EXPECT_EQ(read(file, 10, 1000), part(10, 1000));
  server_.put("/a.tar", {random_bytes(whole_.size(), 2), "", "Tue, 01 Sep 2026 10:00:01 GMT"});
  EXPECT_HAS(error_of([&] { read(file, 10, 1000); }), "has changed since it was opened");
}

TEST_F(RemoteFileTest, AFileThatChangesMidwayIsNeverMixed) {
  server_.plant([&](auto&, auto& reply) { reply.cut_after = 200000; });
  server_.plant([&](auto&, auto& reply) { reply.headers["ETag"] = "\"two\""; });
  std::string all;
  const auto error = error_of([&] { download(server_.url("/a.tar"), [&](auto bytes) { all += text_of(bytes); }); });
  EXPECT_HAS(error, "has changed since it was opened");
  EXPECT_EQ(all, part(0, 200000));
}

TEST_F(RemoteFileTest, FinalAnswersFailAtOnceAndSayWhatToDo) {
  EXPECT_EQ(error_of([&] { RemoteFile(server_.url("/none")); }),
            server_.url("/none") + ": the server answers 404: it is not there: check how it is written");
  EXPECT_EQ(requests(), 1);
  for (const int status : {400, 401, 403}) {
    server_.change_all([&](auto&, auto& reply) { reply = {.status = status}; });
    const auto error = error_of([&] { RemoteFile(server_.url("/a.tar")); });
    EXPECT_HAS(error, fmt::format("{}: the server answers {}: ", server_.url("/a.tar"), status));
    EXPECT_HAS(error, status == 400 ? "refuses it" : "credentials");
  }
  EXPECT_EQ(requests(), 7);
  EXPECT_EQ(retries(), 0);
}

TEST_F(RemoteFileTest, AServerWithoutRangesServesWholeFilesAndTheBeginningOfOthers) {
  const auto large = random_bytes(9 * mega);
  server_.put("/large", {large});
  server_.change_all([&](const auto& call, auto& reply) {
    if (call.method == "GET")
      reply = reply_with(ServedFile{.bytes = call.path() == "/large" ? large : whole_}, HttpCall());
  });
  const RemoteFile file(server_.url("/a.tar")), large_file(server_.url("/large"));
  EXPECT_EQ(read(file, mega, 1000), part(mega, 1000));
  EXPECT_EQ(read(file, 0, 1000), part(0, 1000));
  server_.plant([](auto&, auto& reply) { reply.cut_after = 200000; }, 3);
  EXPECT_EQ(all_of("/a.tar"), whole_);
  EXPECT_HAS(error_of([&] { read(large_file, static_cast<std::int64_t>(8 * mega), 1000); }), "knows no ranges");
  EXPECT_EQ(text_of(large_file.read(8 * mega - 1, 1000)), large.substr(8 * mega - 1, 1000));
}

TEST_F(RemoteFileTest, WithoutALengthOnlyABodyThatTellsItsEndIsTaken) {
  const auto hide = [](bool chunked) {
    return [chunked](const auto&, auto& reply) {
      (chunked ? reply.chunked : reply.unknown_length) = true;
      reply.status = 200;
    };
  };
  server_.change_all(hide(true));
  EXPECT_HAS(error_of([&] { RemoteFile(server_.url("/a.tar")); }), "doesn't say how large it is");
  EXPECT_EQ(all_of("/a.tar"), whole_);
  server_.change_all([&](const auto& call, auto& reply) {
    reply = reply_with({whole_}, HttpCall());
    hide(true)(call, reply);
  });
  server_.plant([](auto&, auto& reply) { reply.cut_after = 150'000; }, 3);
  EXPECT_EQ(all_of("/a.tar"), whole_);
  EXPECT_EQ(retries(), 3);
  server_.change_all(hide(false));
  EXPECT_HAS(error_of([&] { all_of("/a.tar"); }), "doesn't say how large it is");
}

TEST_F(RemoteFileTest, AnAnswerThatLeadsElsewhereIsFollowed) {
  server_.change_all([&](const auto& call, auto& reply) {
    if (call.path() == "/moved") reply = {.status = 302, .headers = {{"Location", "/a.tar"}, {"ETag", "\"link\""}}};
    if (call.path() == "/round") reply = {.status = 302, .headers = {{"Location", "/round"}}};
    if (call.path() == "/local") reply = {.status = 302, .headers = {{"Location", "file:///etc/hostname"}}};
  });
  const RemoteFile file(server_.url("/moved"));
  EXPECT_EQ(file.etag(), "\"one\"");
  EXPECT_EQ(read(file, 10, 1000), part(10, 1000));
  EXPECT_HAS(error_of([&] { RemoteFile(server_.url("/round")); }), "redirects");
  EXPECT_HAS(error_of([&] { RemoteFile(server_.url("/local")); }), server_.url("/local"));
}

TEST_F(RemoteFileTest, NobodyAtTheAddressIsAnErrorAfterAllAttempts) {
  const auto url = server_.url("/a.tar");
  const RemoteFile file(url);
  server_.server().stop();
  set_remote_options({.timeout_s = 1, .attempts = 3, .first_wait_s = 0.01});
  EXPECT_HAS(error_of([&] { read(file, 10, 1000); }), "3 times in a row");
  EXPECT_EQ(retries(), 2);
  EXPECT_HAS(error_of([&] { RemoteFile("http://no-such-host.invalid/a"); }), "http://no-such-host.invalid/a: ");
  EXPECT_HAS(error_of([&] { RemoteFile("http://"); }), "http://: ");
}

TEST_F(RemoteFileTest, AnyMixtureOfFaultsLeavesTheBytesRight) {
  const RemoteFile file(server_.url("/a.tar"));
  set_remote_options({.timeout_s = 0.3, .attempts = 30, .first_wait_s = 0.001});
  std::mt19937 random(7);
  const auto fault = [&](unsigned kind, unsigned some) -> FileServer::Fault {
    const std::vector<FileServer::Fault> faults = {
        [=](auto&, auto& reply) { reply.cut_after = some % (reply.body.size() + 1); },
        [=](auto&, auto& reply) { reply.content_length = reply.body.size() + 1 + some % 50; },
        [=](auto&, auto& reply) { reply.content_length = reply.body.size() / 2; },
        [=](auto&, auto& reply) { reply = {.status = 503, .body = "busy"}; },
        [=](auto&, auto& reply) { reply.raw = "HTTP/1.1 2"; },
        [=](auto&, auto& reply) { reply.headers["Content-Range"] = "bytes 0-1/3145745"; },
        [this](auto&, auto& reply) { reply = reply_with({whole_}, HttpCall()); },
        [=](auto&, auto& reply) { reply.chunked = true; }};
    return kind < faults.size() ? faults[kind] : [](auto&, auto&) {};
  };
  for (int i = 0; i < 300; ++i) {
    for (int k = 0; k < 3; ++k)
      server_.plant(fault(static_cast<unsigned>(random() % 10), static_cast<unsigned>(random())));
    if (i % 50 == 0) server_.plant([](auto&, auto& reply) { reply.stall_after = 5; });
    const auto offset = random() % (2 * mega), size = random() % 300'000;
    ASSERT_EQ(read(file, static_cast<std::int64_t>(offset), static_cast<std::int64_t>(size)), part(offset, size)) << i;
  }
}

TEST_F(RemoteFileTest, WhatTheReceiverThrowsComesOut) {
  EXPECT_THROW(download(server_.url("/a.tar"), [](auto) { throw std::range_error("enough"); }), std::range_error);
  EXPECT_EQ(requests(), 1);
}

TEST_F(RemoteFileTest, SmallFilesAreReadAtOnceAndMayBeMissing) {
  server_.put("/small", {"hello"});
  EXPECT_EQ(read_remote(server_.url("/small"), 5), "hello");
  EXPECT_EQ(requests(), 1);
  EXPECT_HAS(error_of([&] { read_remote(server_.url("/small"), 4); }), "is longer than 4 bytes");
  EXPECT_EQ(read_remote_if_there(server_.url("/small"), 5), "hello");
  EXPECT_EQ(read_remote_if_there(server_.url("/none"), 5), std::nullopt);
  server_.plant([](auto&, auto& reply) { reply = {.status = 403}; });
  EXPECT_EQ(read_remote_if_there(server_.url("/small"), 5), std::nullopt);
  server_.plant([](auto&, auto& reply) { reply = {.status = 401}; });
  EXPECT_HAS(error_of([&] { read_remote_if_there(server_.url("/small"), 5); }), "answers 401");
}

TEST_F(RemoteFileTest, NamesAreEncodedWhereTheyMustBe) {
  server_.put("/a%20b/%C3%A9.tar", {"hello"});
  EXPECT_EQ(read_remote(server_.url("/a b/é.tar"), 5), "hello");
  EXPECT_EQ(read_remote(server_.url("/a%20b/%C3%A9.tar?x=1"), 5), "hello");
}

TEST(RemoteOptionsTest, AreTheEnvironmentsUnlessTheseAreNoNumbers) {
  const auto with = [](const char* timeout, const char* attempts) {
    ::setenv("VLALIGN_REMOTE_TIMEOUT", timeout, 1);
    ::setenv("VLALIGN_REMOTE_ATTEMPTS", attempts, 1);
    return remote_options_of_environment();
  };
  EXPECT_EQ(with("2.5", "9").timeout_s, 2.5);
  EXPECT_EQ(with("2.5", "9").attempts, 9);
  EXPECT_EQ(with("", "").attempts, 6);
  for (const char* wrong : {"0", "-1", "x", "5x", "nan", "inf"}) {
    EXPECT_HAS(error_of([&] { with(wrong, "1"); }), fmt::format("VLALIGN_REMOTE_TIMEOUT={}: should be", wrong));
    EXPECT_HAS(error_of([&] { with("1", wrong); }), fmt::format("VLALIGN_REMOTE_ATTEMPTS={}: should be", wrong));
  }
  ::unsetenv("VLALIGN_REMOTE_TIMEOUT");
  ::unsetenv("VLALIGN_REMOTE_ATTEMPTS");
  EXPECT_THROW(set_remote_options({.timeout_s = 0}), Error);
  EXPECT_THROW(set_remote_options({.attempts = 0}), Error);
}

}  // namespace
}  // namespace vlalign::test::remote_file_test
