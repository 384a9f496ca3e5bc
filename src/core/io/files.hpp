// Files that are never half written: made beside their place, synced, renamed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace vlalign {

/// What a path names, links followed; of the type not_found where there is nothing. Throws Error naming the path and
/// the system's reason, such as links that lead to themselves.
std::filesystem::file_status status_of(const std::filesystem::path& path);
bool is_there(const std::filesystem::path& path);
bool is_folder(const std::filesystem::path& path);

/// The paths of what is in a folder, in the order of their names. Throws Error naming the folder.
std::vector<std::filesystem::path> entries_of(const std::filesystem::path& folder);

/// Writes `contents` to a temporary name beside `path`, syncs it and renames it over `path`; a link is followed. Throws
/// Error naming the path and the system's reason, and then has changed nothing. What is no regular file is never
/// replaced.
void write_file_atomically(const std::filesystem::path& path, std::string_view contents);

/// The same in pieces: `fill` calls the function it is given with one piece after the other.
void write_file_atomically(const std::filesystem::path& path,
                           const std::function<void(const std::function<void(std::string_view)>&)>& fill);

/// Makes the names in a folder last through a power cut.
void sync_folder(const std::filesystem::path& folder);

/// The most bytes of a file that is read whole: 30 times the largest tokenizer.json that is published (Gemma's), and,
/// as parsed JSON takes some ten times its text, what a machine may still hold.
constexpr std::int64_t largest_file = std::int64_t{1} << 30;
/// For files that grow with a run, which the program itself has written.
constexpr std::int64_t any_size = std::numeric_limits<std::int64_t>::max();

/// The whole of a regular file; throws Error naming it and the system's reason. A device or a pipe is no file: one
/// never ends, the other waits for a writer.
std::string read_file(const std::filesystem::path& path, std::int64_t most_bytes = largest_file);

/// The same of a text file, behind a byte order mark. Throws Error too when it is UTF-16.
std::string read_text(const std::filesystem::path& path);

/// What read_text() gives, of a pipe too: of a list that a shell hands over as <(...) or that comes from /dev/stdin.
std::string read_text_or_pipe(const std::filesystem::path& path);

/// Where set-up put shared files such as CLIP's vocabulary: $VLALIGN_SHARE, else share/vlalign beside the library's
/// lib/, else the folder known when the library was built.
std::filesystem::path share_folder();

}  // namespace vlalign
