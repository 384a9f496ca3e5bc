#include "remote/remote_error.hpp"

#include <algorithm>

#include "core/check.hpp"
#include "remote/s3.hpp"
#include "remote/xml.hpp"

namespace vlalign {
namespace {

/// What the server says about it: S3's code and message, else the beginning of a text.
std::string reason_of(const HttpResponse& response) {
  const auto code = xml_text(response.body, "Code"), message = xml_text(response.body, "Message");
  if (code) return fmt::format("{} ({}{}{})", response.status, *code, message ? ": " : "", message.value_or(""));
  const auto type = response.header("content-type");
  if (!type.starts_with("text/plain") || response.body.empty()) return std::to_string(response.status);
  auto line = response.body.substr(0, std::min<std::size_t>(response.body.find_first_of("\r\n"), 200));
  std::replace_if(
      line.begin(), line.end(), [](unsigned char c) { return c < ' '; }, ' ');
  return fmt::format("{} ({})", response.status, line);
}

std::string advice_for_s3(const HttpResponse& response) {
  const auto region = response.header("x-amz-bucket-region");
  const auto settings = s3_settings();
  if (!region.empty() && region != settings.region)
    return fmt::format("the bucket lies in {}: set AWS_REGION={}, it is {} now", region, region, settings.region);
  if (settings.access_key.empty()) {
    return "the request was not signed: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE to a profile "
           "of ~/.aws/credentials";
  }
  return fmt::format(
      "the key {} must be allowed to do this, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN must belong to it and not "
      "have expired, and AWS_REGION ({} now) must be the bucket's; a public bucket needs AWS_NO_SIGN_REQUEST=1",
      settings.access_key, settings.region);
}

std::string advice_for(const std::string& location, const HttpResponse& response) {
  const int status = response.status;
  if (status == 404 || status == 410) return "it is not there: check how it is written";
  if (is_s3(location)) return advice_for_s3(response);
  if (status == 401 || status == 403)
    return "the server wants credentials that it didn't get, or a signed link that has not expired";
  if (status >= 300 && status < 400) return "it leads elsewhere, but not to an address that can be followed";
  return "the server refuses it";
}

}  // namespace

bool may_pass(int status) {
  return status == 408 || status == 429 || (status >= 500 && status != 501 && status != 505);
}

void check_answer(const std::string& location, const HttpResponse& response) {
  const int status = response.status;
  if (status >= 200 && status < 300) return;
  if (may_pass(status) || xml_text(response.body, "Code") == "RequestTimeout")
    throw BrokenTransfer(fmt::format("the server answers {}", reason_of(response)), response.retry_after_s);
  throw RemoteError(
      fmt::format("{}: the server answers {}: {}", location, reason_of(response), advice_for(location, response)),
      status);
}

}  // namespace vlalign
