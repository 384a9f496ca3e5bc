// A bucket of S3 on loopback that takes only requests whose signatures it finds right.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "support/file_server.hpp"
#include "support/sha256.hpp"

namespace vlalign::test {

struct S3Account {
  std::string access_key, secret_key, session_token, region = "us-east-1";
};

inline std::string percent_decoded(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
    } else {
      plain += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    }
  }
  return plain;
}

/// As AWS wants it, byte by byte.
inline std::string aws_encoded(std::string_view text, bool slashes) {
  std::string encoded;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) ||
        (c && std::string_view("-._~").find(c) != std::string_view::npos) || (c == '/' && slashes)) {
      encoded += c;
    } else {
      char code[4];
      std::snprintf(code, sizeof code, "%%%02X", static_cast<unsigned>(static_cast<unsigned char>(c)));
      encoded += code;
    }
  }
  return encoded;
}

inline std::map<std::string, std::string> query_of(const HttpCall& call) {
  std::map<std::string, std::string> query;
  const auto mark = call.target.find('?');
  if (mark == call.target.npos) return query;
  std::istringstream parts(call.target.substr(mark + 1));
  for (std::string part; std::getline(parts, part, '&');) {
    const auto equals = std::min(part.find('='), part.size());
    query[percent_decoded(part.substr(0, equals))] =
        percent_decoded(std::string_view(part).substr(std::min(equals + 1, part.size())));
  }
  return query;
}

/// The part of "Credential=..., SignedHeaders=..., Signature=..." behind a name.
inline std::string part_of(const std::string& authorization, const std::string& name) {
  const auto at = authorization.find(name + "=");
  if (at == authorization.npos) return "";
  const auto begin = at + name.size() + 1;
  return authorization.substr(begin, authorization.find(',', begin) - begin);
}

/// The request as version 4 signs it: from what was meant, not from how it was written.
inline std::string canonical_request(const HttpCall& call, const std::string& signed_headers) {
  std::string text = call.method + "\n" + aws_encoded(percent_decoded(call.path()), true) + "\n";
  std::string query;
  for (const auto& [name, value] : query_of(call))
    query += (query.empty() ? "" : "&") + aws_encoded(name, false) + "=" + aws_encoded(value, false);
  text += query + "\n";
  std::istringstream names(signed_headers);
  for (std::string name; std::getline(names, name, ';');) text += name + ":" + call.header(name) + "\n";
  return text + "\n" + signed_headers + "\n" + call.header("x-amz-content-sha256");
}

inline std::string signature_of(const HttpCall& call, const std::string& signed_headers, const std::string& secret_key,
                                const std::string& region) {
  const auto time = call.header("x-amz-date"), day = time.substr(0, 8);
  const auto scope = day + "/" + region + "/s3/aws4_request";
  const auto text =
      "AWS4-HMAC-SHA256\n" + time + "\n" + scope + "\n" + hex_of(sha256(canonical_request(call, signed_headers)));
  auto key = hmac_sha256("AWS4" + secret_key, day);
  for (const auto& step : {region, std::string("s3"), std::string("aws4_request")}) key = hmac_sha256(key, step);
  return hex_of(hmac_sha256(key, text));
}

/// Why the request is refused; empty when it isn't.
inline std::string fault_of_signature(const HttpCall& call, const S3Account& account) {
  const auto authorization = call.header("authorization");
  if (!authorization.starts_with("AWS4-HMAC-SHA256 ")) return "AccessDenied";
  const auto credential = part_of(authorization, "Credential"), headers = part_of(authorization, "SignedHeaders");
  const auto day = call.header("x-amz-date").substr(0, 8);
  if (!credential.starts_with(account.access_key + "/")) return "InvalidAccessKeyId";
  if (credential != account.access_key + "/" + day + "/" + account.region + "/s3/aws4_request")
    return "AuthorizationHeaderMalformed";
  if (call.header("x-amz-security-token") != account.session_token) return "InvalidToken";
  std::set<std::string> names;
  std::istringstream list(headers);
  for (std::string name; std::getline(list, name, ';');) names.insert(name);
  for (const auto& [name, value] : call.headers) {
    if ((name == "host" || name == "content-type" || name.starts_with("x-amz-")) && !names.contains(name))
      return "AccessDenied";  // these must be signed
  }
  const auto hash = call.header("x-amz-content-sha256");
  if (hash.empty()) return "MissingContentSHA256";
  if (hash != "UNSIGNED-PAYLOAD" && hash != hex_of(sha256(call.body))) return "XAmzContentSHA256Mismatch";
  const auto right = signature_of(call, headers, account.secret_key, account.region);
  return part_of(authorization, "Signature") == right ? "" : "SignatureDoesNotMatch";
}

class S3Server {
 public:
  using Fault = std::function<void(const HttpCall&, HttpReply&)>;
  using Gate = std::function<bool(const HttpCall&)>;

  explicit S3Server(S3Account account)
      : account_(std::move(account)), server_([this](const HttpCall& call) { return reply_to(call); }) {}

  /// Without a signature too.
  void allow_everybody() { open_ = true; }
  void plant(const std::string& method, const Fault& fault, int times = 1) {
    const std::lock_guard lock(mutex_);
    for (int i = 0; i < times; ++i) faults_[method].push_back(fault);
  }
  /// False: AccessDenied, and nothing is done. It may keep a call waiting.
  void set_gate(Gate gate) {
    const std::lock_guard lock(mutex_);
    gate_ = std::move(gate);
  }
  std::map<std::string, std::string> objects() const {
    const std::lock_guard lock(mutex_);
    return objects_;
  }
  void put(const std::string& key, const std::string& bytes) {
    const std::lock_guard lock(mutex_);
    objects_[key] = bytes;
  }
  std::size_t unfinished_uploads() const {
    const std::lock_guard lock(mutex_);
    return uploads_.size();
  }
  HttpServer& server() { return server_; }

  static constexpr std::size_t page = 3;  // keys in an answer

 private:
  Gate gate() const {
    const std::lock_guard lock(mutex_);
    return gate_;
  }

  static HttpReply error(int status, const std::string& code) {
    return {
        .status = status,
        .headers = {{"Content-Type", "application/xml"}},
        .body = "<?xml version=\"1.0\"?>\n<Error><Code>" + code + "</Code><Message>why &amp; how</Message></Error>"};
  }

  HttpReply reply_to(const HttpCall& call) {
    if (const auto gate = this->gate(); gate && !gate(call)) return error(403, "AccessDenied");
    const std::lock_guard lock(mutex_);
    const auto fault = open_ ? "" : fault_of_signature(call, account_);
    auto reply = fault.empty() ? do_it(call) : error(403, fault);
    auto& faults = faults_[call.method];
    if (faults.empty()) return reply;
    faults.front()(call, reply);
    faults.pop_front();
    return reply;
  }

  HttpReply do_it(const HttpCall& call) {
    const auto path = percent_decoded(call.path());
    if (path != "/bkt" && !path.starts_with("/bkt/")) return error(404, "NoSuchBucket");
    const auto key = path.size() > 5 ? path.substr(5) : "";
    auto query = query_of(call);
    if (key.empty()) return list(query);
    if (query.contains("uploads")) return begin_upload(key);
    if (query.contains("uploadId")) return go_on(call, query);
    if (call.method == "PUT") {
      objects_[key] = call.body;
      return {.headers = {{"ETag", etag_of(call.body)}}};
    }
    if (call.method == "DELETE") {
      objects_.erase(key);
      return {.status = 204};
    }
    const auto found = objects_.find(key);
    if (found == objects_.end()) return error(404, "NoSuchKey");
    return reply_with({found->second, etag_of(found->second)}, call);
  }

  static std::string etag_of(const std::string& bytes) {
    return "\"" + std::to_string(std::hash<std::string>()(bytes)) + "\"";
  }

  HttpReply list(std::map<std::string, std::string>& query) {
    std::string keys, next;
    std::size_t count = 0;
    for (const auto& [key, bytes] : objects_) {
      if (!key.starts_with(query["prefix"]) || key <= query["continuation-token"]) continue;
      if (count++ == page) break;
      std::string written;
      for (const char c : key)
        written += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '\r' ? "&#13;" : std::string(1, c);
      keys += "<Contents><Key>" + written + "</Key><Owner><ID>Key</ID></Owner><Size>1</Size></Contents>";
      next = key;
    }
    const bool more = count > page;
    return {.body = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"x\"><Name>bkt</Name><Prefix/><IsTruncated>" +
                    std::string(more ? "true" : "false") + "</IsTruncated>" + keys +
                    (more ? "<NextContinuationToken>" + next + "</NextContinuationToken>" : "") +
                    "</ListBucketResult>"};
  }

  HttpReply begin_upload(const std::string& key) {
    const auto id = "id+/=" + std::to_string(++last_upload_);
    uploads_[id].first = key;
    return {.body = "<InitiateMultipartUploadResult><UploadId>" + id + "</UploadId></InitiateMultipartUploadResult>"};
  }

  HttpReply go_on(const HttpCall& call, std::map<std::string, std::string>& query) {
    const auto found = uploads_.find(query["uploadId"]);
    if (found == uploads_.end()) return error(404, "NoSuchUpload");
    auto& [key, parts] = found->second;
    if (call.method == "PUT") {
      parts[std::stoi(query["partNumber"])] = call.body;
      return {.headers = {{"ETag", etag_of(call.body)}}};
    }
    if (call.method == "POST") {
      std::string whole;
      for (const auto& [number, bytes] : parts) {
        if (call.body.find("<Part><PartNumber>" + std::to_string(number) + "</PartNumber><ETag>" + etag_of(bytes)) ==
            call.body.npos)
          return error(400, "InvalidPart");
        whole += bytes;
      }
      objects_[key] = whole;
    }
    uploads_.erase(found);
    return {.status = call.method == "POST" ? 200 : 204};
  }

  S3Account account_;
  std::atomic<bool> open_ = false;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> objects_;
  std::map<std::string, std::pair<std::string, std::map<int, std::string>>> uploads_;
  std::map<std::string, std::deque<Fault>> faults_;
  int last_upload_ = 0;
  Gate gate_;
  HttpServer server_;
};

}  // namespace vlalign::test
