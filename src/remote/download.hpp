// Whole files of other machines. Internal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "remote/remote_object.hpp"

namespace vlalign {

/// Calls `take` with all bytes of what is at the url, in order, each once. Throws Error when it can't be read or
/// changes meanwhile.
void download(const std::string& url, const TakeBytes& take);

/// The whole of a small object. Throws Error when it is longer than `most_bytes`.
std::string read_remote(const std::string& url, std::int64_t most_bytes);

/// The same of what may not be there: nothing where the server answers 404, or 403, which S3 answers instead when one
/// may not list the bucket.
std::optional<std::string> read_remote_if_there(const std::string& url, std::int64_t most_bytes);

}  // namespace vlalign
