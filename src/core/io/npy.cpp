#include "core/io/npy.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "core/check.hpp"
#include "core/io/files.hpp"

namespace vlalign {
namespace {

constexpr std::array<std::pair<at::ScalarType, const char*>, 4> npy_types{
    {{at::kHalf, "<f2"}, {at::kFloat, "<f4"}, {at::kDouble, "<f8"}, {at::kLong, "<i8"}}};

const char* npy_type_of(const at::Tensor& tensor) {
  for (const auto& [dtype, name] : npy_types)
    if (tensor.scalar_type() == dtype) return name;
  fail("[write_npy] expected float16, float32, float64 or int64, got {}", c10::toString(tensor.scalar_type()));
}

/// Magic, version, the length of what follows, and a Python dictionary, padded so that the numbers are aligned.
std::string npy_header(const at::Tensor& tensor) {
  constexpr std::size_t alignment = 64, before = 10;
  const auto* only = tensor.dim() == 1 ? "," : "";  // which makes a tuple of one number
  auto text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", npy_type_of(tensor),
                          fmt::join(tensor.sizes(), ", "), only);
  text.resize((before + text.size() + 1 + alignment - 1) / alignment * alignment - before - 1, ' ');
  text += '\n';
  const auto size = text.size();
  check(size <= 0xffff, "[write_npy] {} dimensions are too many for the format", tensor.dim());
  const std::array<char, before> start{
      '\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, static_cast<char>(size & 0xff), static_cast<char>(size >> 8)};
  return std::string(start.begin(), start.end()) + text;
}

}  // namespace

void write_npy(const std::filesystem::path& file, const at::Tensor& tensor) {
  const auto header = npy_header(tensor);
  const auto numbers = tensor.detach().cpu().contiguous();
  write_file_atomically(file, [&](const auto& write) {
    write(header);
    write({static_cast<const char*>(numbers.const_data_ptr()), numbers.nbytes()});
  });
}

}  // namespace vlalign
