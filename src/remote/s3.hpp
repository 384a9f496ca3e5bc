// S3's addresses, settings and requests. Internal.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "remote/http_exchange.hpp"

namespace vlalign {

bool is_s3(std::string_view location);

struct S3Place {
  std::string bucket, key;  ///< as they are, not percent-encoded
};

/// Of s3://bucket/key; the key may be empty. Throws Error when there is no bucket.
S3Place s3_place(const std::string& location);
std::string s3_location(const S3Place& place);

/// What AWS's own tools would use, from environment variables first, then from the profile in ~/.aws.
struct S3Settings {
  std::string endpoint;  ///< without a slash at the end; empty: Amazon's
  std::string region;
  std::string access_key, secret_key, session_token;  ///< empty: requests aren't signed
};

/// As they are now: keys may be renewed while a job runs. Throws Error when only half of a key is given.
S3Settings s3_settings();

/// A request for an object, or for the bucket where the key is empty.
///   query: names and values, not percent-encoded
///   headers: beside those that signing needs
HttpRequest s3_request(const std::string& method, const S3Place& place,
                       const std::map<std::string, std::string>& query = {},
                       const std::vector<std::string>& headers = {}, std::string_view body = {});

}  // namespace vlalign
