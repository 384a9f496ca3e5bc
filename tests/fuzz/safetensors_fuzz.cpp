// Bytes as a .safetensors file: an Error, or tensors whose every byte can be read and that come back when written.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <vector>

#include "input.hpp"
#include "vlalign/core/io/safetensors.hpp"

namespace vlalign::fuzz {
namespace {

constexpr std::size_t length_bytes = 8;

std::string_view bytes_of(const at::Tensor& tensor) {
  return {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()};
}

void check_comes_back(const InputFolder& folder, const Safetensors& read) {
  const auto file = folder.path() / "again.safetensors";
  write_safetensors(file, read.tensors, read.metadata);
  const auto again = read_safetensors(file);
  require(again.metadata == read.metadata && again.tensors.size() == read.tensors.size());
  for (const auto& [name, tensor] : read.tensors) {
    const auto& other = again.tensors.at(name);
    require(other.scalar_type() == tensor.scalar_type() && other.sizes() == tensor.sizes());
    require(bytes_of(other) == bytes_of(tensor));
  }
}

}  // namespace
}  // namespace vlalign::fuzz

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

// Half of the mutations change only the header and then correct its length, else hardly one would get behind it.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  using vlalign::fuzz::length_bytes;
  std::uint64_t header_size = 0;
  if (size >= length_bytes) std::memcpy(&header_size, data, length_bytes);
  if (seed % 2 == 0 || size < length_bytes || header_size > size - length_bytes)
    return LLVMFuzzerMutate(data, size, max_size);
  const std::uint8_t *header = data + length_bytes, *end = data + size;
  std::vector<std::uint8_t> mutated(header, header + header_size), rest(header + header_size, end);
  mutated.resize(std::max<std::size_t>(max_size - length_bytes - rest.size(), header_size));
  header_size = LLVMFuzzerMutate(mutated.data(), header_size, mutated.size());
  std::memcpy(data, &header_size, length_bytes);
  std::copy_n(mutated.begin(), header_size, data + length_bytes);
  std::copy(rest.begin(), rest.end(), data + length_bytes + header_size);
  return length_bytes + header_size + rest.size();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vlalign;
  static const fuzz::InputFolder folder;
  const auto file = folder.write("x.safetensors", {reinterpret_cast<const char*>(data), size});
  Safetensors read;
  if (fuzz::succeeds([&] { read = read_safetensors(file); })) fuzz::check_comes_back(folder, read);
  return 0;
}
