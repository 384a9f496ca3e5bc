#include <algorithm>
#include <exception>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "core/check.hpp"
#include "core/io/input_file.hpp"
#include "core/log.hpp"
#include "remote/bucket.hpp"
#include "remote/bucket_request.hpp"
#include "remote/remote_error.hpp"
#include "remote/remote_object.hpp"
#include "remote/xml.hpp"

namespace vlalign {
namespace {

constexpr std::int64_t most_at_once = 64 << 20;
constexpr std::int64_t usual_part = 16 << 20;
constexpr std::int64_t most_parts = 10'000;  ///< S3's limit

const std::vector<std::string> any_bytes = {"Content-Type: application/octet-stream"};

std::string_view text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// None where nothing is, or nothing that may be read.
std::optional<RemoteIdentity> identity_at(const std::string& url) {
  try {
    return find_remote(url).identity;
  } catch (const RemoteError& error) {
    if (error.status() == 404 || error.status() == 403) return std::nullopt;
    throw;
  }
}

/// An upload in parts, which S3 keeps, and charges for, until it is completed or aborted.
class PartedUpload {
 public:
  PartedUpload(const std::string& url, std::stop_token stop)
      : url_(url), place_(s3_place(url)), stop_(std::move(stop)), before_(identity_at(url)) {
    const auto answer =
        send(url_, place_, {.method = "POST", .query = {{"uploads", ""}}, .headers = any_bytes}, stop_).body;
    const auto id = xml_text(answer, "UploadId");
    check(id && !id->empty(), "{}: the server begins no upload in parts: it names no UploadId", url_);
    id_ = *id;
  }

  void put(std::string_view part) {
    const auto number = std::to_string(etags_.size() + 1);
    const auto answer = send(
        url_, place_,
        {.method = "PUT", .query = {{"partNumber", number}, {"uploadId", id_}}, .headers = any_bytes, .body = part},
        stop_);
    etags_.push_back(answer.response.header("etag"));
    check(!etags_.back().empty(), "{}: the server names no ETag of part {}", url_, number);
  }

  void complete(std::int64_t size) {
    std::string list = "<CompleteMultipartUpload>";
    for (std::size_t i = 0; i < etags_.size(); ++i) {
      list += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", i + 1, xml_escaped(etags_[i]));
    }
    list += "</CompleteMultipartUpload>";
    try {
      send(url_, place_,
           {.method = "POST", .query = {{"uploadId", id_}}, .headers = {"Content-Type: application/xml"}, .body = list},
           stop_);
    } catch (const RemoteError& error) {
      if (error.status() != 404 || !is_completed(size)) throw;
    }
  }

  /// When it was stopped too.
  void abort() noexcept {
    try {
      send(url_, place_, {.method = "DELETE", .query = {{"uploadId", id_}}});
    } catch (const std::exception& error) {
      log_warning("{}: the parts of an upload that failed may be left there (upload {}): {}", url_, id_, error.what());
    }
  }

 private:
  /// The answer to an earlier attempt may have been lost, and the upload is unknown once it is completed.
  bool is_completed(std::int64_t size) const {
    const auto now = identity_at(url_);
    return now && now->size == size && (!before_ || before_->etag != now->etag);
  }

  std::string url_;
  S3Place place_;
  std::stop_token stop_;
  std::optional<RemoteIdentity> before_;
  std::string id_;
  std::vector<std::string> etags_;
};

void upload_in_parts(const std::string& url, const InputFile& file, std::int64_t size, const std::stop_token& stop) {
  const auto part = std::max(usual_part, (size + most_parts - 1) / most_parts);
  PartedUpload parts(url, stop);
  try {
    for (std::int64_t at = 0; at < size; at += part) parts.put(text_of(file.read(at, std::min(part, size - at))));
    check(file.size() == size, "{}: grew while it was uploaded", file.name());
    parts.complete(size);
  } catch (...) {
    parts.abort();
    throw;
  }
}

/// Throws Error unless it names an object.
S3Place object_place(const std::string& url) {
  auto place = s3_place(url);
  check(!place.key.empty() && !place.key.ends_with('/'), "{}: should be s3://bucket/key, which names a file", url);
  return place;
}

}  // namespace

void upload(const std::string& url, const std::filesystem::path& path) {
  object_place(url);
  upload(url, InputFile(path));
}

void upload(const std::string& url, const InputFile& file, const std::stop_token& stop) {
  object_place(url);
  const auto size = file.size();
  if (size > most_at_once) return upload_in_parts(url, file, size, stop);
  upload_text(url, text_of(file.read(0, size)), stop);
}

void upload_text(const std::string& url, std::string_view text, const std::stop_token& stop) {
  send(url, object_place(url), {.method = "PUT", .headers = any_bytes, .body = text}, stop);
}

}  // namespace vlalign
