#include "remote/s3.hpp"

#include "core/check.hpp"
#include "remote/aws_profile.hpp"
#include "remote/environment.hpp"
#include "remote/percent.hpp"

namespace vlalign {
namespace {

constexpr std::string_view scheme = "s3://";
/// SHA-256 of nothing.
constexpr const char* empty_hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

bool is_set(const char* name) {
  const auto value = environment(name);
  return !value.empty() && value != "0" && value != "false" && value != "no";
}

/// The first that isn't empty.
template <typename... Others>
std::string first_of(std::string value, const Others&... others) {
  ((value = value.empty() ? others : value), ...);
  return value;
}

void take_keys(S3Settings& settings, std::map<std::string, std::string>& profile) {
  if (is_set("AWS_NO_SIGN_REQUEST") || is_set("VLALIGN_S3_ANONYMOUS")) return;
  settings.access_key = environment("AWS_ACCESS_KEY_ID");
  settings.secret_key = environment("AWS_SECRET_ACCESS_KEY");
  settings.session_token = first_of(environment("AWS_SESSION_TOKEN"), environment("AWS_SECURITY_TOKEN"));
  if (settings.access_key.empty() && settings.secret_key.empty()) {
    settings.access_key = profile["aws_access_key_id"];
    settings.secret_key = profile["aws_secret_access_key"];
    settings.session_token = profile["aws_session_token"];
  }
  check(settings.access_key.empty() == settings.secret_key.empty(),
        "S3: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together, but only one of them is set");
}

/// Where a bucket's name can be part of the host's: without an endpoint of one's own, and without dots, which would
/// not fit Amazon's certificate.
std::string address_of(const S3Settings& settings, const S3Place& place) {
  const auto path = "/" + percent_encoded(place.key, "/");
  if (!settings.endpoint.empty())
    return fmt::format("{}/{}{}", settings.endpoint, place.bucket, place.key.empty() ? "" : path);
  const auto amazon =
      fmt::format("s3.{}.amazonaws.com{}", settings.region, settings.region.starts_with("cn-") ? ".cn" : "");
  if (place.bucket.find('.') != std::string::npos) return fmt::format("https://{}/{}{}", amazon, place.bucket, path);
  return fmt::format("https://{}.{}{}", place.bucket, amazon, path);
}

/// In the order and form in which it is signed: a name without a value keeps its =.
std::string query_of(const std::map<std::string, std::string>& query) {
  std::string text;
  for (const auto& [name, value] : query)
    text += fmt::format("{}{}={}", text.empty() ? "?" : "&", percent_encoded(name), percent_encoded(value));
  return text;
}

}  // namespace

bool is_s3(std::string_view location) { return location.starts_with(scheme); }

S3Place s3_place(const std::string& location) {
  check(is_s3(location), "{}: should begin with s3://", location);
  const auto slash = location.find('/', scheme.size());
  S3Place place{location.substr(scheme.size(), slash - scheme.size()),
                slash == location.npos ? "" : location.substr(slash + 1)};
  check(!place.bucket.empty() && percent_encoded(place.bucket) == place.bucket,
        "{}: should be s3://bucket/key, the bucket of letters, digits, - and .", location);
  return place;
}

std::string s3_location(const S3Place& place) { return fmt::format("{}{}/{}", scheme, place.bucket, place.key); }

S3Settings s3_settings() {
  auto profile = aws_profile();
  S3Settings settings;
  settings.endpoint =
      first_of(environment("AWS_ENDPOINT_URL_S3"), environment("AWS_ENDPOINT_URL"), profile["endpoint_url"]);
  while (settings.endpoint.ends_with('/')) settings.endpoint.pop_back();
  check(settings.endpoint.empty() || settings.endpoint.starts_with("http://") ||
            settings.endpoint.starts_with("https://"),
        "AWS_ENDPOINT_URL={}: should begin with http:// or https://", settings.endpoint);
  settings.region = first_of(environment("AWS_REGION"), environment("AWS_DEFAULT_REGION"), profile["region"],
                             std::string("us-east-1"));
  take_keys(settings, profile);
  return settings;
}

HttpRequest s3_request(const std::string& method, const S3Place& place, const std::map<std::string, std::string>& query,
                       const std::vector<std::string>& headers, std::string_view body) {
  const auto settings = s3_settings();
  HttpRequest request;
  request.method = method;
  request.url = address_of(settings, place) + query_of(query);
  request.headers = headers;
  request.body = body;
  request.follow = false;  // a signature is for one address
  if (settings.access_key.empty()) return request;
  request.signer = HttpSigner{settings.access_key, settings.secret_key, settings.region};
  // libcurl signs these two, but makes neither by itself in every version.
  request.headers.push_back(fmt::format("x-amz-content-sha256: {}", body.empty() ? empty_hash : "UNSIGNED-PAYLOAD"));
  if (!settings.session_token.empty()) request.headers.push_back("x-amz-security-token: " + settings.session_token);
  return request;
}

}  // namespace vlalign
