#include "vlalign/ranks/ranks.hpp"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <utility>

#include "core/check.hpp"
#include "ranks/environment.hpp"
#include "ranks/ranks_state.hpp"

namespace vlalign {
namespace {

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
