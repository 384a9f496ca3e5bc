#include "remote/bucket_request.hpp"

#include "core/check.hpp"
#include "remote/patience.hpp"
#include "remote/remote_error.hpp"
#include "remote/xml.hpp"

namespace vlalign {
namespace {

constexpr std::size_t most_answered = 64 << 20;

/// S3 may answer 200 before it knows how the request ends.
void check_body(const std::string& body) {
  if (xml_elements(body, "Error").empty()) return;
  throw BrokenTransfer(fmt::format("the server answers {}: {}", xml_text(body, "Code").value_or("an error"),
                                   xml_text(body, "Message").value_or("it says no more")));
}

}  // namespace

BucketAnswer send(const std::string& location, const S3Place& place, const BucketRequest& request,
                  const std::stop_token& stop) {
  BucketAnswer answer;
  const HttpReceiver receiver{.begin = [&](const auto&) { answer.body.clear(); },
                              .take =
                                  [&](auto bytes) {
                                    check(answer.body.size() + bytes.size() <= most_answered,
                                          "{}: the server's answer is longer than any should be", location);
                                    answer.body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                                    return true;
                                  }};
  Patience patience(location, stop);
  persist(patience, [&] {
    answer.response =
        exchange(s3_request(request.method, place, request.query, request.headers, request.body), receiver, stop);
    check_answer(location, answer.response);
    check_body(answer.body);
  });
  return answer;
}

}  // namespace vlalign
