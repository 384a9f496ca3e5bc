#include "ranks/environment.hpp"

#include <array>
#include <charconv>
#include <string_view>

#include "core/check.hpp"

namespace vlalign {
namespace {

struct Launcher {
  const char *rank, *size, *local_rank, *local_size;
};

constexpr std::array launchers{
    Launcher{"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"},  // torchrun's and vlalign launch's
    Launcher{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
             "OMPI_COMM_WORLD_LOCAL_SIZE"},
    Launcher{"SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_NTASKS_PER_NODE"},
    Launcher{"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"}};

int number_of(const char* name, const std::string& text, int least, int most) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check(error == std::errc() && end == text.data() + text.size() && value >= least && value <= most,
        "{}: expected a number from {} to {}, got \"{}\"", name, least, most, text);
  return value;
}

}  // namespace

std::string first_host(const std::string& list) {
  const auto bracket = list.find('['), comma = list.find(',');
  if (bracket == list.npos || comma < bracket) return list.substr(0, comma);
  const auto end = list.find_first_of("-,]", bracket);
  return list.substr(0, bracket) + list.substr(bracket + 1, end - bracket - 1);
}

JobPlace read_job_place(const ReadVariable& read) {
  constexpr int most_ranks = 1 << 20, most_ports = 65535;
  JobPlace place;
  for (const auto& [rank, size, local_rank, local_size] : launchers) {
    const auto own = read(rank), all = read(size);
    const bool half_set = std::string_view(rank) == "RANK" && own.has_value() != all.has_value() &&
                          (own.value_or("0") != "0" || all.value_or("1") != "1");
    check(!half_set, "{} is set and {} isn't: a job of several processes needs both", own ? rank : size,
          own ? size : rank);
    if (!own || !all) continue;  // SLURM sets one of them in a shell too
    place.size = number_of(size, *all, 1, most_ranks);
    place.rank = number_of(rank, *own, 0, place.size - 1);
    place.local_rank = number_of(local_rank, read(local_rank).value_or("0"), 0, most_ranks);
    const auto here = read(local_size);
    const bool elsewhere = here && here->find_first_not_of("0123456789") == here->npos &&
                           number_of(local_size, *here, 1, most_ranks) < place.size;
    const auto slurm = read("SLURM_STEP_NODELIST");
    if (const auto address = read("MASTER_ADDR")) {
      place.host = *address;
    } else if (slurm && std::string_view(rank) == "SLURM_PROCID") {
      place.host = first_host(*slurm);
    } else {
      check(!elsewhere, "MASTER_ADDR: {} of the job's {} processes are on this host; set it to the host of rank 0",
            here.value_or(""), place.size);
    }
    break;
  }
  if (const auto port = read("MASTER_PORT")) place.port = number_of("MASTER_PORT", *port, 1, most_ports);
  place.store_is_served = read("TORCHELASTIC_USE_AGENT_STORE").value_or("") == "True";
  place.prefix = "vlalign/" + read("TORCHELASTIC_RESTART_COUNT").value_or("0");
  return place;
}

}  // namespace vlalign
