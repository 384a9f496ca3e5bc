// One request over HTTP and its answer. Internal.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace vlalign {

/// What AWS's signature version 4 is made with.
struct HttpSigner {
  std::string access_key, secret_key, region;
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::string> headers;  ///< "Name: value"
  std::string_view body;             ///< of PUT and POST; must outlive the exchange
  std::optional<HttpSigner> signer;
  bool follow = true;  ///< where the answer leads elsewhere
};

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< by names in lower case
  std::string body;                            ///< the beginning, and only where the status isn't 2xx
  double retry_after_s = 0;

  /// Empty where there is none.
  std::string header(const std::string& name) const;
};

struct HttpReceiver {
  /// Before the first byte of a body, and where there is none too.
  std::function<void(const HttpResponse&)> begin = [](const HttpResponse&) {};
  /// False: no more is wanted, and the exchange ends.
  std::function<bool(std::span<const std::byte>)> take = [](std::span<const std::byte>) { return true; };
};

/// The receiver is told of a 2xx only. What it throws comes out here. Throws BrokenTransfer when the connection fails,
/// when what comes isn't HTTP, when no byte comes for RemoteOptions::timeout_s or the body ends early; Error for
/// what stays wrong, such as a certificate; StoppedTransfer. Connections are kept open for the next exchange.
HttpResponse exchange(const HttpRequest& request, const HttpReceiver& receiver, const std::stop_token& stop = {});

}  // namespace vlalign
