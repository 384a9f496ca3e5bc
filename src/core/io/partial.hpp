// What is being made beside its place. Internal.
#pragma once

#include <filesystem>
#include <string_view>

#include "core/io/file_descriptor.hpp"

namespace vlalign {

/// A file or folder beside `place` under a name of ours: place.vlalign.partial-0, or the next number that is free. It
/// is locked as long as this lives, and the system lets go of the lock when the process ends, however it ends: so what
/// a dead writer left is taken over by the next one, and what a living one is at is left alone.
class Partial {
 public:
  /// type: regular or directory. Throws Error naming the place and the system's reason.
  Partial(const std::filesystem::path& place, std::filesystem::file_type type);
  Partial(const Partial&) = delete;
  Partial& operator=(const Partial&) = delete;
  /// Removes what stands under the name.
  ~Partial();

  const std::filesystem::path& path() const { return path_; }
  int descriptor() const { return open_.get(); }

  /// After the folder has taken its place and what was there has this name: keeps that, to be removed.
  void take_replaced();

 private:
  bool acquire();
  bool take();

  std::filesystem::path place_, path_;
  bool is_folder_;
  FileDescriptor open_;
};

bool is_partial_name(std::string_view name);

/// Removes what dead writers left in a folder.
void remove_dead_partials(const std::filesystem::path& folder);

}  // namespace vlalign
