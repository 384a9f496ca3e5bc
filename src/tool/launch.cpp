#include <fmt/format.h>
#include <fmt/ranges.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <sstream>
#include <string_view>
#include <thread>

#include "core/check.hpp"
#include "core/log.hpp"
#include "tool/commands.hpp"
#include "tool/output.hpp"
#include "tool/rank_processes.hpp"

namespace vlalign::tool {
namespace {

struct LaunchFlags {
  int ranks = 0;
  std::string hosts;
  int restarts = 0;
  std::optional<int> elastic;
  int port = 0;
  std::vector<std::string> command;
};

/// A machine of the job; an empty name is this one.
struct Host {
  std::string name;
  int slots = 0;  ///< ranks it takes
};

bool is_number(std::string_view text, int& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

/// As others reach it: ssh's "user@host" without the user.
std::string address_of(const std::string& place) { return place.substr(place.find('@') + 1); }

/// "robot-7" or "robot-7 slots=4", a host a line.
std::vector<Host> read_hosts(const std::string& file, int ranks) {
  if (file.empty()) return {{.name = "", .slots = ranks}};
  std::vector<Host> hosts;
  const auto lines = read_lines(file);
  const int each = (ranks - 1) / static_cast<int>(lines.size()) + 1;
  for (const auto& line : lines) {
    std::istringstream words(line);
    Host host{.name = {}, .slots = each};
    std::string slots, more;
    words >> host.name >> slots >> more;
    constexpr std::string_view key = "slots=";
    const bool fits =
        slots.empty() || (slots.starts_with(key) && more.empty() &&
                          is_number(std::string_view(slots).substr(key.size()), host.slots) && host.slots > 0);
    // A name that begins with a dash would be an option of ssh's.
    check(fits && host.name.front() != '-', "{}: expected \"HOST\" or \"HOST slots=N\" in each line, got \"{}\"", file,
          line);
    hosts.push_back(std::move(host));
  }
  return hosts;
}

/// Which host each rank runs on, the first hosts first.
std::vector<std::string> places_of(const std::vector<Host>& hosts, int ranks, const std::string& file) {
  std::vector<std::string> places;
  for (const auto& host : hosts)
    for (int slot = 0; slot < host.slots && std::ssize(places) < ranks; ++slot) places.push_back(host.name);
  check(std::ssize(places) == ranks, "{}: has places for {} ranks, and -n asks for {}", file, places.size(), ranks);
  return places;
}

/// A port of this machine that nobody listens at now.
int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  socklen_t size = sizeof(address);
  const bool found = fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (fd >= 0) ::close(fd);
  check(found, "there is no free port for the ranks to meet at; name one with --port");
  return ntohs(address.sin_port);
}

/// As one word for the shell at the far end.
std::string quoted(const std::string& word) {
  std::string text = "'";
  for (const char letter : word) text += letter == '\'' ? "'\\''" : std::string(1, letter);
  return text + "'";
}

std::string this_program() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

/// On another host through ssh, in a folder of the same path.
RankCommand at_host(const std::string& host, RankCommand command) {
  auto line = "cd " + quoted(std::filesystem::current_path().string());
  for (const auto* name : {"OMP_NUM_THREADS", "GLOO_SOCKET_IFNAME"})
    if (const char* value = std::getenv(name)) command.variables[name] = value;
  if (!command.variables.contains("OMP_NUM_THREADS"))  // that host's cores
    line += fmt::format(" && n=$(($(nproc) / {})) && export OMP_NUM_THREADS=$((n > 0 ? n : 1))",
                        command.variables.at("LOCAL_WORLD_SIZE"));
  line += " && exec env";
  for (const auto& [name, value] : command.variables) line += " " + quoted(name + "=" + value);
  for (const auto& word : command.words) line += " " + quoted(word);
  // Two -t: the far process ends with its connection.
  return {.words = {"ssh", "-tt", "-o", "BatchMode=yes", host, line}, .variables = {}};
}

std::vector<RankCommand> commands_of(const LaunchFlags& flags, const std::vector<std::string>& places, int attempt) {
  std::map<std::string, int> here;  // ranks of each host so far
  std::map<std::string, int> all;
  for (const auto& place : places) ++all[place];
  auto words = flags.command;
  words.insert(words.begin(), this_program());
  const bool trains = flags.command.front() == "train";
  const bool resumes = std::any_of(words.begin(), words.end(), [](const std::string& word) {
    return word == "--resume" || word.starts_with("--resume=");
  });
  if (trains && attempt > 0 && !resumes) words.push_back("--resume");
  const auto port = std::to_string(flags.port > 0 ? flags.port : free_port());
  std::vector<RankCommand> commands;
  for (std::size_t rank = 0; rank < places.size(); ++rank) {
    const auto& place = places[rank];
    RankCommand command{.words = words,
                        .variables = {{"RANK", std::to_string(rank)},
                                      {"WORLD_SIZE", std::to_string(places.size())},
                                      {"LOCAL_RANK", std::to_string(here[place]++)},
                                      {"LOCAL_WORLD_SIZE", std::to_string(all[place])},
                                      {"MASTER_ADDR", places[0].empty() ? "127.0.0.1" : address_of(places[0])},
                                      {"MASTER_PORT", port},
                                      {"TORCHELASTIC_RESTART_COUNT", std::to_string(attempt)},
                                      {"TORCHELASTIC_USE_AGENT_STORE", "False"}}};
    if (std::getenv("OMP_NUM_THREADS") == nullptr && place.empty())
      command.variables["OMP_NUM_THREADS"] =
          std::to_string(std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / all[place]));
    commands.push_back(place.empty() ? std::move(command) : at_host(place, std::move(command)));
  }
  return commands;
}

/// Where the ranks of an attempt are, as indices of all places.
using Seats = std::vector<std::size_t>;

/// All, without those whose ranks were lost in the last attempt: one that was lost before that may be back.
Seats seats_left(const Seats& all, const Seats& last, const JobEnd& end) {
  Seats left;
  for (const auto seat : all) {
    const bool lost = std::any_of(end.lost.begin(), end.lost.end(),
                                  [&](int rank) { return last[static_cast<std::size_t>(rank)] == seat; });
    if (!lost) left.push_back(seat);
  }
  return left;
}

int launch(const LaunchFlags& flags) {
  constexpr std::array<std::string_view, 3> commands{"train", "eval", "zero-shot"};
  check(std::find(commands.begin(), commands.end(), flags.command.front()) != commands.end(),
        "launch: runs train, eval and zero-shot on several ranks, not {}", flags.command.front());
  check(!flags.elastic || *flags.elastic <= flags.ranks, "--elastic: expected at most the job's {} ranks, got {}",
        flags.ranks, flags.elastic.value_or(0));
  check(!flags.elastic || flags.restarts > 0,
        "--elastic: says how all start again, and --restarts how often; name both");
  const auto all = places_of(read_hosts(flags.hosts, flags.ranks), flags.ranks, flags.hosts);
  Seats all_seats(all.size());
  std::iota(all_seats.begin(), all_seats.end(), std::size_t{0});
  auto seats = all_seats;
  for (int attempt = 0;; ++attempt) {
    std::vector<std::string> places;
    for (const auto seat : seats) places.push_back(all[seat]);
    constexpr std::chrono::seconds patience{5};  // for what the others know
    const auto end = RankProcesses(commands_of(flags, places, attempt)).wait(patience);
    constexpr int wrong_usage = 2;
    const bool lost_one = !end.lost.empty();  // what a rank refused it would refuse again
    if (end.status == 0 || end.interrupted != 0 || end.status == wrong_usage || attempt == flags.restarts || !lost_one)
      return end.status;
    seats = flags.elastic ? seats_left(all_seats, seats, end) : all_seats;
    if (std::ssize(seats) < flags.elastic.value_or(1)) {
      log_warning("{} rank(s) are left, --elastic asks for at least {}", seats.size(), flags.elastic.value_or(1));
      return end.status;
    }
    log_warning("all start again on {} rank(s); {} restart(s) are left", seats.size(), flags.restarts - attempt - 1);
  }
}

}  // namespace

void add_launch(CLI::App& program) {
  auto* command = program.add_subcommand(
      "launch", "Train or evaluate on several processes, here or on several hosts: launch -n 4 -- train --data ...");
  const auto flags = std::make_shared<LaunchFlags>();
  command->add_option("-n,--ranks", flags->ranks, "Processes to start")->required()->check(CLI::Range(1, 1 << 20));
  command
      ->add_option("--hosts", flags->hosts,
                   "File with a host a line, \"HOST\" or \"HOST slots=N\", reached through ssh; the first holds rank "
                   "0, and all see the program, the data and this folder at the same paths")
      ->check(not_empty);
  command
      ->add_option("--restarts", flags->restarts,
                   "How often all start again from the last checkpoint when one was killed, hangs or was cut off")
      ->check(zero_or_more)
      ->capture_default_str();
  command
      ->add_option("--elastic", flags->elastic,
                   "With --restarts: start again without the ranks that were lost, as long as this many are left")
      ->check(above_zero);
  command->add_option("--port", flags->port, "Of the first host, where the ranks meet; any that is free without it")
      ->check(CLI::Range(1, 65535));
  command->add_option("command", flags->command, "After --: train, eval or zero-shot, and its options")->required();
  command->callback([flags] {
    if (const int status = launch(*flags); status != 0) throw CLI::RuntimeError(status);
  });
}

}  // namespace vlalign::tool
