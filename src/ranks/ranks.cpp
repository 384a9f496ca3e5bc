#include "vlalign/ranks/ranks.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <future>
#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <utility>

#include "core/check.hpp"
#include "core/log.hpp"
#include "ranks/environment.hpp"
#include "ranks/nccl_group.hpp"
#include "ranks/ranks_state.hpp"

namespace vlalign {
namespace {

using std::chrono::milliseconds;

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

c10::intrusive_ptr<c10d::Store> make_tcp_store(const std::string& host, int port, bool serves) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(port);
  options.isServer = serves;
  options.waitWorkers = false;
  return c10::make_intrusive<c10d::TCPStore>(host, options);
}

int port_of(std::string_view text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  vlalign::check(error == std::errc() && port >= 1 && port <= 65535,
                 "[Ranks] store: expected a port from 1 to 65535, got {}", text);
  return port;
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

namespace {

/// [n_0 + n_1 + ...] of [n_r]; counts: the n of each rank
at::Tensor gather_rows(Ranks::State& ranks, const at::Tensor& rows, const std::vector<std::int64_t>& counts) {
  const auto most = *std::max_element(counts.begin(), counts.end());
  auto shape = rows.sizes().vec();
  shape[0] = most;
  auto own = rows.contiguous();
  if (rows.size(0) < most) {
    own = at::zeros(shape, rows.options());
    own.narrow(0, 0, rows.size(0)).copy_(rows);
  }
  shape.insert(shape.begin(), ranks.size);
  auto all = at::empty(shape, rows.options());
  auto flat = all.flatten(0, 1);
  ranks.wait(own, ranks.start(own, [&](c10d::Backend& backend) { return backend._allgather_base(flat, own); }));
  ranks.bytes += static_cast<std::int64_t>(own.nbytes()) * (ranks.size - 1);
  if (std::all_of(counts.begin(), counts.end(), [&](auto count) { return count == most; })) return flat;
  std::vector<at::Tensor> parts;
  for (int r = 0; r < ranks.size; ++r) parts.push_back(all[r].narrow(0, 0, counts[static_cast<std::size_t>(r)]));
  return at::cat(parts);
}

}  // namespace

std::vector<std::int64_t> counts_of_rows(Ranks::State& ranks, std::int64_t own, std::int64_t width) {
  const auto all = gather_rows(ranks, at::tensor({own, width}).unsqueeze(0),
                               std::vector<std::int64_t>(static_cast<std::size_t>(ranks.size), 1));
  std::vector<std::int64_t> counts;
  for (int r = 0; r < ranks.size; ++r) {
    const auto* theirs = all.const_data_ptr<std::int64_t>() + 2 * r;
    vlalign::check(theirs[1] == width, "[Ranks] gather: rows of {} bytes here, of {} on {}", width, theirs[1],
                   ranks.names[static_cast<std::size_t>(r)]);
    counts.push_back(theirs[0]);
  }
  return counts;
}

namespace {

void check_numbers(const at::Tensor& numbers, const char* function) {
  constexpr std::array types{at::kFloat, at::kDouble, at::kHalf, at::kBFloat16,
                             at::kByte,  at::kChar,   at::kInt,  at::kLong};
  vlalign::check(
      numbers.defined() && numbers.is_contiguous() &&
          std::find(types.begin(), types.end(), numbers.scalar_type()) != types.end(),
      "[Ranks::{}] numbers: expected a contiguous tensor of float32, float64, float16, bfloat16, uint8, int8, "
      "int32 or int64, got {}",
      function, numbers.defined() ? c10::toString(numbers.scalar_type()) : "none");
}

/// The bytes of each row, [n, w].
at::Tensor bytes_of_rows(const at::Tensor& part) {
  const auto width = c10::multiply_integers(part.sizes().slice(1));
  return part.detach().reshape({part.size(0), width}).contiguous().view(at::kByte);
}

/// Of parts of the same rows, those of all ranks, in one collective: [n_0 + n_1 + ..., ...] each.
std::vector<at::Tensor> gather_side_by_side(Ranks::State& ranks, const std::vector<at::Tensor>& parts,
                                            const std::vector<std::int64_t>& counts) {
  std::vector<at::Tensor> columns;
  std::vector<std::int64_t> widths;
  for (const auto& part : parts) {
    columns.push_back(bytes_of_rows(part));
    widths.push_back(columns.back().size(1));
  }
  auto all = gather_rows(ranks, at::cat(columns, 1), counts).split_with_sizes(widths, 1);
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto shape = parts[i].sizes().vec();
    shape[0] = all[i].size(0);
    all[i] = all[i].contiguous().view(parts[i].scalar_type()).reshape(shape);
  }
  return all;
}

/// Where a rank's rows are among all that were gathered.
struct GatheredRows : torch::CustomClassHolder {
  GatheredRows(Ranks its_ranks, at::Tensor its_all) : ranks(std::move(its_ranks)), all(std::move(its_all)) {}

  Ranks ranks;
  at::Tensor all;  ///< until they are given
  std::int64_t before = 0, own = 0;
};

/// Of one part: one that a loss doesn't use must have no gradient, where one of zeros would let its weights decay.
struct Gather : torch::autograd::Function<Gather> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor&,
                            const c10::intrusive_ptr<GatheredRows>& rows) {
    context->saved_data["rows"] = c10::IValue::make_capsule(rows);
    return std::exchange(rows->all, {});
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& upstream) {
    const auto holder = context->saved_data["rows"].toCapsule();
    const auto& rows = static_cast<const GatheredRows&>(*holder);
    auto gradient = upstream[0].clone(at::MemoryFormat::Contiguous);
    rows.ranks.sum(gradient);
    return {gradient.narrow(0, rows.before, rows.own), at::Tensor()};
  }
};

}  // namespace

Ranks::Ranks() : state_(std::make_shared<State>(0, 1, 0, RanksOptions())) {}

Ranks::Ranks(const std::string& store, int rank, int size, const RanksOptions& options)
    : state_(std::make_shared<State>(rank, size, rank, options)) {
  if (size == 1) return;
  const auto colon = store.rfind(':');
  const auto port = colon == store.npos ? std::string_view() : std::string_view(store).substr(colon + 1);
  const bool is_address = !port.empty() && port.find_first_not_of("0123456789") == port.npos;
  vlalign::check(!store.empty(), "[Ranks] store: expected HOST:PORT or a file's path, got none");
  if (!is_address) {
    state_->meet([&] { return c10::make_intrusive<c10d::FileStore>(store, size); }, {});
    return;
  }
  const auto host = store.substr(0, colon);
  const int number = port_of(port);
  state_->meet([&] { return make_tcp_store(host, number, rank == 0); }, route_to(host, number));
}

Ranks Ranks::from_environment(const RanksOptions& options) {
  const auto place = read_job_place([](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    return value == nullptr || *value == '\0' ? std::nullopt : std::optional<std::string>(value);
  });
  Ranks ranks;
  ranks.state_ = std::make_shared<State>(place.rank, place.size, place.local_rank, options);
  if (place.size == 1) return ranks;
  const auto connect = [&] {
    const bool serves = place.rank == 0 && !place.store_is_served;
    return c10::make_intrusive<c10d::PrefixStore>(place.prefix, make_tcp_store(place.host, place.port, serves));
  };
  ranks.state_->meet(connect, route_to(place.host, place.port));
  return ranks;
}

int Ranks::rank() const noexcept { return state_->rank; }
int Ranks::size() const noexcept { return state_->size; }
int Ranks::local_rank() const noexcept { return state_->local_rank; }
std::int64_t Ranks::bytes_sent() const noexcept { return state_->bytes; }
double Ranks::seconds_waited() const noexcept { return state_->waited; }

std::string Ranks::name(int rank) const {
  vlalign::check(rank >= 0 && rank < size(), "[Ranks::name] rank: expected 0 to {}, got {}", size() - 1, rank);
  return alone() ? "rank 0" : state_->names[static_cast<std::size_t>(rank)];
}

void Ranks::sum(at::Tensor numbers) const {
  if (alone()) return;
  check_numbers(numbers, "sum");
  std::vector<at::Tensor> all{std::move(numbers)};
  state_->wait(all[0], state_->start(all[0], [&](c10d::Backend& backend) { return backend.allreduce(all); }));
  state_->bytes += state_->bytes_of_sum(all[0]);
}

at::Tensor Ranks::gather(const at::Tensor& rows) const { return gather(std::vector<at::Tensor>{rows}).front(); }

std::vector<at::Tensor> Ranks::gather(const std::vector<at::Tensor>& parts) const {
  if (alone() || parts.empty()) return parts;
  for (const auto& part : parts)
    vlalign::check(part.defined() && part.dim() >= 1 && part.size(0) == parts.front().size(0),
                   "[Ranks::gather] rows: expected [n, ...] of each part");
  std::int64_t width = 0;
  for (const auto& part : parts) width += bytes_of_rows(part.narrow(0, 0, 0)).size(1);
  const auto counts = counts_of_rows(*state_, parts.front().size(0), width);
  auto all = gather_side_by_side(*state_, parts, counts);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    auto rows = c10::make_intrusive<GatheredRows>(*this, all[i]);
    rows->own = parts[i].size(0);
    for (int r = 0; r < rank(); ++r) rows->before += counts[static_cast<std::size_t>(r)];
    all[i] = Gather::apply(parts[i], rows);
  }
  return all;
}

std::vector<std::string> Ranks::gather(std::string_view text) const {
  if (alone()) return {std::string(text)};
  auto own = at::empty({static_cast<std::int64_t>(text.size())}, at::kByte);
  std::memcpy(own.mutable_data_ptr(), text.data(), text.size());
  const auto counts = counts_of_rows(*state_, own.size(0), 1);
  const auto all = gather_rows(*state_, own, counts);
  const auto* next = static_cast<const char*>(all.const_data_ptr());
  std::vector<std::string> texts;
  for (const auto count : counts) texts.emplace_back(next, static_cast<std::size_t>(count)), next += count;
  return texts;
}

void Ranks::broadcast(at::Tensor numbers, int from) const {
  if (alone()) return;
  check_numbers(numbers, "broadcast");
  vlalign::check(from >= 0 && from < size(), "[Ranks::broadcast] from: expected a rank from 0 to {}, got {}",
                 size() - 1, from);
  std::vector<at::Tensor> all{std::move(numbers)};
  c10d::BroadcastOptions options;
  options.rootRank = from;
  state_->wait(all[0], state_->start(all[0], [&](c10d::Backend& backend) { return backend.broadcast(all, options); }));
  state_->bytes += rank() == from ? static_cast<std::int64_t>(all[0].nbytes()) : 0;
}

void Ranks::barrier() const { sum(at::zeros({1})); }

void Ranks::fail(std::string_view why) const noexcept {
  if (alone() || state_->broken) return;
  state_->broken = true;
  state_->watch->tell(fmt::format("{} ended: {}", name(rank()), why));
}

}  // namespace vlalign
