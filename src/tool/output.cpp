#include "tool/output.hpp"

#include <c10/util/Exception.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>

#include "core/check.hpp"
#include "core/json/dump_json.hpp"

namespace vlalign::tool {
namespace {

/// Not through fmt, which throws where stderr is gone.
int failed(const std::string& why) {
  std::fputs(("vlalign: " + why + "\n").c_str(), stderr);
  return 1;
}

/// Without the codes that the JSON library puts before its reasons, such as "[json.exception.type_error.302] ".
std::string without_codes(std::string text) {
  constexpr std::string_view code = "[json.exception.";
  for (auto begin = text.find(code); begin != text.npos; begin = text.find(code, begin)) {
    const auto end = text.find("] ", begin);
    if (end == text.npos) break;
    text.erase(begin, end + 2 - begin);
  }
  return text;
}

int failed_inside(const std::string& why) {
  const auto line = without_codes(why.substr(0, why.find('\n')));
  return failed("internal error, please report it with the command that led here: " + line);
}

int failed_for_memory() {
  return failed("out of memory: something of the sizes asked for doesn't fit in this machine");
}

bool is_lack_of_memory(const c10::Error& error) {
  const std::string_view why = error.what_without_backtrace();
  return dynamic_cast<const c10::OutOfMemoryError*>(&error) || why.find("can't allocate memory") != why.npos ||
         why.find("not enough memory") != why.npos;
}

void finish_stdout() {
  errno = 0;
  std::cout.flush();
  const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && std::cout.good();
  const auto why = errno == 0 ? std::string("an earlier write failed") : std::string(std::strerror(errno));
  check(written, "cannot write to stdout: {}", why);
}

}  // namespace

void print_json(const nlohmann::ordered_json& json) { fmt::print("{}\n", dump_readable(json)); }

std::string indented(const nlohmann::ordered_json& json) { return dump_readable(json, 2); }

void prepare_streams() {
  std::signal(SIGPIPE, SIG_IGN);
  // Opened the wrong way round, so that using one that the caller closed still fails.
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) < 0 && errno == EBADF)
      ::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);  // takes the lowest number that is free
  }
}

int exit_status_of(const std::function<int()>& work) {
  try {
    const auto status = work();
    finish_stdout();
    return status;
  } catch (const Error& error) {
    return failed(without_codes(error.what()));
  } catch (const std::bad_alloc&) {
    return failed_for_memory();
  } catch (const std::length_error&) {
    return failed_for_memory();
  } catch (const c10::Error& error) {
    return is_lack_of_memory(error) ? failed_for_memory() : failed_inside(error.what_without_backtrace());
  } catch (const std::filesystem::filesystem_error& error) {
    return failed(error.path1().string() + ": " + error.code().message());
  } catch (const std::system_error& error) {
    return failed("the system refuses: " + error.code().message());
  } catch (const std::exception& error) {
    return failed_inside(error.what());
  }
}

}  // namespace vlalign::tool
