#include "data/sources/picture_files.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/log.hpp"
#include "vlalign/image/image.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

class Search {
 public:
  std::vector<fs::path> in(const fs::path& folder) {
    const Entered entered(*this, folder);
    add_all(entries_of(folder));
    if (warnings_ > named) log_warning("{} more places could not be searched", warnings_ - named);
    return std::move(pictures_);
  }

 private:
  static constexpr int named = 10;
  using Identity = std::pair<std::uintmax_t, std::uintmax_t>;  // of a folder, by whatever path it is reached

  /// A folder, for as long as what is below it is searched.
  class Entered {
   public:
    Entered(Search& search, const fs::path& folder) : search_(search) {
      struct stat status {};
      if (::stat(folder.c_str(), &status) == 0) identity_ = {status.st_dev, status.st_ino};
      is_loop_ = search_.above_.contains(identity_);
      is_new_ = search_.seen_.insert(identity_).second;
      if (is_new_) search_.above_.insert(identity_);
    }
    Entered(const Entered&) = delete;
    ~Entered() {
      if (is_new_) search_.above_.erase(identity_);
    }
    bool is_loop() const { return is_loop_; }
    bool is_new() const { return is_new_; }

   private:
    Search& search_;
    Identity identity_;
    bool is_loop_ = false, is_new_ = false;
  };

  void add_all(const std::vector<fs::path>& entries) {
    for (const auto& path : entries) {
      std::error_code error;
      const auto type = fs::status(path, error).type();
      if (type == fs::file_type::none) warn(fmt::format("{}: cannot look there: {}", path.string(), error.message()));
      if (type == fs::file_type::regular && is_image_file(path)) pictures_.push_back(path);
      if (type == fs::file_type::directory) add_below(path);
    }
  }

  void add_below(const fs::path& folder) {
    const Entered entered(*this, folder);
    if (entered.is_loop()) warn(fmt::format("{}: leads back to a folder that it lies in", folder.string()));
    if (!entered.is_new()) return;
    std::vector<fs::path> entries;
    try {
      entries = entries_of(folder);
    } catch (const Error& error) {
      return warn(error.what());
    }
    add_all(entries);
  }

  void warn(const std::string& why) {
    if (++warnings_ <= named) log_warning("{}; it is left out", why);
  }

  std::vector<fs::path> pictures_;
  std::set<Identity> seen_, above_;
  int warnings_ = 0;
};

}  // namespace

std::vector<fs::path> picture_files(const fs::path& folder) {
  check(is_folder(folder), "{}: no such folder", folder.string());
  auto pictures = Search().in(folder);
  check(!pictures.empty(), "{}: no pictures in this folder or below (.jpg, .jpeg, .jpe, .jfif, .png, .apng or .webp)",
        folder.string());
  std::sort(pictures.begin(), pictures.end());
  return pictures;
}

}  // namespace vlalign
