#include "remote/bucket.hpp"

#include <algorithm>

#include "core/check.hpp"
#include "remote/bucket_request.hpp"
#include "remote/remote_error.hpp"
#include "remote/xml.hpp"

namespace vlalign {

std::vector<std::string> list_remote(const std::string& prefix) {
  const auto place = s3_place(prefix);
  std::map<std::string, std::string> query = {{"list-type", "2"}, {"prefix", place.key}};
  std::vector<std::string> urls;
  for (;;) {
    const auto page = send(prefix, {place.bucket, ""}, {.method = "GET", .query = query}).body;
    check(!xml_elements(page, "ListBucketResult").empty(), "{}: the server's answer is no list of a bucket", prefix);
    for (const auto object : xml_elements(page, "Contents")) {
      const auto key = xml_text(object, "Key");
      check(key.has_value(), "{}: the server lists an object without a key", prefix);
      if (!key->ends_with('/')) urls.push_back(s3_location({place.bucket, *key}));
    }
    if (xml_text(page, "IsTruncated") != "true") break;
    const auto next = xml_text(page, "NextContinuationToken").value_or("");
    check(!next.empty() && next != query["continuation-token"], "{}: the server's list goes on, but not from where",
          prefix);
    query["continuation-token"] = next;
  }
  std::sort(urls.begin(), urls.end());
  return urls;
}

void remove_remote(const std::string& url) {
  const auto place = s3_place(url);
  check(!place.key.empty(), "{}: should be s3://bucket/key", url);
  try {
    send(url, place, {.method = "DELETE"});
  } catch (const RemoteError& error) {
    if (error.status() != 404 || std::string_view(error.what()).find("NoSuchBucket") != std::string_view::npos) throw;
  }
}

}  // namespace vlalign
