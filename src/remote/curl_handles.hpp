// libcurl's handles, kept with their open connections. Internal.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>

namespace vlalign {

/// An easy handle and the multi handle that drives it and holds its connections; for one thread at a time.
struct CurlHandles {
  CURLM* multi = nullptr;
  CURL* easy = nullptr;

  CurlHandles();
  CurlHandles(const CurlHandles&) = delete;
  CurlHandles& operator=(const CurlHandles&) = delete;
  ~CurlHandles();
};

/// Handles that belong to the caller while this lives, with the options of a new handle. They come from a pool of the
/// process and go back to it, so that the next request to the same host finds a connection.
class LeasedHandles {
 public:
  explicit LeasedHandles(const std::string& url);
  LeasedHandles(const LeasedHandles&) = delete;
  LeasedHandles& operator=(const LeasedHandles&) = delete;
  ~LeasedHandles();

  /// To be closed in place of kept: after a fault, libcurl's handle may keep what it can't be set up again with.
  void discard() { discarded_ = true; }

  CURLM* multi() const { return handles_->multi; }
  CURL* easy() const { return handles_->easy; }

 private:
  std::string host_;
  bool discarded_ = false;
  std::unique_ptr<CurlHandles> handles_;
};

}  // namespace vlalign
