// What an object on another machine is told by, and its bytes in sequence. Internal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>
#include <string>

#include "remote/http_exchange.hpp"

namespace vlalign {

/// Which of the contents that an address has had it is.
struct RemoteIdentity {
  std::int64_t size = -1;           ///< below 0: not known yet
  std::string etag, last_modified;  ///< empty where the server says none
};

struct RemoteObject {
  std::string location;  ///< as the user wrote it
  RemoteIdentity identity;
};

/// Asks the server, with HEAD or, where it refuses that, for the first byte. Throws Error when it isn't there, may not
/// be read, or the server doesn't say how large it is.
RemoteObject find_remote(const std::string& location, const std::stop_token& stop = {});

/// An http(s) or s3 request for what is at the location.
HttpRequest request_for(const std::string& location, const std::string& method,
                        const std::vector<std::string>& headers = {});

using TakeBytes = std::function<void(std::span<const std::byte>)>;

/// Gives the bytes [begin, end) in order, each once, over as many requests as that takes. Throws Error when the server
/// has another object there now, or for good reasons stops giving; what was taken until then is right.
void transfer_range(const RemoteObject& object, std::int64_t begin, std::int64_t end, const TakeBytes& take,
                    const std::stop_token& stop = {});

/// The same from `begin` to the end, from a server that knows no ranges too. A size that isn't known yet is learned
/// from the first answer.
void transfer_rest(const RemoteObject& object, std::int64_t begin, const TakeBytes& take,
                   const std::stop_token& stop = {});

}  // namespace vlalign
