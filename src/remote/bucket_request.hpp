// A request to S3 that is sent until it is answered. Internal.
#pragma once

#include <map>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "remote/http_exchange.hpp"
#include "remote/s3.hpp"

namespace vlalign {

struct BucketAnswer {
  HttpResponse response;
  std::string body;
};

struct BucketRequest {
  std::string method;
  std::map<std::string, std::string> query = {};
  std::vector<std::string> headers = {};
  std::string_view body = {};
};

/// Throws Error for what isn't 2xx, and for a 200 whose body is S3's <Error>; StoppedTransfer.
///   location: for messages
BucketAnswer send(const std::string& location, const S3Place& place, const BucketRequest& request,
                  const std::stop_token& stop = {});

}  // namespace vlalign
