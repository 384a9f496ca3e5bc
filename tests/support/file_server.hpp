// Files behind HTTP with ranges and ETags, and faults that are planted.
#pragma once

#include <cstdio>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "support/http_server.hpp"

namespace vlalign::test {

struct ServedFile {
  std::string bytes, etag = "\"one\"", last_modified = {};
};

/// What a GET of this file is answered with.
inline HttpReply reply_with(const ServedFile& file, const HttpCall& call) {
  HttpReply reply;
  if (!file.etag.empty()) reply.headers["ETag"] = file.etag;
  if (!file.last_modified.empty()) reply.headers["Last-Modified"] = file.last_modified;
  const auto size = file.bytes.size();
  std::size_t first = 0, last = 0;
  const auto range = call.header("range");
  const int numbers = std::sscanf(range.c_str(), "bytes=%zu-%zu", &first, &last);
  if (numbers < 1) {
    reply.body = file.bytes;
    return reply;
  }
  if (numbers == 1 || last >= size) last = size - 1;
  if (first >= size) return {.status = 416, .headers = {{"Content-Range", "bytes */" + std::to_string(size)}}};
  reply.status = 206;
  reply.headers["Content-Range"] =
      "bytes " + std::to_string(first) + "-" + std::to_string(last) + "/" + std::to_string(size);
  reply.body = file.bytes.substr(first, last - first + 1);
  return reply;
}

class FileServer {
 public:
  using Fault = std::function<void(const HttpCall&, HttpReply&)>;

  FileServer() : server_([this](const HttpCall& call) { return reply_to(call); }) {}

  void put(const std::string& path, ServedFile file) {
    const std::lock_guard lock(mutex_);
    files_[path] = std::move(file);
  }
  /// Changes the answer to the next GET that meets no earlier one, so many times.
  void plant(const Fault& fault, int times = 1) {
    const std::lock_guard lock(mutex_);
    for (int i = 0; i < times; ++i) faults_.push_back(fault);
  }
  /// Changes every answer, those to HEAD too.
  void change_all(const Fault& change) {
    const std::lock_guard lock(mutex_);
    change_ = change;
  }

  std::string url(const std::string& path) const { return server_.url(path); }
  HttpServer& server() { return server_; }
  std::int64_t count(const std::string& method, const std::string& path = "") const {
    return server_.count(method, path);
  }

 private:
  HttpReply reply_to(const HttpCall& call) {
    const std::lock_guard lock(mutex_);
    const auto found = files_.find(call.path());
    auto reply = found == files_.end() ? HttpReply{.status = 404} : reply_with(found->second, call);
    if (change_) change_(call, reply);
    if (call.method != "GET" || faults_.empty()) return reply;
    faults_.front()(call, reply);
    faults_.pop_front();
    return reply;
  }

  std::mutex mutex_;
  std::map<std::string, ServedFile> files_;
  std::deque<Fault> faults_;
  Fault change_;
  HttpServer server_;
};

}  // namespace vlalign::test
