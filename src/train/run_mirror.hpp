// A copy of a run folder in S3 that follows it. Internal.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace vlalign {

/// Uploads what a run has written, on a thread of its own: the newest checkpoint first, then config.json, metrics and
/// events, and last checkpoints/latest, so that this names a whole checkpoint at any moment. Checkpoints that a newer
/// one overtakes are left out; those that are up stay. A fault is a warning, and tried again.
class RunMirror {
 public:
  ///   every_s: between uploads of metrics where there is no checkpoint, and between attempts
  RunMirror(std::filesystem::path run, std::string url, double every_s = 60);
  RunMirror(const RunMirror&) = delete;
  RunMirror& operator=(const RunMirror&) = delete;
  /// Ends the upload that is under way, where finish() wasn't called.
  ~RunMirror();

  /// Before the run folder is opened: fetches it where it has no checkpoint and the mirror has. Throws Error, and has
  /// changed nothing there, when the mirror can't be read or written, or holds another run, or any without resume.
  void prepare(const nlohmann::json& settings, bool resume);

  /// Once the run folder is open: from here on it is followed.
  void begin();
  void checkpoint_written();

  /// Waits until all is up, with the models too where the run is over. Why it isn't; empty where all went well.
  std::string finish(bool over);

 private:
  void work(const std::stop_token& stop);
  /// False: it is the last time.
  bool wait(const std::stop_token& stop);
  void attempt(const std::stop_token& stop, bool last);
  void upload_state(const std::stop_token& stop, bool last);
  void upload_folder(const std::string& name, const std::stop_token& stop);
  void upload_logs(const std::stop_token& stop);
  void upload_best(const std::stop_token& stop);
  void upload_events(const std::stop_token& stop);
  void upload_grown(const std::string& name, const std::string& text, const std::stop_token& stop);
  std::string newest() const;
  std::string url_of(const std::string& name) const { return url_ + "/" + name; }

  std::filesystem::path run_;
  std::string url_;
  double every_s_;
  // The worker's, once it is there.
  std::string latest_there_;                  // what checkpoints/latest of the mirror names
  std::string best_there_;                    // what checkpoints/best does
  std::set<std::string> up_;                  // files of the folders since then
  std::map<std::string, std::size_t> sizes_;  // of the files that grow, as they are up
  std::string fault_, tried_;                 // of the last attempt: why it failed, and of which checkpoint it was
  std::optional<std::string> told_;           // of which a fault was told, since when none went well

  std::mutex mutex_;
  std::condition_variable_any changed_;
  bool fresh_ = false, closing_ = false, over_ = false, done_ = false;
  std::jthread worker_;
};

/// Uploads files that were written into a run folder behind its training. Throws Error when they can't be.
void add_to_mirror(const std::string& mirror, const std::filesystem::path& run, const std::vector<std::string>& names);

}  // namespace vlalign
