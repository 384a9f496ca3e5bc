#include "data/loading/pixel_batch.hpp"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <variant>

#include "vlalign/core/error.hpp"

namespace vlalign {
namespace {

using Decoded = std::variant<Image, std::string>;  // or why not

/// decoded[i] = make(i) for all i, on a few threads. The first exception that is not an Error stops them and is
/// rethrown.
std::vector<Decoded> decode_all(std::int64_t count, int threads, const std::function<Image(std::int64_t)>& make) {
  std::vector<Decoded> decoded(static_cast<std::size_t>(count));
  std::atomic<std::int64_t> next{0};
  std::exception_ptr fault;
  std::once_flag first_fault;
  const auto work = [&] {
    try {
      for (auto i = next++; i < count; i = next++) {
        try {
          decoded[static_cast<std::size_t>(i)] = make(i);
        } catch (const Error& error) {
          decoded[static_cast<std::size_t>(i)] = std::string(error.what());
        }
      }
    } catch (...) {
      next = count;
      std::call_once(first_fault, [&] { fault = std::current_exception(); });
    }
  };
  {
    std::vector<std::jthread> workers;
    try {
      for (int i = 1; i < std::min<std::int64_t>(threads, count); ++i) workers.emplace_back(work);
    } catch (const std::system_error&) {
      // The system gives no more threads: those that there are do the work.
    }
    work();
  }
  if (fault) std::rethrow_exception(fault);
  return decoded;
}

PixelBatch pack(const std::vector<Decoded>& decoded, std::int64_t first_record, std::int64_t size) {
  PixelBatch batch;
  for (std::size_t i = 0; i < decoded.size(); ++i) {
    if (const auto* why = std::get_if<std::string>(&decoded[i])) {
      batch.bad.push_back(*why);
    } else {
      batch.records.push_back(first_record + static_cast<std::int64_t>(i));
    }
  }
  const auto rows = at::empty({std::ssize(batch.records), size, size, 3}, at::kByte);
  auto* out = rows.mutable_data_ptr<std::uint8_t>();
  for (const auto record : batch.records) {
    const auto& rgb = std::get<Image>(decoded[static_cast<std::size_t>(record - first_record)]).rgb;
    out = std::copy(rgb.begin(), rgb.end(), out);
  }
  batch.pixels = rows.permute({0, 3, 1, 2});
  return batch;
}

}  // namespace

PixelBatch load_pixels(std::int64_t begin, std::int64_t end, int threads, std::int64_t size,
                       const std::function<Image(std::int64_t)>& make) {
  const auto decoded = decode_all(end - begin, threads, [&](std::int64_t i) { return make(begin + i); });
  return pack(decoded, begin, size);
}

}  // namespace vlalign
