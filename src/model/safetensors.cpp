#include "vlalign/model/safetensors.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "core/check.hpp"
#include "core/files.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t length_bytes = 8;
constexpr std::uint64_t longest_header = 100'000'000;  // the reference's own limit

const std::array<std::pair<const char*, at::ScalarType>, 11> dtypes{{{"F64", at::kDouble},
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
  explicit Mapping(const fs::path& file) {
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    check(fd >= 0, "{}: cannot read: {}", file.string(), std::strerror(errno));
    struct stat status {};
    if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) size_ = static_cast<std::uint64_t>(status.st_size);
    if (size_ > 0) data_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    ::close(fd);
    check(size_ >= length_bytes, "{}: {} bytes are too few for a safetensors file", file.string(), size_);
    check(data_ != MAP_FAILED, "{}: cannot map into memory: {}", file.string(), std::strerror(errno));
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (data_ != nullptr && data_ != MAP_FAILED) ::munmap(data_, size_);
  }

  char* bytes() const { return static_cast<char*>(data_); }
  std::uint64_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  std::uint64_t size_ = 0;
};

/// Parses, refusing a key that stands twice in one object.
json parse_header(std::string_view text, const std::string& where) {
  std::vector<std::set<std::string>> open;
  const json::parser_callback_t unique = [&](int, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start) open.emplace_back();
    if (event == json::parse_event_t::object_end) open.pop_back();
    if (event == json::parse_event_t::key) {
      check(open.back().insert(value.get<std::string>()).second, "{}: \"{}\" is named twice", where,
            value.get<std::string>());
    }
    return true;
  };
  try {
    auto header = json::parse(text, unique);
    check(header.is_object(), "{}: the header is not an object", where);
    return header;
  } catch (const json::exception& error) {
    fail("{}: the header is not JSON: {}", where, error.what());
  }
}

struct Entry {
  std::string name;
  at::ScalarType dtype = at::kFloat;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;
};

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
    entry.shape = value.at("shape").get<std::vector<std::int64_t>>();
    const auto offsets = value.at("data_offsets").get<std::array<std::uint64_t, 2>>();
    entry.begin = offsets[0], entry.end = offsets[1];
  } catch (const json::exception& error) {
    fail("{}: {}", where, error.what());
  }
  std::uint64_t bytes = c10::elementSize(entry.dtype);
  for (const auto size : entry.shape) {
    check(size >= 0 && !__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(size), &bytes), "{}: absurd shape {}",
          where, entry.shape);
  }
  check(entry.begin <= entry.end && entry.end - entry.begin == bytes,
        "{}: shape {} needs {} bytes, offsets [{}, {}] hold {}", where, entry.shape, bytes, entry.begin, entry.end,
        static_cast<std::int64_t>(entry.end - entry.begin));
  return entry;
}

/// The format wants the buffer covered without gap or overlap.
void check_layout(std::vector<Entry>& entries, std::uint64_t data_size, const std::string& file) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  std::uint64_t reached = 0;
  for (const auto& entry : entries) {
    check(entry.begin == reached, "{}: tensor \"{}\" begins at byte {} of the data, {} ({})", file, entry.name,
          entry.begin, entry.begin < reached ? "inside another" : "after a gap", reached);
    reached = entry.end;
  }
  check(reached == data_size, "{}: the header describes {} bytes of data, the file holds {}", file, reached, data_size);
}

std::string header_of(const NamedTensors& tensors, const std::map<std::string, std::string>& metadata) {
  json header = json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const auto* found = std::find_if(dtypes.begin(), dtypes.end(),
                                     [&](const auto& known) { return tensor.scalar_type() == known.second; });
    check(found != dtypes.end(), "[write_safetensors] \"{}\": dtype {} has no name in the format", name,
          c10::toString(tensor.scalar_type()));
    const auto end = offset + tensor.nbytes();
    header[name] = {{"dtype", found->first}, {"shape", tensor.sizes().vec()}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  auto text = header.dump();
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
  const auto header = parse_header({mapping->bytes() + length_bytes, header_size}, file.string());

  Safetensors result;
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name != "__metadata__") {
      entries.push_back(parse_entry(name, value, file.string()));
      continue;
    }
    try {
      result.metadata = value.get<std::map<std::string, std::string>>();
    } catch (const json::exception&) {
      fail("{}: __metadata__ holds something that is not text", file.string());
    }
  }
  char* data = mapping->bytes() + length_bytes + header_size;
  check_layout(entries, mapping->size() - length_bytes - header_size, file.string());
  for (const auto& entry : entries) {
    const auto options = at::TensorOptions().dtype(entry.dtype);
    auto view = at::from_blob(
        data + entry.begin, entry.shape, [mapping](void*) {}, options);
    const bool aligned = reinterpret_cast<std::uintptr_t>(data + entry.begin) % c10::elementSize(entry.dtype) == 0;
    if (!aligned) {  // a stranger's file; copy bytewise to where the dtype may be read
      auto copy = at::empty(entry.shape, options);
      std::memcpy(copy.data_ptr(), data + entry.begin, entry.end - entry.begin);
      view = copy;
    }
    result.tensors.emplace(entry.name, view);
  }
  return result;
}

void write_safetensors(const fs::path& file, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const auto header = header_of(tensors, metadata);
  const std::uint64_t header_size = header.size();
  write_file_atomically(file, [&](const std::function<void(std::string_view)>& write) {
    write({reinterpret_cast<const char*>(&header_size), length_bytes});
    write(header);
    for (const auto& [name, tensor] : tensors) {
      const auto bytes = tensor.detach().cpu().contiguous();
      write({static_cast<const char*>(bytes.const_data_ptr()), bytes.nbytes()});
    }
  });
}

}  // namespace vlalign
