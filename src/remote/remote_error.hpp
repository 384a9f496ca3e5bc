// What goes wrong on the way to another machine. Internal.
#pragma once

#include <string>

#include "remote/http_exchange.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign {

/// Another attempt is of no use: the server's answer is final, or has stayed the same.
class RemoteError : public Error {
 public:
  RemoteError(const std::string& message, int status) : Error(message), status_(status) {}
  int status() const { return status_; }  ///< HTTP's; 0 where it isn't the answer that is at fault

 private:
  int status_;
};

/// The server can't give a part of a file.
class NoRanges : public RemoteError {
 public:
  explicit NoRanges(const std::string& message) : RemoteError(message, 0) {}
};

/// A fault that another attempt may not meet.
class BrokenTransfer : public Error {
 public:
  explicit BrokenTransfer(const std::string& message, double retry_after_s = 0)
      : Error(message), retry_after_s_(retry_after_s) {}
  double retry_after_s() const { return retry_after_s_; }  ///< what the server asks for

 private:
  double retry_after_s_;
};

/// Somebody who waits no longer asked for it to end.
class StoppedTransfer : public Error {
 public:
  using Error::Error;
};

/// Whether the answer is one that may pass by itself: 408, 429, and 5xx but for what the server will never do.
bool may_pass(int status);

/// Throws BrokenTransfer for an answer that may pass, RemoteError for every other answer that isn't 2xx, with what the
/// user can do about it.
///   location: as the user wrote it
void check_answer(const std::string& location, const HttpResponse& response);

}  // namespace vlalign
