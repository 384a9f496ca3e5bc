#include "ranks/ranks_state.hpp"

#include <unistd.h>

#include <array>
#include <future>
#include <thread>
#include <utility>

#include "core/check.hpp"
#include "core/log.hpp"
#include "ranks/nccl_group.hpp"

namespace vlalign {
namespace {

using std::chrono::milliseconds;

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

std::string left_key(int rank) { return fmt::format("left/{}", rank); }
std::string host_key(int rank) { return fmt::format("host/{}", rank); }

/// The first line of what LibTorch throws: its own places in its code follow.
std::string first_line(const std::exception& error) {
  const std::string_view text = error.what();
  return std::string(text.substr(0, text.find('\n')));
}

}  // namespace

Ranks::State::State(int its_rank, int its_size, int its_local_rank, const RanksOptions& its_options)
    : rank(its_rank), size(its_size), local_rank(its_local_rank), options(its_options) {
  vlalign::check(size >= 1, "[Ranks] size: expected at least 1, got {}", size);
  vlalign::check(rank >= 0 && rank < size, "[Ranks] rank: expected 0 to {}, got {}", size - 1, rank);
  vlalign::check(options.timeout.count() >= 1, "[Ranks] timeout: expected at least 1 s, got {}",
                 options.timeout.count());
}

Ranks::State::~State() {
  watch.reset();
  if (!broken) {
    leave();
    return;
  }
  // What is still on its way never ends, and its group would wait for it.
  among_cpus.release();
  among_gpus.release();
  store.release();
}

/// The store is in rank 0's process, which is the last to go.
void Ranks::State::leave() noexcept {
  if (!store) return;
  try {
    among_gpus.reset();
    among_cpus.reset();
    store->set(left_key(rank), "");
    if (rank > 0) return;
    std::vector<std::string> keys;
    for (int r = 1; r < size; ++r) keys.push_back(left_key(r));
    store->wait(keys, std::chrono::duration_cast<milliseconds>(options.timeout));
  } catch (const std::exception&) {  // they have ended otherwise
  }
}

std::string Ranks::State::host_of(int other) {
  constexpr std::chrono::seconds soon{20};
  try {
    store->wait({host_key(other)}, soon);
  } catch (const std::exception&) {
    log_info("rank {} of {} waits for rank {}", rank, size, other);
  }
  try {
    return store->get_to_str(host_key(other));
  } catch (const std::exception& error) {
    vlalign::fail("rank {} didn't come: {}", other, first_line(error));
  }
}

void Ranks::State::meet(const std::function<c10::intrusive_ptr<c10d::Store>()>& make,
                        const std::optional<Route>& route) {
  const auto patience = std::chrono::duration_cast<milliseconds>(options.timeout);
  try {
    store = make();
    Watch::begin(*store, rank);
    store->set(host_key(rank), host_name());
    for (int r = 0; r < size; ++r) names.push_back(fmt::format("rank {} on host {}", r, host_of(r)));
    const auto address = route ? own_address(*store, rank, size, *route) : std::nullopt;
    among_cpus = make_gloo_group(store, rank, size, patience, address);
    among_gpus = make_nccl_group(store, rank, size);
    constexpr auto no_limit = std::chrono::hours(24 * 365);  // how long a rank may work while the others wait
    among_cpus->setTimeout(std::chrono::duration_cast<milliseconds>(no_limit));
    watch = std::make_unique<Watch>(store->clone(), rank, names, patience * 7 / 10);
  } catch (const std::exception& error) {
    broken = true;
    vlalign::fail("[Ranks] rank {} of {} could not meet the others: {}", rank, size, first_line(error));
  }
}

c10d::Backend& Ranks::State::backend_of(const at::Tensor& numbers) const {
  if (!numbers.is_cuda()) return *among_cpus;
  vlalign::check(among_gpus != nullptr, "[Ranks] numbers on {}: this build of vlalign is without NCCL",
                 numbers.device().str());
  return *among_gpus;
}

c10::intrusive_ptr<c10d::Work> Ranks::State::start(
    const at::Tensor& numbers, const std::function<c10::intrusive_ptr<c10d::Work>(c10d::Backend&)>& collective) {
  vlalign::check(!broken, "[Ranks] another rank was lost before");
  auto& backend = backend_of(numbers);
  try {
    return collective(backend);
  } catch (const std::exception& error) {
    give_up(wait_for_a_name(first_line(error)));
  }
}

void Ranks::State::wait(const at::Tensor& numbers, const c10::intrusive_ptr<c10d::Work>& work) {
  constexpr milliseconds slice{500};
  const auto start = Watch::Clock::now();
  // NCCL's own wait lets the GPU's queue wait, for ever where a rank is lost.
  while (numbers.is_cuda() && !work->isCompleted()) {
    if (const auto fault = watch->fault()) give_up(*fault);
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  for (;;) {
    try {
      work->wait(slice);
      waited += std::chrono::duration<double>(Watch::Clock::now() - start).count();
      return;
    } catch (const std::exception& error) {
      const bool over = work->isCompleted();
      if (over && work->isSuccess()) continue;  // it ended between the slice's end and here
      if (const auto fault = watch->fault()) give_up(*fault);
      if (over) give_up(wait_for_a_name(first_line(error)));
    }
  }
}

void Ranks::State::all_gather(at::Tensor own, at::Tensor all) {
  wait(own, start(own, [&](c10d::Backend& backend) { return backend._allgather_base(all, own); }));
  bytes += static_cast<std::int64_t>(own.nbytes()) * (size - 1);
}

c10::intrusive_ptr<c10d::Work> Ranks::State::send(at::Tensor numbers, int to, int tag) {
  bytes += static_cast<std::int64_t>(numbers.nbytes());
  std::vector<at::Tensor> all{std::move(numbers)};
  return start(all[0], [&](c10d::Backend& backend) { return backend.send(all, to, tag); });
}

c10::intrusive_ptr<c10d::Work> Ranks::State::receive(at::Tensor numbers, int from, int tag) {
  std::vector<at::Tensor> all{std::move(numbers)};
  return start(all[0], [&](c10d::Backend& backend) { return backend.recv(all, from, tag); });
}

/// In a thread of its own: a wait with a limit would close every connection when it is over.
void Ranks::State::wait_for_message(const c10::intrusive_ptr<c10d::Work>& message) {
  constexpr milliseconds slice{500};
  const auto start = Watch::Clock::now();
  auto done = std::async(std::launch::async, [&] { return message->wait(); });
  while (done.wait_for(slice) != std::future_status::ready) {
    if (const auto fault = watch->fault()) {
      message->abort();
      done.wait();
      give_up(*fault);
    }
  }
  try {
    if (!done.get()) give_up(wait_for_a_name("a message to another rank was lost"));
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    give_up(wait_for_a_name(first_line(error)));
  }
  waited += std::chrono::duration<double>(Watch::Clock::now() - start).count();
}

std::int64_t Ranks::State::bytes_of_sum(const at::Tensor& numbers) const {
  return 2 * static_cast<std::int64_t>(numbers.nbytes()) * (size - 1) / size;
}

/// A connection that broke doesn't say whose it was: the watch will.
std::string Ranks::State::wait_for_a_name(const std::string& otherwise) {
  const auto until = Watch::Clock::now() + options.timeout;
  while (Watch::Clock::now() < until) {
    if (const auto fault = watch->fault()) return *fault;
    std::this_thread::sleep_for(milliseconds(20));
  }
  return otherwise;
}

void Ranks::State::give_up(const std::string& why) {
  broken = true;
  if (rank == 0) watch->tell(why);  // before its end takes the store along, and is taken for the fault itself
  vlalign::fail("[Ranks] {}", why);
}

}  // namespace vlalign
