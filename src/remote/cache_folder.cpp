#include "remote/cache_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <tuple>
#include <utility>

#include "core/check.hpp"
#include "core/fingerprint.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

template <typename... Args>
void require(bool holds, fmt::format_string<Args...> format, Args&&... args) {
  if (!holds) throw CacheFault(fmt::format(format, std::forward<Args>(args)...));
}

constexpr std::string_view marker = ".vlalign-shard";
constexpr std::string_view partial_prefix = ".partial-";
constexpr std::size_t hash_digits = 32;

/// The end of the url's path, for people who look into the folder.
std::string readable_tail(const std::string& url) {
  constexpr std::size_t most = 60;
  const auto path = url.substr(0, url.find_first_of("?#"));
  auto tail = path.substr(path.rfind('/') + 1);
  if (tail.size() > most) tail.erase(0, tail.size() - most);
  for (auto& c : tail) {
    const bool plain =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-';
    if (!plain) c = '_';
  }
  return tail;
}

std::string copy_name(const RemoteObject& object) {
  const auto& identity = object.identity;
  const auto version = Fingerprint().add(identity.etag).add(identity.last_modified).add(identity.size).hex();
  return fmt::format("{}-{}-{}{}", CacheFolder::url_hash(object.location), version.substr(0, 16),
                     readable_tail(object.location), marker);
}

FileDescriptor open_regular(const fs::path& path, int flags, struct stat& status) {
  FileDescriptor file(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644));
  if (file && (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode))) return FileDescriptor();
  return file;
}

}  // namespace

struct CacheFolder::Entry {
  fs::path path;
  std::string url;         ///< its hash
  std::int64_t bytes = 0;  ///< of one that is being made: as it will be
  std::int64_t on_disk = 0;
  timespec used{};
  bool removable = true;
};

namespace {

/// One of our files, without its size and times.
struct OurName {
  std::string url;
  std::optional<std::int64_t> whole_size;  ///< of a partial one
};

std::optional<OurName> our_name(std::string_view name) {
  if (!name.ends_with(marker)) return std::nullopt;
  OurName ours;
  if (name.starts_with(partial_prefix)) {
    name.remove_prefix(partial_prefix.size());
    std::int64_t size = 0;
    const auto [end, fault] = std::from_chars(name.data(), name.data() + name.size(), size);
    if (fault != std::errc() || *end != '-') return std::nullopt;
    ours.whole_size = size;
    name.remove_prefix(static_cast<std::size_t>(end - name.data()) + 1);
  }
  if (name.size() <= hash_digits || name[hash_digits] != '-') return std::nullopt;
  ours.url = name.substr(0, hash_digits);
  return ours;
}

bool is_being_made(const fs::path& partial) {
  struct stat status {};
  const auto file = open_regular(partial, O_RDONLY, status);
  return file && ::flock(file.get(), LOCK_EX | LOCK_NB) != 0;
}

}  // namespace

CacheFolder::CacheFolder(const fs::path& folder, std::int64_t most_bytes) : folder_(folder), most_bytes_(most_bytes) {
  require(!folder.empty(), "the cache of remote files: no folder is named");
  std::error_code fault;
  fs::create_directories(folder, fault);
  require(!fault, "{}: cannot make the folder of the cache: {}", folder.string(), fault.message());
  lock();
}

std::string CacheFolder::url_hash(const std::string& url) { return Fingerprint().add(url).hex(); }

fs::path CacheFolder::copy_of(const RemoteObject& object) const { return folder_ / copy_name(object); }

fs::path CacheFolder::partial_of(const RemoteObject& object) const {
  return folder_ / fmt::format("{}{}-{}", partial_prefix, object.identity.size, copy_name(object));
}

FileDescriptor CacheFolder::lock() const {
  const auto path = folder_ / ".vlalign-cache-lock";
  FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  require(static_cast<bool>(file), "{}: cannot write: {}", path.string(), std::strerror(errno));
  while (::flock(file.get(), LOCK_EX) != 0) {
    require(errno == EINTR, "{}: cannot lock: {}; the cache needs a folder on a disk of this machine", path.string(),
            std::strerror(errno));
  }
  return file;
}

std::shared_ptr<const InputFile> CacheFolder::open(const RemoteObject& object) const {
  struct stat status {};
  auto file = open_regular(copy_of(object), O_RDONLY, status);
  if (!file || status.st_size != object.identity.size) return nullptr;
  ::futimens(file.get(), nullptr);
  const int descriptor = ::fcntl(file.get(), F_DUPFD_CLOEXEC, 0);
  if (descriptor < 0) return nullptr;
  return std::make_shared<const InputFile>(descriptor, object.location);
}

/// All of ours but `own`, which is being made.
std::vector<CacheFolder::Entry> CacheFolder::entries(const fs::path& own) const {
  std::vector<Entry> all;
  std::error_code fault;
  for (fs::directory_iterator each(folder_, fault), end; !fault && each != end; each.increment(fault)) {
    const auto& path = each->path();
    const auto ours = our_name(path.filename().string());
    struct stat status {};
    if (!ours || path == own || ::lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    Entry entry{path, ours->url, status.st_size, status.st_size, status.st_mtim};
    if (ours->whole_size && is_being_made(path)) {
      entry.bytes = *ours->whole_size;
      entry.removable = false;
    }
    all.push_back(std::move(entry));
  }
  require(!fault, "{}: cannot be listed: {}", folder_.string(), fault.message());
  return all;
}

/// In the order of removal: what isn't needed, by when it was used; then what is needed last.
void CacheFolder::keep_removable(std::vector<Entry>& all, const CacheNeeds& needs, std::int64_t place) {
  const auto need_of = [&](const Entry& entry) {
    const auto found = needs.find(entry.url);
    return found == needs.end() ? std::numeric_limits<std::int64_t>::max() : found->second;
  };
  std::erase_if(all, [&](const Entry& entry) { return !entry.removable || need_of(entry) <= place; });
  std::sort(all.begin(), all.end(), [&](const Entry& a, const Entry& b) {
    const auto key = [&](const Entry& e) { return std::tuple(-need_of(e), e.used.tv_sec, e.used.tv_nsec, e.path); };
    return key(a) < key(b);
  });
}

/// The limit, or what the disk holds of ours and could hold more.
std::int64_t CacheFolder::most_bytes_now(const std::vector<Entry>& all, std::int64_t own_bytes) const {
  std::error_code unknown;
  const auto space = fs::space(folder_, unknown);
  if (unknown) return most_bytes_;
  auto possible = static_cast<std::int64_t>(std::min(space.available, static_cast<std::uintmax_t>(most_bytes_)));
  for (const auto& entry : all) possible += entry.on_disk;
  return std::min(most_bytes_, possible + own_bytes);
}

bool CacheFolder::make_room(const CacheClaim& claim, std::int64_t bytes, const CacheNeeds& needs,
                            std::int64_t place) const {
  auto all = entries(claim.partial);
  const auto most = most_bytes_now(all, claim.begin);
  auto total = bytes;
  for (const auto& entry : all) total += entry.bytes;
  keep_removable(all, needs, place);
  // Nothing is removed in vain.
  auto least = total;
  for (const auto& entry : all) least -= entry.bytes;
  if (least > most) return false;
  for (const auto& entry : all) {
    if (total <= most) break;
    if (::unlink(entry.path.c_str()) != 0 && errno != ENOENT) return false;
    total -= entry.bytes;
  }
  return true;
}

CacheClaim CacheFolder::claim(const RemoteObject& object, const CacheNeeds& needs, std::int64_t place) const {
  const auto size = object.identity.size;
  const auto held = lock();
  if (open(object)) return {CacheState::whole};
  CacheClaim claim{.partial = partial_of(object)};
  if (size > most_bytes_) return {CacheState::no_room};
  struct stat status {};
  claim.file = open_regular(claim.partial, O_RDWR | O_CREAT, status);
  if (!claim.file) {
    if (errno == ENOSPC || errno == EDQUOT) return {CacheState::no_room};
    require(false, "{}: cannot write: {}", claim.partial.string(), std::strerror(errno));
  }
  if (::flock(claim.file.get(), LOCK_EX | LOCK_NB) != 0) return {CacheState::busy};
  if (status.st_size > size && ::ftruncate(claim.file.get(), 0) == 0) status.st_size = 0;
  claim.begin = status.st_size;
  if (!make_room(claim, size, needs, place)) {
    ::unlink(claim.partial.c_str());
    return {CacheState::full};
  }
  claim.state = CacheState::claimed;
  return claim;
}

void CacheFolder::finish(const RemoteObject& object, CacheClaim claim) const {
  // Synced first: after a power cut a name must not stand for a file whose bytes were never written.
  require(::fsync(claim.file.get()) == 0, "{}: cannot write: {}", claim.partial.string(), std::strerror(errno));
  struct stat status {};
  require(::fstat(claim.file.get(), &status) == 0 && status.st_size == object.identity.size,
          "{}: holds {} bytes, {} came", claim.partial.string(), status.st_size, object.identity.size);
  const auto held = lock();
  require(leads_to(claim.partial, claim.file), "{}: was removed while it was written", claim.partial.string());
  require(::rename(claim.partial.c_str(), copy_of(object).c_str()) == 0, "{}: cannot be renamed: {}",
          claim.partial.string(), std::strerror(errno));
}

void CacheFolder::drop(CacheClaim claim) {
  if (leads_to(claim.partial, claim.file)) ::unlink(claim.partial.c_str());
}

bool CacheFolder::remove_one(const CacheNeeds& needs, std::int64_t place, const fs::path& own) const {
  const auto held = lock();
  auto all = entries(own);
  keep_removable(all, needs, place);
  return !all.empty() && ::unlink(all.front().path.c_str()) == 0;
}

}  // namespace vlalign
