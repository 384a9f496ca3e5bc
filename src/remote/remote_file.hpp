// Files of other machines, behind http://, https:// and s3://, read at any offset. Internal.
#pragma once

#include <string>
#include <string_view>

#include "core/io/input_file.hpp"
#include "remote/remote_object.hpp"

namespace vlalign {

/// Whether it begins with http://, https:// or s3://.
bool is_remote(std::string_view location);

/// Each read is a request for these bytes; where it breaks, another one asks for the rest. Throws Error when the
/// server's file isn't the one any more that it was when this was made.
class RemoteFile : public RandomAccess {
 public:
  /// Asks for its size. Throws Error when it isn't there or may not be read.
  explicit RemoteFile(const std::string& url);
  /// Of what is known already: asks nothing.
  explicit RemoteFile(RemoteObject object);

  const std::string& name() const override { return object_.location; }  ///< as the user wrote it
  std::int64_t size() const override { return object_.identity.size; }
  const std::string& etag() const { return object_.identity.etag; }  ///< empty where the server says none
  const RemoteObject& object() const { return object_; }

  using RandomAccess::read;
  void read(std::int64_t offset, std::span<std::byte> bytes) const override;

 private:
  RemoteObject object_;
};

}  // namespace vlalign
