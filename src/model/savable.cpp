#include "model/savable.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/io/files.hpp"
#include "model/peers/config_json.hpp"
#include "model/peers/folder_tokenizer.hpp"
#include "model/peers/peer_limits.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

/// A folder of one's own for temporary files, gone with this.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::error_code error;
    auto name = (fs::temp_directory_path(error) / "vlalign-XXXXXX").string();
    check(!error, "TMPDIR names no folder for temporary files: {}", error.message());
    if (::mkdtemp(name.data()) == nullptr)
      fail("{}: cannot make a folder for temporary files (TMPDIR names another place): {}", name, std::strerror(errno));
    path_ = name;
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace

void check_savable(const DualEncoder& model) {
  const ScratchFolder scratch;
  write_description(scratch.path(), model);
  log_peer_limits(model.config());
}

void write_description(const fs::path& folder, const DualEncoder& model) {
  const auto& config = model.config();
  const auto& tokenizer = *model.tokenizer();
  check_comes_back(config);
  // A model of towers that its user brings is put together by the user, with the tokenizer that goes with them.
  const bool own = std::holds_alternative<OwnTowers>(config.vision);
  if (!own) check_fits(tokenizer, config.text, fmt::format("[save] model {}", config.name));
  for (const auto& file : config_files(config)) write_file_atomically(folder / file.name, file.text);
  own ? tokenizer.save(folder) : save_tokenizer(tokenizer, folder, config.text, config.layout);
}

}  // namespace vlalign
