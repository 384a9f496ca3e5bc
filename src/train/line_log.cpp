#include "train/line_log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/json/json_section.hpp"
#include "core/json/parse_json.hpp"
#include "core/log.hpp"

namespace vlalign {

std::string lines_up_to(const std::filesystem::path& file, std::int64_t step, bool once) {
  if (!is_there(file)) return {};
  auto text = read_file(file, any_size);
  std::size_t kept = 0;
  std::int64_t last = once ? 0 : -1;
  for (int number = 1; !once || last < step; ++number) {
    const auto end = text.find('\n', kept);
    if (end == text.npos) break;
    const auto where = fmt::format("{}:{}", file.string(), number);
    const auto line = parse_json(std::string_view(text).substr(kept, end - kept), where);
    const auto next = JsonSection(line, where).require<std::int64_t>("step");
    check(once ? next > last : next >= last, "{}.step: expected {} {}, the line before, got {}", where,
          once ? "more than" : "at least", last, next);
    if (next > step) break;
    last = next, kept = end + 1;
  }
  text.resize(kept);
  return text;
}

LineLog::LineLog(std::filesystem::path file, const std::string& lines) : file_(std::move(file)) {
  write_file_atomically(file_, lines);
  open_ = FileDescriptor(::open(file_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  check(static_cast<bool>(open_), "{}: cannot open: {}", file_.string(), std::strerror(errno));
}

void LineLog::append(const std::string& line) {
  pending_ += line + "\n";
  write_pending();
}

void LineLog::write_pending() {
  const bool was_well = fault_.empty();
  fault_.clear();
  while (!pending_.empty()) {
    const auto count = ::write(open_.get(), pending_.data(), pending_.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      fault_ = count < 0 ? std::strerror(errno) : "nothing was taken";
      break;
    }
    pending_.erase(0, static_cast<std::size_t>(count));
  }
  if (was_well && !fault_.empty())
    log_warning("{}: cannot write: {}; is the disk full? The run goes on, and its lines are kept until there is room",
                file_.string(), fault_);
  if (!was_well && fault_.empty()) log_info("{}: there is room again, no line is missing", file_.string());
}

void LineLog::check_written() const {
  check(pending_.empty(), "{}: cannot write: {}; is the disk full?", file_.string(), fault_);
}

}  // namespace vlalign
