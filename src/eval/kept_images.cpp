#include "eval/kept_images.hpp"

#include <ATen/ops/empty.h>
#include <libdeflate.h>
#include <sys/stat.h>

#include <algorithm>
#include <string_view>
#include <unordered_set>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "vlalign/core/io/safetensors.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

constexpr auto format_of_kept = "vlalign pictures 1";  // another number when anything here changes

/// Of all tensors' bytes in the order of their names.
std::string checksum_of(const NamedTensors& tensors) {
  std::uint32_t sum = 0;
  for (const auto& [name, tensor] : tensors) {
    const auto bytes = tensor.contiguous();
    sum = ::libdeflate_crc32(sum, bytes.const_data_ptr(), bytes.nbytes());
  }
  return fmt::format("{:08x}", sum);
}

const at::Tensor& part_of(const Safetensors& file, const char* name, at::ScalarType dtype, std::int64_t dim) {
  const auto found = file.tensors.find(name);
  check(found != file.tensors.end() && found->second.scalar_type() == dtype && found->second.dim() == dim,
        "{}: expected {} of {} dimensions", name, c10::toString(dtype), dim);
  return found->second;
}

std::vector<std::string> unpacked_paths(const at::Tensor& bytes, const at::Tensor& ends) {
  const std::string_view all(reinterpret_cast<const char*>(bytes.const_data_ptr<std::uint8_t>()),
                             static_cast<std::size_t>(bytes.numel()));
  std::vector<std::string> paths;
  std::unordered_set<std::string_view> seen;
  std::int64_t begin = 0;
  for (std::int64_t i = 0; i < ends.numel(); ++i) {
    const auto end = ends.const_data_ptr<std::int64_t>()[i];
    check(begin < end && end <= bytes.numel(), "path_ends: expected rising numbers up to {}", bytes.numel());
    const auto path = all.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    check(seen.insert(path).second, "paths: {} stands there twice", path);
    paths.emplace_back(path);
    begin = end;
  }
  check(begin == bytes.numel(), "path_ends: expected the last to be {}, got {}", bytes.numel(), begin);
  return paths;
}

KeptImages unpacked(const Safetensors& file) {
  const auto format = file.metadata.find("format");
  check(format != file.metadata.end() && format->second == format_of_kept, "its format isn't \"{}\"", format_of_kept);
  const auto sum = file.metadata.find("checksum");
  check(sum != file.metadata.end() && sum->second == checksum_of(file.tensors), "its checksum is another");
  KeptImages images;
  images.image = part_of(file, "image_embedding", at::kFloat, 2);
  images.probe = part_of(file, "probe", at::kFloat, 2);
  images.coded = {part_of(file, "codes", at::kChar, 2), part_of(file, "row_scale", at::kFloat, 1),
                  part_of(file, "column_scale", at::kFloat, 1), part_of(file, "error", at::kFloat, 1),
                  images.image.const_data_ptr()};
  check(images.image.numel() > 0, "image_embedding: expected at least one row and column");
  check_coded(images.coded, images.image);
  images.paths = unpacked_paths(part_of(file, "paths", at::kByte, 1), part_of(file, "path_ends", at::kLong, 1));
  const auto& stamps = part_of(file, "stamps", at::kLong, 2);
  const auto count = images.image.size(0);
  check(std::ssize(images.paths) == count && stamps.size(0) == count && stamps.size(1) == 2,
        "paths and stamps: expected {}, one a row", count);
  for (const auto *number = stamps.const_data_ptr<std::int64_t>(), *end = number + 2 * count; number < end; number += 2)
    images.stamps.push_back({number[0], number[1]});
  return images;
}

NamedTensors packed_tensors(const KeptImages& images) {
  std::int64_t bytes = 0;
  for (const auto& path : images.paths) bytes += std::ssize(path);
  const auto count = std::ssize(images.paths);
  const auto paths = at::empty({bytes}, at::kByte), ends = at::empty({count}, at::kLong),
             stamps = at::empty({count, 2}, at::kLong);
  auto* byte = paths.mutable_data_ptr<std::uint8_t>();
  auto* const first = byte;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto& path = images.paths[static_cast<std::size_t>(i)];
    const auto& stamp = images.stamps[static_cast<std::size_t>(i)];
    byte = std::copy(path.begin(), path.end(), byte);
    ends.mutable_data_ptr<std::int64_t>()[i] = byte - first;
    stamps.mutable_data_ptr<std::int64_t>()[2 * i] = stamp.size;
    stamps.mutable_data_ptr<std::int64_t>()[2 * i + 1] = stamp.modified_ns;
  }
  return {{"image_embedding", images.image},
          {"probe", images.probe},
          {"codes", images.coded.codes},
          {"row_scale", images.coded.row_scale},
          {"column_scale", images.coded.column_scale},
          {"error", images.coded.error},
          {"paths", paths},
          {"path_ends", ends},
          {"stamps", stamps}};
}

}  // namespace

PictureStamp stamp_of(const fs::path& picture) {
  struct stat status {};
  if (::stat(picture.c_str(), &status) != 0) return {};
  constexpr std::int64_t ns = 1'000'000'000;
  return {status.st_size, std::int64_t{status.st_mtim.tv_sec} * ns + status.st_mtim.tv_nsec};
}

std::optional<KeptImages> read_kept_images(const fs::path& file) {
  if (!is_there(file)) return std::nullopt;
  const auto whole = read_safetensors(file);
  try {
    return unpacked(whole);
  } catch (const Error& error) {
    fail("{}: {}", file.string(), error.what());
  }
}

void write_kept_images(const fs::path& file, const KeptImages& images) {
  const auto tensors = packed_tensors(images);
  write_safetensors(file, tensors, {{"format", format_of_kept}, {"checksum", checksum_of(tensors)}});
}

}  // namespace vlalign
