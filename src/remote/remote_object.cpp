#include "remote/remote_object.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include "core/ascii.hpp"
#include "core/check.hpp"
#include "remote/patience.hpp"
#include "remote/percent.hpp"
#include "remote/remote_error.hpp"
#include "remote/s3.hpp"

namespace vlalign {
namespace {

constexpr std::int64_t no_end = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t most_skipped = 8 << 20;  ///< of what a server sends that knows no ranges

std::optional<std::int64_t> number_of(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc() || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

/// Of "bytes 5-9/1000" or, where nothing is sent, "bytes */1000".
struct ContentRange {
  std::optional<std::int64_t> first, total;
};

ContentRange content_range(const HttpResponse& response) {
  const auto all = response.header("content-range");
  std::string_view text = all;
  if (!text.starts_with("bytes ")) return {};
  text.remove_prefix(6);
  const auto slash = text.find('/');
  if (slash == text.npos) return {};
  return {number_of(text.substr(0, text.find('-'))), number_of(text.substr(slash + 1))};
}

/// A proxy that packs what it passes on makes an ETag weak.
std::string_view strong_part(std::string_view etag) { return etag.starts_with("W/") ? etag.substr(2) : etag; }

bool is_another(const RemoteIdentity& known, const RemoteIdentity& now) {
  if (known.size >= 0 && now.size >= 0 && known.size != now.size) return true;
  if (!known.etag.empty() && !now.etag.empty()) return strong_part(known.etag) != strong_part(now.etag);
  return !known.last_modified.empty() && !now.last_modified.empty() && known.last_modified != now.last_modified;
}

/// What a 200 or 206 says of the whole object.
RemoteIdentity identity_in(const HttpResponse& response) {
  const auto whole =
      response.status == 206 ? content_range(response).total : number_of(response.header("content-length"));
  return {whole.value_or(-1), response.header("etag"), response.header("last-modified")};
}

/// Of an empty object no byte can be asked for.
bool is_empty_object(const HttpResponse& response) {
  return response.status == 416 && content_range(response).total == 0;
}

class Transfer {
 public:
  Transfer(RemoteObject object, std::int64_t begin, std::int64_t end, bool rest, const TakeBytes& take,
           const std::stop_token& stop)
      : object_(std::move(object)), at_(begin), end_(end), rest_(rest), take_(take), stop_(stop) {}

  void run() {
    if (at_ == end_) return;
    Patience patience(object_.location, stop_);
    persist(patience, [&] {
      const auto before = at_;
      try {
        attempt();
      } catch (const BrokenTransfer&) {
        patience.progress(at_ - before);
        throw;
      }
    });
  }

 private:
  void attempt();
  void begin(const HttpResponse& response);
  void learn(const RemoteIdentity& now, const HttpResponse& response);
  void begin_part(const HttpResponse& response);
  void begin_whole();
  bool take(std::span<const std::byte> bytes);
  [[noreturn]] void fail_changed() const;

  RemoteObject object_;
  std::int64_t at_, end_, skip_ = 0;
  bool rest_;
  const TakeBytes& take_;
  const std::stop_token& stop_;
};

void Transfer::attempt() {
  const bool plain = at_ == 0 && (rest_ || end_ == object_.identity.size);
  std::vector<std::string> headers;
  if (!plain) headers.push_back(fmt::format("Range: bytes={}-{}", at_, end_ == no_end ? "" : std::to_string(end_ - 1)));
  const auto response = exchange(
      request_for(object_.location, "GET", headers),
      {.begin = [&](const auto& answer) { begin(answer); }, .take = [&](auto bytes) { return take(bytes); }}, stop_);
  if (response.status == 416) fail_changed();  // it ends before what it held when it was opened
  check_answer(object_.location, response);
  if (end_ == no_end) end_ = at_;  // an end that was not announced
  if (at_ < end_) {
    throw BrokenTransfer(fmt::format("the server's answer ends at byte {}, {} bytes before its end", at_, end_ - at_));
  }
}

void Transfer::fail_changed() const {
  throw RemoteError(
      fmt::format("{}: has changed since it was opened: the server has another object there now", object_.location), 0);
}

void Transfer::begin(const HttpResponse& response) {
  const auto now = identity_in(response);
  if (is_another(object_.identity, now)) fail_changed();
  if (object_.identity.size < 0) learn(now, response);
  skip_ = 0;
  if (response.status == 206) return begin_part(response);
  if (at_ > 0) begin_whole();
}

/// Without a length only a body in chunks tells whether all of it came.
void Transfer::learn(const RemoteIdentity& now, const HttpResponse& response) {
  check(now.size >= 0 || lower(response.header("transfer-encoding")) == "chunked",
        "{}: its server doesn't say how large it is (Content-Length)", object_.location);
  object_.identity = now;
  if (now.size >= 0) end_ = now.size;
}

void Transfer::begin_part(const HttpResponse& response) {
  const auto first = content_range(response).first;
  if (first == at_) return;
  throw BrokenTransfer(fmt::format("asked for bytes from {} on, the server answers with Content-Range: {}", at_,
                                   response.header("content-range")));
}

void Transfer::begin_whole() {
  if (!rest_ && at_ >= most_skipped)
    throw NoRanges(
        fmt::format("{}: its server knows no ranges, so that what lies behind the first {} MB can't be read by itself; "
                    "download the file, or use a server that answers Range with 206",
                    object_.location, most_skipped >> 20));
  skip_ = at_;
}

bool Transfer::take(std::span<const std::byte> bytes) {
  const auto skipped = std::min<std::int64_t>(skip_, static_cast<std::int64_t>(bytes.size()));
  skip_ -= skipped;
  bytes = bytes.subspan(static_cast<std::size_t>(skipped));
  if (bytes.empty()) return true;
  const auto wanted = std::min<std::int64_t>(end_ - at_, static_cast<std::int64_t>(bytes.size()));
  if (wanted == 0) return false;
  take_(bytes.first(static_cast<std::size_t>(wanted)));
  at_ += wanted;
  return true;
}

/// An answer that is judged by who asks.
HttpResponse ask(const std::string& location, const HttpRequest& request, const std::stop_token& stop) {
  HttpResponse response;
  Patience patience(location, stop);
  persist(patience, [&] {
    response = exchange(request, {.take = [](auto) { return false; }}, stop);
    if (may_pass(response.status)) check_answer(location, response);
  });
  return response;
}

}  // namespace

HttpRequest request_for(const std::string& location, const std::string& method,
                        const std::vector<std::string>& headers) {
  if (is_s3(location)) return s3_request(method, s3_place(location), {}, headers);
  HttpRequest request;
  request.method = method;
  request.url = percent_encoded(location, "!#$%&'()*+,/:;=?@[]");
  request.headers = headers;
  return request;
}

RemoteObject find_remote(const std::string& location, const std::stop_token& stop) {
  const auto head = ask(location, request_for(location, "HEAD"), stop);
  if (head.status == 404 || head.status == 410) check_answer(location, head);
  if (head.status == 200 && identity_in(head).size >= 0) return {location, identity_in(head)};
  const auto first = ask(location, request_for(location, "GET", {"Range: bytes=0-0"}), stop);
  if (is_empty_object(first)) return {location, {0, first.header("etag"), first.header("last-modified")}};
  check_answer(location, first);
  const auto identity = identity_in(first);
  check(identity.size >= 0, "{}: its server doesn't say how large it is (Content-Length)", location);
  return {location, identity};
}

void transfer_range(const RemoteObject& object, std::int64_t begin, std::int64_t end, const TakeBytes& take,
                    const std::stop_token& stop) {
  Transfer(object, begin, end, false, take, stop).run();
}

void transfer_rest(const RemoteObject& object, std::int64_t begin, const TakeBytes& take, const std::stop_token& stop) {
  const auto size = object.identity.size;
  Transfer(object, begin, size < 0 ? no_end : size, true, take, stop).run();
}

}  // namespace vlalign
