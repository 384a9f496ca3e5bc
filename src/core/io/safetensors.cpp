#include "vlalign/core/io/safetensors.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/io/input_file.hpp"
#include "core/io/place.hpp"
#include "core/io/safetensors_place.hpp"
#include "core/io/safetensors_stream.hpp"
#include "core/json/dump_json.hpp"
#include "core/json/json_reason.hpp"
#include "core/json/parse_json.hpp"
#include "core/json/python_json.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr auto metadata_key = "__metadata__";
constexpr std::uint64_t length_bytes = 8;
constexpr std::uint64_t longest_header = 100'000'000;            // the reference's own limit
constexpr std::uint64_t largest_count = std::uint64_t{1} << 48;  // more than any file holds

constexpr std::array<std::pair<const char*, at::ScalarType>, 11> dtypes{{{"F64", at::kDouble},
                                                                         {"F32", at::kFloat},
                                                                         {"F16", at::kHalf},
                                                                         {"BF16", at::kBFloat16},
                                                                         {"I64", at::kLong},
                                                                         {"I32", at::kInt},
                                                                         {"I16", at::kShort},
                                                                         {"I8", at::kChar},
                                                                         {"U8", at::kByte},
                                                                         {"BOOL", at::kBool},
                                                                         {"C64", at::kComplexFloat}}};

/// A whole file mapped privately; unmapped when the last tensor that views it is gone.
class Mapping {
 public:
  explicit Mapping(const fs::path& path) {
    const InputFile file(path);
    size_ = static_cast<std::uint64_t>(file.size());
    check(size_ >= length_bytes, "{}: {} bytes are too few for a safetensors file", file.name(), size_);
    data_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE, file.descriptor(), 0);
    check(data_ != MAP_FAILED, "{}: cannot map into memory: {}", file.name(), std::strerror(errno));
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { ::munmap(data_, size_); }

  char* bytes() const { return static_cast<char*>(data_); }
  std::uint64_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  std::uint64_t size_ = 0;
};

struct Entry {
  std::string name;
  at::ScalarType dtype = at::kFloat;
  std::vector<std::int64_t> shape;
  std::int64_t begin = 0, end = 0;
};

/// Whole numbers, as sizes and offsets are.
std::vector<std::int64_t> counts_of(const json& values, const std::string& where) {
  check(values.is_array(), "{}: expected a list of numbers, got {}", where, shown(values));
  std::vector<std::int64_t> counts;
  for (const auto& value : values) {
    check(value.is_number_unsigned() && value.get<std::uint64_t>() <= largest_count,
          "{}: expected numbers from 0 to 2^48, got {}", where, shown(value));
    counts.push_back(value.get<std::int64_t>());
  }
  return counts;
}

/// The bytes of a tensor, if it is one that ATen can have: its strides count an empty dimension as one of size 1.
std::optional<std::int64_t> bytes_of(at::ScalarType dtype, const std::vector<std::int64_t>& shape) {
  constexpr std::size_t most_dimensions = 64;  // ATen's own limit
  auto bytes = static_cast<std::int64_t>(c10::elementSize(dtype));
  bool empty = false;
  for (const auto size : shape) {
    if (__builtin_mul_overflow(bytes, std::max<std::int64_t>(size, 1), &bytes)) return std::nullopt;
    empty = empty || size == 0;
  }
  if (shape.size() > most_dimensions) return std::nullopt;
  return empty ? 0 : bytes;
}

Entry parse_entry(const std::string& name, const json& value, const std::string& file) {
  const auto where = fmt::format("{}: tensor \"{}\"", file, name);
  Entry entry;
  entry.name = name;
  try {
    const auto dtype = value.at("dtype").get<std::string>();
    const auto* found =
        std::find_if(dtypes.begin(), dtypes.end(), [&](const auto& known) { return dtype == known.first; });
    check(found != dtypes.end(), "{}: unknown dtype {}", where, dtype);
    entry.dtype = found->second;
    entry.shape = counts_of(value.at("shape"), where + ": shape");
    const auto offsets = counts_of(value.at("data_offsets"), where + ": data_offsets");
    check(offsets.size() == 2, "{}: data_offsets: expected two numbers, got {}", where, offsets.size());
    entry.begin = offsets[0], entry.end = offsets[1];
  } catch (const json::exception& error) {
    fail("{}: {}", where, reason_of(error));
  }
  const auto bytes = bytes_of(entry.dtype, entry.shape);
  check(bytes.has_value(), "{}: absurd shape {}", where, entry.shape);
  check(entry.begin <= entry.end && entry.end - entry.begin == *bytes,
        "{}: shape {} needs {} bytes, offsets [{}, {}] hold {}", where, entry.shape, *bytes, entry.begin, entry.end,
        entry.end - entry.begin);
  return entry;
}

/// The format wants the buffer covered without gap or overlap.
void check_layout(std::vector<Entry>& entries, std::int64_t data_size, const std::string& file) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  std::int64_t reached = 0;
  for (const auto& entry : entries) {
    check(entry.begin == reached, "{}: tensor \"{}\" begins at byte {} of the data, {} ({})", file, entry.name,
          entry.begin, entry.begin < reached ? "inside another" : "after a gap", reached);
    reached = entry.end;
  }
  check(reached == data_size, "{}: the header describes {} bytes of data, the file holds {}", file, reached, data_size);
}

at::Tensor tensor_of(const Entry& entry, char* data, std::shared_ptr<Mapping> mapping) {
  const auto options = at::TensorOptions().dtype(entry.dtype);
  auto* begin = data + entry.begin;
  const bool aligned = reinterpret_cast<std::uintptr_t>(begin) % c10::elementSize(entry.dtype) == 0;
  if (aligned) {
    return at::from_blob(
        begin, entry.shape, [mapping = std::move(mapping)](void*) {}, options);
  }
  // A stranger's file; copied bytewise to where the dtype may be read.
  auto copy = at::empty(entry.shape, options);
  std::copy_n(begin, entry.end - entry.begin, static_cast<char*>(copy.data_ptr()));
  return copy;
}

/// How a safetensors file begins, whatever it holds.
std::string misfit_of(const fs::path& path) {
  const InputFile file(path);
  constexpr auto begin = static_cast<std::int64_t>(length_bytes) + 1;
  if (file.size() < begin) return "it is too short";
  const auto bytes = file.read(0, begin);
  std::uint64_t header_size = 0;
  std::memcpy(&header_size, bytes.data(), length_bytes);
  const bool fits = header_size <= static_cast<std::uint64_t>(file.size()) - length_bytes;
  return fits && bytes.back() == std::byte{'{'} ? "" : "it has no such header";
}

std::string header_of(const NamedTensors& tensors, const std::map<std::string, std::string>& metadata) {
  json header = json::object();
  if (!metadata.empty()) header[metadata_key] = metadata;
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    check(tensor.defined() && tensor.layout() == at::kStrided && name != metadata_key,
          "[write_safetensors] \"{}\": expected a dense tensor, and a name other than {}", name, metadata_key);
    const auto dtype = tensor.scalar_type();
    const auto* found =
        std::find_if(dtypes.begin(), dtypes.end(), [&](const auto& known) { return dtype == known.second; });
    check(found != dtypes.end(), "[write_safetensors] \"{}\": dtype {} has no name in the format", name,
          c10::toString(dtype));
    const auto end = offset + tensor.nbytes();
    header[name] = {{"dtype", found->first}, {"shape", tensor.sizes().vec()}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  auto text = dump_json(header, -1, "[write_safetensors] a name or the metadata");
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

Safetensors read_safetensors(const fs::path& file) {
  const auto mapping = std::make_shared<Mapping>(file);
  std::uint64_t header_size = 0;
  std::memcpy(&header_size, mapping->bytes(), length_bytes);  // little-endian, as the machines this runs on
  check(header_size <= mapping->size() - length_bytes && header_size <= longest_header,
        "{}: claims a header of {} bytes, the file holds {}; it is damaged or not a safetensors file", file.string(),
        header_size, mapping->size());
  const auto header = parse_json({mapping->bytes() + length_bytes, header_size}, file.string() + ": the header");
  check(header.is_object(), "{}: the header is not an object", file.string());

  Safetensors result;
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name != metadata_key) {
      entries.push_back(parse_entry(name, value, file.string()));
      continue;
    }
    try {
      result.metadata = value.get<std::map<std::string, std::string>>();
    } catch (const json::exception&) {
      fail("{}: {} holds something that is not text", file.string(), metadata_key);
    }
  }
  char* data = mapping->bytes() + length_bytes + header_size;
  check_layout(entries, static_cast<std::int64_t>(mapping->size() - length_bytes - header_size), file.string());
  for (const auto& entry : entries) {
    result.tensors.emplace(entry.name, tensor_of(entry, data, mapping));
  }
  return result;
}

void check_safetensors_place(const fs::path& file) { check_file_place(file, {"a safetensors file", misfit_of}); }

void write_safetensors(const fs::path& file, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata) {
  write_safetensors(
      file, tensors, [&](const std::string& name) { return tensors.at(name); }, metadata);
}

void write_safetensors(const fs::path& file, const NamedTensors& like,
                       const std::function<at::Tensor(const std::string&)>& tensor_of,
                       const std::map<std::string, std::string>& metadata) {
  check_safetensors_place(file);
  const auto header = header_of(like, metadata);
  const std::uint64_t header_size = header.size();
  write_file_atomically(file, [&](const std::function<void(std::string_view)>& write) {
    write({reinterpret_cast<const char*>(&header_size), length_bytes});
    write(header);
    for (const auto& [name, shape] : like) {
      const auto bytes = tensor_of(name).detach().cpu().contiguous();
      write({static_cast<const char*>(bytes.const_data_ptr()), bytes.nbytes()});
    }
  });
}

}  // namespace vlalign
