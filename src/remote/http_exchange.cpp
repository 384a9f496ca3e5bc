#include "remote/http_exchange.hpp"

#include <curl/curl.h>

#include <chrono>
#include <exception>
#include <memory>

#include "core/ascii.hpp"
#include "core/check.hpp"
#include "remote/curl_handles.hpp"
#include "remote/environment.hpp"
#include "remote/remote_error.hpp"
#include "remote/remote_options.hpp"

namespace vlalign {
namespace {

using Clock = std::chrono::steady_clock;
using HeaderList = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

constexpr std::size_t most_of_a_refusal = 8192;
constexpr long receive_buffer = 256 << 10;

HeaderList header_list(const std::vector<std::string>& headers) {
  HeaderList list(nullptr, &curl_slist_free_all);
  for (const auto& header : headers) {
    auto* longer = curl_slist_append(list.get(), header.c_str());
    check(longer, "libcurl: not enough memory");
    static_cast<void>(list.release());
    list.reset(longer);
  }
  return list;
}

/// Whether it would be another address by the rules for folders "." and "..", as no key of S3 is.
bool has_dot_segment(const std::string& url) {
  const auto path = url.substr(0, url.find('?')) + "/";
  return path.find("/./") != path.npos || path.find("/../") != path.npos;
}

class Exchange {
 public:
  Exchange(const HttpRequest& request, const HttpReceiver& receiver, const std::stop_token& stop)
      : request_(request), receiver_(receiver), stop_(stop), handles_(request.url) {}

  HttpResponse run();

 private:
  template <typename Value>
  void set(CURLoption option, Value value) {
    const auto result = curl_easy_setopt(handles_.easy(), option, value);
    check(result == CURLE_OK, "{}: libcurl refuses an option: {}", request_.url, curl_easy_strerror(result));
  }
  void set_up();
  void set_method();
  void set_signer();
  void set_certificates();
  CURLcode drive();
  void watch(Clock::time_point& last, curl_off_t& seen);
  void judge(CURLcode result);
  void begin();
  void take_header(std::string_view line);
  bool take_body(std::span<const std::byte> bytes);
  std::string told(CURLcode result) const { return *fault_ ? fault_ : curl_easy_strerror(result); }

  static std::size_t on_header(char* data, std::size_t, std::size_t size, void* self);
  static std::size_t on_body(char* data, std::size_t, std::size_t size, void* self);

  const HttpRequest& request_;
  const HttpReceiver& receiver_;
  const std::stop_token& stop_;
  LeasedHandles handles_;
  HeaderList headers_{nullptr, &curl_slist_free_all};
  char fault_[CURL_ERROR_SIZE] = {};
  HttpResponse response_;
  std::exception_ptr thrown_;
  bool begun_ = false, enough_ = false;
  curl_off_t came_ = 0;  ///< bytes of headers and body
  double timeout_s_ = remote_options().timeout_s;
};

void Exchange::set_up() {
  set(CURLOPT_URL, request_.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  set(CURLOPT_FOLLOWLOCATION, request_.follow ? 1L : 0L);
  set(CURLOPT_MAXREDIRS, 10L);
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));  // a connection for each thread
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_NOPROGRESS, 1L);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_BUFFERSIZE, receive_buffer);
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(timeout_s_ * 1000) + 1);
  set(CURLOPT_USERAGENT, "vlalign");
  set(CURLOPT_ERRORBUFFER, fault_);
  set(CURLOPT_HEADERFUNCTION, &Exchange::on_header);
  set(CURLOPT_HEADERDATA, static_cast<void*>(this));
  set(CURLOPT_WRITEFUNCTION, &Exchange::on_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(this));
#if LIBCURL_VERSION_NUM >= 0x075700
  set(CURLOPT_QUICK_EXIT, 1L);  // no wait for a name server that doesn't answer
#endif
  set_method();
  set_certificates();
  if (request_.signer) set_signer();
  headers_ = header_list(request_.headers);
  set(CURLOPT_HTTPHEADER, headers_.get());
}

void Exchange::set_method() {
  if (request_.method == "HEAD") return set(CURLOPT_NOBODY, 1L);
  if (request_.method == "GET") return set(CURLOPT_HTTPGET, 1L);
  if (request_.method != "DELETE") {
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    set(CURLOPT_POSTFIELDS, request_.body.empty() ? "" : request_.body.data());
  }
  set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
}

/// libcurl 7.87 was the first to sign all headers and to take the body's hash from one.
void Exchange::set_signer() {
  const auto* version = curl_version_info(CURLVERSION_NOW);
  check(version->version_num >= 0x075700, "{}: libcurl {} can't sign requests to S3: 7.87 or newer can", request_.url,
        version->version);
  set(CURLOPT_AWS_SIGV4, fmt::format("aws:amz:{}:s3", request_.signer->region).c_str());
  set(CURLOPT_USERNAME, request_.signer->access_key.c_str());
  set(CURLOPT_PASSWORD, request_.signer->secret_key.c_str());
  if (has_dot_segment(request_.url)) set(CURLOPT_PATH_AS_IS, 1L);  // which newer ones of libcurl refuse to sign
}

/// libcurl alone would know the system's only.
void Exchange::set_certificates() {
  for (const char* variable : {"AWS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"}) {
    if (const auto path = environment(variable); !path.empty()) return set(CURLOPT_CAINFO, path.c_str());
  }
}

std::size_t Exchange::on_header(char* data, std::size_t, std::size_t size, void* self) {
  auto& exchange = *static_cast<Exchange*>(self);
  exchange.came_ += static_cast<curl_off_t>(size);
  try {
    exchange.take_header({data, size});
    return size;
  } catch (...) {
    exchange.thrown_ = std::current_exception();
    return 0;
  }
}

std::size_t Exchange::on_body(char* data, std::size_t, std::size_t size, void* self) {
  auto& exchange = *static_cast<Exchange*>(self);
  exchange.came_ += static_cast<curl_off_t>(size);
  try {
    return exchange.take_body({reinterpret_cast<const std::byte*>(data), size}) ? size : 0;
  } catch (...) {
    exchange.thrown_ = std::current_exception();
    return 0;
  }
}

void Exchange::take_header(std::string_view line) {
  if (line.starts_with("HTTP/")) {  // of this answer, not of one that led here
    response_ = {};
    return;
  }
  const auto colon = line.find(':');
  if (colon == line.npos) return;
  response_.headers.insert_or_assign(lower(trim(line.substr(0, colon))), std::string(trim(line.substr(colon + 1))));
}

void Exchange::begin() {
  if (std::exchange(begun_, true)) return;
  long status = 0;
  curl_off_t wait = 0;
  curl_easy_getinfo(handles_.easy(), CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(handles_.easy(), CURLINFO_RETRY_AFTER, &wait);
  response_.status = static_cast<int>(status);
  response_.retry_after_s = static_cast<double>(wait);
  if (status >= 200 && status < 300) receiver_.begin(response_);
}

bool Exchange::take_body(std::span<const std::byte> bytes) {
  begin();
  count_bytes(static_cast<std::int64_t>(bytes.size()));
  if (response_.status >= 200 && response_.status < 300) {
    enough_ = !receiver_.take(bytes);
    return !enough_;
  }
  const auto room = most_of_a_refusal - response_.body.size();
  response_.body.append(reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), room));
  return true;
}

/// Throws when it was stopped, or nothing moved for too long.
void Exchange::watch(Clock::time_point& last, curl_off_t& seen) {
  if (stop_.stop_requested()) throw StoppedTransfer(request_.url + ": the transfer was stopped");
  curl_off_t sent = 0;
  curl_easy_getinfo(handles_.easy(), CURLINFO_SIZE_UPLOAD_T, &sent);
  const auto now = Clock::now();
  if (came_ + sent != seen) {
    seen = came_ + sent;
    last = now;
  } else if (std::chrono::duration<double>(now - last).count() > timeout_s_) {
    throw BrokenTransfer(fmt::format("no byte came for {} s", timeout_s_));
  }
}

CURLcode Exchange::drive() {
  auto last = Clock::now();
  curl_off_t seen = 0;
  int running = 1;
  auto result = curl_multi_add_handle(handles_.multi(), handles_.easy());
  while (result == CURLM_OK) {
    result = curl_multi_perform(handles_.multi(), &running);
    if (running == 0 || result != CURLM_OK) break;
    watch(last, seen);
    result = curl_multi_poll(handles_.multi(), nullptr, 0, 100, nullptr);
  }
  check(result == CURLM_OK, "{}: libcurl: {}", request_.url, curl_multi_strerror(result));
  int left = 0;
  const auto* message = curl_multi_info_read(handles_.multi(), &left);
  check(message && message->msg == CURLMSG_DONE, "{}: libcurl ends without a result", request_.url);
  return message->data.result;
}

void Exchange::judge(CURLcode result) {
  if (thrown_) std::rethrow_exception(thrown_);
  if (enough_ && result == CURLE_WRITE_ERROR) return;
  if (result != CURLE_OK) handles_.discard();
  switch (result) {
    case CURLE_OK:
      return;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      fail(
          "{}: the server's certificate isn't trusted: {}; a file of those that are is named by "
          "SSL_CERT_FILE, or before it by CURL_CA_BUNDLE or AWS_CA_BUNDLE",
          request_.url, told(result));
    case CURLE_URL_MALFORMAT:
      fail("{}: is no address: {}", request_.url, told(result));
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_FAILED_INIT:
    case CURLE_NOT_BUILT_IN:
    case CURLE_OUT_OF_MEMORY:
    case CURLE_BAD_FUNCTION_ARGUMENT:
      fail("{}: {}", request_.url, told(result));
    default:
      throw BrokenTransfer(told(result));
  }
}

HttpResponse Exchange::run() {
  set_up();
  count_request();
  judge(drive());
  begin();
  return std::move(response_);
}

}  // namespace

std::string HttpResponse::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

HttpResponse exchange(const HttpRequest& request, const HttpReceiver& receiver, const std::stop_token& stop) {
  return Exchange(request, receiver, stop).run();
}

}  // namespace vlalign
