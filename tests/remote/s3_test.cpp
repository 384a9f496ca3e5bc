#include "remote/s3.hpp"

#include <filesystem>
#include <fstream>

#include "remote/bucket.hpp"
#include "remote/download.hpp"
#include "remote/remote_file.hpp"
#include "remote/remote_fixture.hpp"
#include "remote/xml.hpp"
#include "support/s3_server.hpp"

namespace vlalign::test::s3_test {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t mega = 1 << 20;

constexpr const char* variables[] = {"AWS_ENDPOINT_URL_S3",
                                     "AWS_ENDPOINT_URL",
                                     "AWS_REGION",
                                     "AWS_DEFAULT_REGION",
                                     "AWS_ACCESS_KEY_ID",
                                     "AWS_SECRET_ACCESS_KEY",
                                     "AWS_SESSION_TOKEN",
                                     "AWS_SECURITY_TOKEN",
                                     "AWS_PROFILE",
                                     "AWS_CONFIG_FILE",
                                     "AWS_SHARED_CREDENTIALS_FILE",
                                     "AWS_NO_SIGN_REQUEST",
                                     "VLALIGN_S3_ANONYMOUS"};

/// No settings but those that a test makes.
class S3Test : public Remote {
 protected:
  void SetUp() override {
    Remote::SetUp();
    for (const char* name : variables) ::unsetenv(name);
    std::string path = (fs::temp_directory_path() / "vlalign-s3-XXXXXX").string();
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    folder_ = path;
    set("AWS_CONFIG_FILE", (folder_ / "config").string());
    set("AWS_SHARED_CREDENTIALS_FILE", (folder_ / "credentials").string());
  }
  void TearDown() override {
    for (const char* name : variables) ::unsetenv(name);
    fs::remove_all(folder_);
    Remote::TearDown();
  }

  static void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }
  void sign_in(const HttpServer& server, const S3Account& account) const {
    set("AWS_ENDPOINT_URL", server.url("/"));
    set("AWS_ACCESS_KEY_ID", account.access_key);
    set("AWS_SECRET_ACCESS_KEY", account.secret_key);
    if (!account.session_token.empty()) set("AWS_SESSION_TOKEN", account.session_token);
    if (account.region != "us-east-1") set("AWS_REGION", account.region);
  }
  std::string write(const std::string& name, const std::string& contents) const {
    std::ofstream(folder_ / name, std::ios::binary) << contents;
    return (folder_ / name).string();
  }
  static std::string url_of(const std::string& location) { return s3_request("GET", s3_place(location)).url; }

  fs::path folder_;
};

class BucketTest : public S3Test {
 protected:
  void SetUp() override {
    S3Test::SetUp();
    set_remote_options(
        {.timeout_s = 20, .attempts = 6, .first_wait_s = 0.01});  // nothing stalls here, but much is sent
    sign_in(server_.server(), account_);
  }

  const S3Account account_{"AKIDTEST", "secret/+key", "a+long/token==", "eu-north-1"};
  S3Server server_{account_};
};

TEST(Signature, OfTheServerIsTheOneThatAmazonPublishes) {
  EXPECT_EQ(hex_of(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  // "GET Object" of "Signature Calculations for the Authorization Header" in S3's manual.
  const HttpCall call{.method = "GET",
                      .target = "/test.txt",
                      .headers = {{"host", "examplebucket.s3.amazonaws.com"},
                                  {"range", "bytes=0-9"},
                                  {"x-amz-content-sha256", hex_of(sha256(""))},
                                  {"x-amz-date", "20130524T000000Z"}},
                      .body = ""};
  EXPECT_EQ(signature_of(call, "host;range;x-amz-content-sha256;x-amz-date", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                         "us-east-1"),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST_F(S3Test, AnAddressIsOfAmazonOrOfAnEndpoint) {
  EXPECT_EQ(url_of("s3://bkt/a b/é.tar"), "https://bkt.s3.us-east-1.amazonaws.com/a%20b/%C3%A9.tar");
  EXPECT_EQ(url_of("s3://b.kt/a"), "https://s3.us-east-1.amazonaws.com/b.kt/a");
  set("AWS_DEFAULT_REGION", "eu-west-1");
  EXPECT_EQ(url_of("s3://bkt/a//b/../c"), "https://bkt.s3.eu-west-1.amazonaws.com/a//b/../c");
  set("AWS_REGION", "cn-north-1");
  EXPECT_EQ(url_of("s3://bkt/"), "https://bkt.s3.cn-north-1.amazonaws.com.cn/");
  set("AWS_ENDPOINT_URL", "http://127.0.0.1:9000/");
  EXPECT_EQ(url_of("s3://bkt/%+?#"), "http://127.0.0.1:9000/bkt/%25%2B%3F%23");
  set("AWS_ENDPOINT_URL_S3", "http://other:9000");
  EXPECT_EQ(url_of("s3://bkt"), "http://other:9000/bkt");
  for (const char* wrong : {"s3://", "s3:///key", "s3://a b/key"})
    EXPECT_HAS(error_of([&] { url_of(wrong); }), "should be s3://bucket/key");
  set("AWS_ENDPOINT_URL_S3", "other:9000");
  EXPECT_HAS(error_of([&] { url_of("s3://bkt/a"); }), "should begin with http");
}

TEST_F(S3Test, KeysComeFromTheEnvironmentAndThenFromTheProfile) {
  EXPECT_EQ(s3_settings().access_key, "");
  EXPECT_EQ(s3_settings().region, "us-east-1");
  write("config",
        "# mine\n[default]\nregion = eu-west-1\ns3 =\n  region = wrong\n[profile lab]\nregion=us-west-2\r\n"
        "endpoint_url = http://lab:9000/\n");
  write("credentials",
        "[default]\naws_access_key_id = A\naws_secret_access_key = a=b\n\n[lab]\nAWS_ACCESS_KEY_ID=L\n"
        "aws_secret_access_key=l\naws_session_token = t\n");
  auto settings = s3_settings();
  EXPECT_EQ(settings.access_key + settings.secret_key + settings.session_token, "Aa=b");
  EXPECT_EQ(settings.region + settings.endpoint, "eu-west-1");
  set("AWS_PROFILE", "lab");
  settings = s3_settings();
  EXPECT_EQ(settings.access_key + settings.secret_key + settings.session_token, "Llt");
  EXPECT_EQ(settings.region + settings.endpoint, "us-west-2http://lab:9000");
  set("AWS_ACCESS_KEY_ID", "E");
  EXPECT_HAS(error_of([] { s3_settings(); }), "belong together");
  set("AWS_SECRET_ACCESS_KEY", "e");
  settings = s3_settings();
  EXPECT_EQ(settings.access_key + settings.secret_key + settings.session_token, "Ee");
  set("VLALIGN_S3_ANONYMOUS", "1");
  EXPECT_EQ(s3_settings().access_key, "");
  set("AWS_PROFILE", "nobody");
  EXPECT_HAS(error_of([] { s3_settings(); }), "AWS_PROFILE=nobody: neither ");
}

TEST_F(BucketTest, SignedRequestsForEveryKindOfKeyAreTaken) {
  const auto bytes = random_bytes(3 * mega);
  const auto file = write("file", bytes);
  const std::vector<std::string> keys = {"a.tar",     "a b/c+d&e=f.tar", "é/~'(1)!*.tar",
                                         "x//y/../z", "100%41",          "q?r#s;t:u@v,w$x"};
  for (const auto& key : keys) {
    const auto url = "s3://bkt/" + key;
    upload(url, file);
    EXPECT_EQ(server_.objects().at(key), bytes) << key;
    const RemoteFile remote(url);
    EXPECT_EQ(remote.size(), static_cast<std::int64_t>(bytes.size()));
    EXPECT_EQ(text_of(remote.read(1000, 2 * mega)), bytes.substr(1000, 2 * mega));
    EXPECT_EQ(read_remote(url, 4 * mega), bytes);
    EXPECT_EQ(list_remote(url), std::vector{url});
    remove_remote(url);
    EXPECT_TRUE(server_.objects().empty());
    EXPECT_EQ(read_remote_if_there(url, 10), std::nullopt);
    remove_remote(url);
  }
  EXPECT_EQ(retries(), 0);
  EXPECT_EQ(requests(), static_cast<std::int64_t>(8 * keys.size()));
}

TEST_F(BucketTest, AWrongKeyIsRefusedOnceAndTheMessageSaysWhatToSet) {
  server_.put("a", "hello");
  set("AWS_SECRET_ACCESS_KEY", "other");
  const auto error = error_of([] { RemoteFile("s3://bkt/a"); });
  EXPECT_HAS(error, "s3://bkt/a: the server answers 403 (SignatureDoesNotMatch: why & how)");
  EXPECT_HAS(error, "AWS_SECRET_ACCESS_KEY");
  EXPECT_EQ(retries(), 0);
  set("AWS_SECRET_ACCESS_KEY", account_.secret_key);
  set("AWS_SESSION_TOKEN", "another");
  EXPECT_HAS(error_of([] { RemoteFile("s3://bkt/a"); }), "InvalidToken");
  set("AWS_NO_SIGN_REQUEST", "1");
  EXPECT_HAS(error_of([] { RemoteFile("s3://bkt/a"); }), "the request was not signed");
  EXPECT_EQ(server_.server().calls().back().header("authorization"), "");
  server_.allow_everybody();
  EXPECT_EQ(read_remote("s3://bkt/a", 5), "hello");
}

TEST_F(BucketTest, TheRegionOfABucketElsewhereIsNamed) {
  const auto elsewhere = [](auto&, auto& reply) {
    reply = {.status = 301, .headers = {{"x-amz-bucket-region", "ap-south-1"}, {"Location", "http://127.0.0.1:1/"}}};
  };
  server_.plant("HEAD", elsewhere);
  server_.plant("GET", elsewhere);
  EXPECT_HAS(error_of([] { RemoteFile("s3://bkt/a"); }), "the bucket lies in ap-south-1: set AWS_REGION=ap-south-1");
  EXPECT_HAS(error_of([] { list_remote("s3://none/a"); }), "404 (NoSuchBucket");
}

TEST_F(BucketTest, ListsGoOnOverPagesInTheOrderOfTheirKeys) {
  std::vector<std::string> expected;
  for (const char* key : {"d/00", "d/1&2<3", "d/a\rb", "d/b c", "d/é", "d/x/1", "d/x/2"}) {
    server_.put(key, "x");
    expected.push_back(std::string("s3://bkt/") + key);
  }
  server_.put("d/x/", "");
  server_.put("c", "x");
  server_.put("e", "x");
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(list_remote("s3://bkt/d/"), expected);
  EXPECT_EQ(requests(), 3);
  EXPECT_EQ(list_remote("s3://bkt/").size(), 9U);
  EXPECT_TRUE(list_remote("s3://bkt/nothing").empty());
  server_.plant("GET", [](auto&, auto& reply) { reply.body = "<html>welcome</html>"; });
  EXPECT_HAS(error_of([] { list_remote("s3://bkt/d/"); }), "is no list of a bucket");
  server_.plant("GET", [](auto&, auto& reply) {
    reply.body = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
  });
  EXPECT_HAS(error_of([] { list_remote("s3://bkt/d/"); }), "goes on, but not from where");
  EXPECT_HAS(error_of([] { list_remote("http://bkt/d/"); }), "should begin with s3://");
}

TEST_F(BucketTest, ALargeFileIsPutInParts) {
  const auto bytes = random_bytes(64 * mega + 1);
  const auto file = write("large", bytes);
  server_.plant(
      "PUT", [](auto&, auto& reply) { reply = {.status = 503}; }, 2);
  upload("s3://bkt/large", file);
  EXPECT_EQ(server_.objects().at("large") == bytes, true);
  EXPECT_EQ(server_.unfinished_uploads(), 0U);
  EXPECT_EQ(server_.server().count("PUT"), 5 + 2);
  EXPECT_EQ(server_.server().count("POST"), 2);
}

TEST_F(BucketTest, AnUploadThatFailsLeavesWhatWasThere) {
  server_.put("large", "old");
  const auto file = write("large", random_bytes(64 * mega + 1));
  const auto busy = [](auto&, auto& reply) { reply = {.status = 503}; };
  server_.plant("PUT", [](auto&, auto&) {});
  server_.plant("PUT", busy, 6);
  EXPECT_HAS(error_of([&] { upload("s3://bkt/large", file); }), "s3://bkt/large: the server answers 503, 6 times");
  EXPECT_EQ(server_.objects().at("large"), "old");
  EXPECT_EQ(server_.unfinished_uploads(), 0U);
  server_.plant("PUT", busy, 6);
  EXPECT_HAS(error_of([&] { upload("s3://bkt/large", write("small", "new")); }), "503");
  EXPECT_HAS(error_of([&] { upload("s3://bkt/large", folder_ / "none"); }), "none: cannot open");
  for (const char* url : {"s3://bkt", "s3://bkt/", "s3://bkt/folder/", "http://h/a"})
    EXPECT_HAS(error_of([&] { upload(url, file); }), std::string(url) + ": should be");
}

TEST_F(BucketTest, AnErrorInsideAnAnswerThatSaysOkIsTriedAgain) {
  const auto bytes = random_bytes(64 * mega + 1);
  const auto file = write("large", bytes);
  server_.plant("POST", [](auto&, auto&) {});
  std::string completed;
  upload("s3://bkt/large", file);
  EXPECT_EQ(server_.objects().size(), 1U);
  server_.plant("POST", [](auto&, auto& reply) {
    reply = {.status = 200, .body = "<Error><Code>InternalError</Code><Message>again</Message></Error>"};
  });
  upload("s3://bkt/other", file);
  EXPECT_EQ(retries(), 1);
  EXPECT_TRUE(server_.objects().at("other") == bytes);
}

TEST_F(BucketTest, AnUploadWhoseLastAnswerIsLostIsWhole) {
  const auto bytes = random_bytes(64 * mega + 1);
  server_.plant("POST", [](auto&, auto&) {});
  server_.plant("POST", [](auto&, auto& reply) { reply = {.status = 500}; });
  upload("s3://bkt/large", write("large", bytes));
  EXPECT_TRUE(server_.objects().at("large") == bytes);
}

TEST(Xml, ElementsAndTheirTexts) {
  const std::string xml =
      "<?xml version='1.0'?><R a='1'><K>x&amp;y &lt;&gt;&quot;&apos; &#65;&#x20ac;&#xe9;&#x1f600; &no; & &#; "
      "</K><Key>1</Key><E/><K >2</K><K b=\"c\"></K><Kx>3</Kx><K>cut";
  EXPECT_EQ(xml_text(xml, "K"), "x&y <>\"' A€é😀 &no; & &#; ");
  const auto found = xml_elements(xml, "K");
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[1], "2");
  EXPECT_EQ(found[2], "");
  EXPECT_EQ(xml_text(xml, "E"), "");
  EXPECT_EQ(xml_text(xml, "Ke"), std::nullopt);
  EXPECT_EQ(xml_text("<K", "K"), std::nullopt);
  EXPECT_EQ(xml_text("<K>", "K"), std::nullopt);
  EXPECT_EQ(xml_text("", "K"), std::nullopt);
  EXPECT_EQ(xml_escaped("a<b>&c"), "a&lt;b&gt;&amp;c");
}

}  // namespace
}  // namespace vlalign::test::s3_test
