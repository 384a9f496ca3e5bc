// A web server on loopback whose answers a test makes, the broken ones too.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace vlalign::test {

struct HttpCall {
  std::string method, target;
  std::map<std::string, std::string> headers;  // by names in lower case
  std::string body;

  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
  std::string path() const { return target.substr(0, target.find('?')); }
};

struct HttpReply {
  int status = 200;
  std::map<std::string, std::string> headers = {};
  std::string body = {};
  // What goes wrong:
  std::optional<std::size_t> cut_after = {};       // so many bytes of the body, and the connection ends
  std::optional<std::size_t> stall_after = {};     // the same, and it stays open
  std::optional<std::size_t> content_length = {};  // what is said in place of the body's
  bool unknown_length = false;                     // none is said, the end of the connection is the body's
  bool chunked = false;                            // the same, and the end is told
  double pause_s = 0;                              // before each KB of the body
  std::string raw = {};                            // in place of all
};

class HttpServer {
 public:
  using Handler = std::function<HttpReply(const HttpCall&)>;

  explicit HttpServer(Handler handler) : handler_(std::move(handler)), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, any, size) != 0 || ::listen(listener_, 128) != 0 || ::getsockname(listener_, any, &size) != 0)
      throw std::runtime_error("no socket to listen on");
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept(); });
  }
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer() { stop(); }

  /// Nobody is answered any more.
  void stop() {
    if (stopping_.exchange(true)) return;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    ::close(listener_);
    {
      const std::lock_guard lock(mutex_);
      for (const int connection : open_) ::shutdown(connection, SHUT_RDWR);
    }
    for (auto& thread : threads_) thread.join();
  }

  std::string url(const std::string& path = "") const { return "http://127.0.0.1:" + std::to_string(port_) + path; }

  std::vector<HttpCall> calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }
  /// How many of this method came, of this path if one is named.
  std::int64_t count(const std::string& method, const std::string& path = "") const {
    const auto all = calls();
    return std::count_if(all.begin(), all.end(), [&](const auto& call) {
      return call.method == method && (path.empty() || call.path() == path);
    });
  }
  int connections() const { return connections_; }

 private:
  void accept() {
    for (;;) {
      const int connection = ::accept(listener_, nullptr, nullptr);
      if (stopping_) {
        if (connection >= 0) ::close(connection);
        return;
      }
      if (connection < 0) continue;
      const int yes = 1;
      ::setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
      ++connections_;
      const std::lock_guard lock(mutex_);
      open_.push_back(connection);
      threads_.emplace_back([this, connection] { serve(connection); });
    }
  }

  void serve(int connection) {
    std::string waiting;
    while (const auto call = receive(connection, waiting)) {
      {
        const std::lock_guard lock(mutex_);
        calls_.push_back(*call);
      }
      if (!answer(connection, *call, handler_(*call))) break;
    }
    const std::lock_guard lock(mutex_);
    open_.remove(connection);
    ::close(connection);
  }

  static bool receive_some(int connection, std::string& waiting) {
    char piece[65536];
    const auto got = ::recv(connection, piece, sizeof piece, 0);
    if (got <= 0) return false;
    waiting.append(piece, static_cast<std::size_t>(got));
    return true;
  }

  static std::optional<HttpCall> receive(int connection, std::string& waiting) {
    std::size_t end = 0;
    while ((end = waiting.find("\r\n\r\n")) == waiting.npos) {
      if (!receive_some(connection, waiting)) return std::nullopt;
    }
    auto call = parse(std::string_view(waiting).substr(0, end + 2));
    waiting.erase(0, end + 4);
    if (!call.header("expect").empty()) send_all(connection, "HTTP/1.1 100 Continue\r\n\r\n");
    const auto length = call.header("content-length");
    std::size_t body = 0;
    std::from_chars(length.data(), length.data() + length.size(), body);
    while (waiting.size() < body) {
      if (!receive_some(connection, waiting)) return std::nullopt;
    }
    call.body = waiting.substr(0, body);
    waiting.erase(0, body);
    return call;
  }

  static HttpCall parse(std::string_view head) {
    HttpCall call;
    const auto first = head.substr(0, head.find("\r\n"));
    call.method = first.substr(0, first.find(' '));
    call.target = first.substr(call.method.size() + 1, first.rfind(' ') - call.method.size() - 1);
    head.remove_prefix(first.size() + 2);
    while (!head.empty()) {
      const auto line = head.substr(0, head.find("\r\n"));
      head.remove_prefix(line.size() + 2);
      const auto colon = line.find(':');
      std::string name(line.substr(0, colon));
      std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
      const auto value = line.substr(colon + 1);
      call.headers[name] = value.substr(std::min(value.find_first_not_of(' '), value.size()));
    }
    return call;
  }

  static bool send_all(int connection, std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  /// False: the connection ends.
  bool answer(int connection, const HttpCall& call, const HttpReply& reply) {
    if (!reply.raw.empty()) {
      send_all(connection, reply.raw);
      return false;
    }
    std::string head = "HTTP/1.1 " + std::to_string(reply.status) + " -\r\n";
    if (reply.chunked) {
      head += "Transfer-Encoding: chunked\r\n";
    } else if (!reply.unknown_length) {
      head += "Content-Length: " + std::to_string(reply.content_length.value_or(reply.body.size())) + "\r\n";
    }
    for (const auto& [name, value] : reply.headers) head += name + ": " + value + "\r\n";
    if (!send_all(connection, head + "\r\n")) return false;
    if (call.method == "HEAD" || reply.status == 204 || reply.status == 304) return !reply.unknown_length;
    const auto end = std::min({reply.body.size(), reply.cut_after.value_or(reply.body.size()),
                               reply.stall_after.value_or(reply.body.size())});
    if (reply.chunked) return send_chunks(connection, std::string_view(reply.body).substr(0, end), !reply.cut_after);
    if (!send_body(connection, std::string_view(reply.body).substr(0, end), reply.pause_s)) return false;
    if (reply.stall_after) wait_for_end(connection);
    return end == reply.body.size() && !reply.unknown_length && !reply.content_length && !reply.stall_after;
  }

  static bool send_chunks(int connection, std::string_view body, bool whole) {
    for (; !body.empty(); body.remove_prefix(std::min<std::size_t>(body.size(), 70000))) {
      const auto chunk = body.substr(0, 70000);
      char size[20];
      std::snprintf(size, sizeof size, "%zx\r\n", chunk.size());
      if (!send_all(connection, size) || !send_all(connection, chunk) || !send_all(connection, "\r\n")) return false;
    }
    return whole && send_all(connection, "0\r\n\r\n");
  }

  bool send_body(int connection, std::string_view body, double pause_s) const {
    if (pause_s <= 0) return send_all(connection, body);
    for (; !body.empty() && !stopping_; body.remove_prefix(std::min<std::size_t>(body.size(), 1024))) {
      std::this_thread::sleep_for(std::chrono::duration<double>(pause_s));
      if (!send_all(connection, body.substr(0, 1024))) return false;
    }
    return body.empty();
  }

  void wait_for_end(int connection) const {
    pollfd waited{connection, POLLRDHUP, 0};
    while (!stopping_ && ::poll(&waited, 1, 20) == 0) continue;
  }

  Handler handler_;
  int listener_, port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> connections_ = 0;
  mutable std::mutex mutex_;
  std::vector<HttpCall> calls_;
  std::list<int> open_;
  std::list<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace vlalign::test
