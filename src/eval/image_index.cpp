#include <ATen/ops/empty.h>
#include <torch/nn/module.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>
#include <system_error>
#include <unordered_map>

#include "core/check.hpp"
#include "core/fingerprint.hpp"
#include "core/io/files.hpp"
#include "core/io/place.hpp"
#include "core/log.hpp"
#include "data/sources/picture_files.hpp"
#include "eval/kept_images.hpp"
#include "eval/readable_images.hpp"
#include "vlalign/eval/search.hpp"
#include "vlalign/image/transform.hpp"
#include "vlalign/model/dual_encoder.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

/// Of what makes a row of a picture, the code of towers left aside: see test_picture().
std::string print_of_image_half(const DualEncoder& model, const EmbedOptions& options) {
  Fingerprint print;
  print.add("pictures").add(static_cast<std::int64_t>(options.precision)).add(options.projected ? 1 : 0);
  const auto& how = model.config().preprocess;
  for (const auto number :
       {how.image_size, how.resize_size, static_cast<int>(how.resize), static_cast<int>(how.interpolation),
        static_cast<int>(how.crop_rounds_down), static_cast<int>(how.pixels_as)})
    print.add(number);
  for (const auto& numbers : {how.mean, how.std})
    for (const auto number : numbers) print.add(std::bit_cast<std::int64_t>(number));
  const auto add = [&](const auto& items) {
    for (const auto& item : items) {
      const std::string_view name = item.key();
      if (!name.starts_with("visual.") && !name.starts_with("image_projection.")) continue;
      const auto tensor = item.value().detach().cpu().contiguous();
      print.add(name).add(static_cast<std::int64_t>(tensor.scalar_type()));
      for (const auto size : tensor.sizes()) print.add(size);
      print.add({static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()});
    }
  };
  add(model.module()->named_parameters());
  add(model.module()->named_buffers());
  if (options.precision == Precision::int8)
    for (const auto& [name, columns] : model.int8_columns())
      print.add(name).add({static_cast<const char*>(columns.const_data_ptr()), columns.nbytes()});
  return print.hex();
}

/// What weights don't show, such as an activation, shows in what a model makes of this.
Image test_picture() {
  Image image{.width = 320, .height = 240, .rgb = {}};
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      const auto stripe = (x / 20 + y / 30) % 2 * 128;
      for (const int value : {x * 255 / image.width, stripe + y % 100, (x * y) % 251})
        image.rgb.push_back(static_cast<std::uint8_t>(value));
    }
  }
  return image;
}

at::Tensor probe_of(const DualEncoder& model, const EmbedOptions& options) {
  EmbedOptions quiet;
  quiet.precision = options.precision;
  quiet.projected = options.projected;
  quiet.threads = 1;
  return embed_images(
             model, 1, [](auto) { return test_picture(); }, quiet)
      .image.cpu()
      .contiguous();
}

/// Apart from what other processors and threads round otherwise.
bool is_same_probe(const at::Tensor& kept, const at::Tensor& own, Precision precision) {
  const double most = precision == Precision::fp32 ? 1e-4 : 2e-2;
  return kept.sizes() == own.sizes() && (kept - own).abs().max().item<double>() <= most * own.norm().item<double>();
}

/// The file in a folder of indexes that belongs to a folder of pictures and a model.
class IndexFile {
 public:
  /// Throws Error when it can't be written there.
  IndexFile(const DualEncoder& model, const fs::path& pictures, const fs::path& folder, const EmbedOptions& options)
      : precision_(options.precision) {
    std::error_code error;
    fs::create_directories(folder, error);
    check(!error && is_folder(folder), "{}: cannot make this folder: {}", folder.string(),
          error ? error.message() : "a file is in its place");
    Fingerprint print;
    print.add(print_of_image_half(model, options)).add(fs::canonical(pictures, error).string());
    check(!error, "{}: cannot look there: {}", pictures.string(), error.message());
    file_ = folder / (print.hex() + ".safetensors");
    check_file_place(file_);
    probe_ = probe_of(model, options);
  }

  /// What can be used of it.
  std::optional<KeptImages> read() {
    try {
      auto images = read_kept_images(file_);
      if (images && is_same_probe(images->probe, probe_, precision_)) return images;
    } catch (const Error& error) {
      log_warning("{}; this index of pictures is damaged, and is made anew", error.what());
      is_damaged_ = true;
    }
    return std::nullopt;
  }

  void write(KeptImages& images) const {
    images.probe = probe_;
    try {
      if (is_damaged_) fs::remove(file_);  // its beginning may no longer say what it was
      write_kept_images(file_, images);
    } catch (const std::exception& error) {
      log_warning("the index of pictures isn't kept: {}", error.what());
    }
  }

 private:
  Precision precision_;
  fs::path file_;
  at::Tensor probe_;
  bool is_damaged_ = false;
};

std::vector<std::string> names_below(const fs::path& folder, const std::vector<fs::path>& paths) {
  std::vector<std::string> names;
  for (const auto& path : paths) {
    auto name = path.string().substr(folder.string().size());
    name.erase(0, name.find_first_not_of('/'));
    names.push_back(std::move(name));
  }
  return names;
}

/// A folder's pictures beside what is known of them.
class FollowedPictures {
 public:
  FollowedPictures(const fs::path& folder, std::optional<KeptImages> known)
      : paths_(picture_files(folder)), names_(names_below(folder, paths_)), known_(std::move(known)) {
    std::unordered_map<std::string_view, std::int64_t> rows;
    const auto count = known_ ? std::ssize(known_->paths) : 0;
    for (std::int64_t row = 0; row < count; ++row) rows[known_->paths[static_cast<std::size_t>(row)]] = row;
    for (std::size_t i = 0; i < paths_.size(); ++i) {
      stamps_.push_back(stamp_of(paths_[i]));
      const auto found = rows.find(names_[i]);
      const bool is_known =
          found != rows.end() && known_->stamps[static_cast<std::size_t>(found->second)] == stamps_.back();
      known_row_.push_back(is_known ? found->second : -1);
      if (!is_known) fresh_.push_back(static_cast<std::int64_t>(i));
    }
    is_as_kept_ = fresh_.empty() && std::ssize(paths_) == count && std::is_sorted(known_row_.begin(), known_row_.end());
  }

  const std::vector<fs::path>& paths() const { return paths_; }
  /// Which of them have to be embedded.
  const std::vector<std::int64_t>& fresh() const { return fresh_; }
  /// Whether what is kept holds just these.
  bool is_as_kept() const { return is_as_kept_; }
  KeptImages& known() { return *known_; }

  /// The rows of all that have one, in the order of the paths, and which pictures they are.
  ///   images: of fresh()
  KeptImages joined(const ImageEmbeddings& images, std::vector<std::int64_t>& rows) const {
    std::vector<std::int64_t> fresh_row(paths_.size(), -1);
    for (std::size_t i = 0; i < images.records.size(); ++i)
      fresh_row[static_cast<std::size_t>(fresh_[static_cast<std::size_t>(images.records[i])])] =
          static_cast<std::int64_t>(i);
    for (std::size_t i = 0; i < paths_.size(); ++i)
      if (known_row_[i] >= 0 || fresh_row[i] >= 0) rows.push_back(static_cast<std::int64_t>(i));
    KeptImages all;
    if (rows.empty()) return all;
    const auto fresh = images.image.defined() ? images.image.cpu().contiguous() : at::Tensor();
    const auto width = fresh.defined() ? fresh.size(1) : known_->image.size(1);
    all.image = at::empty({std::ssize(rows), width}, at::kFloat);
    auto* to = all.image.mutable_data_ptr<float>();
    for (const auto picture : rows) {
      const auto i = static_cast<std::size_t>(picture);
      const bool is_known = known_row_[i] >= 0;
      const auto& from = is_known ? known_->image : fresh;
      to = std::copy_n(from.const_data_ptr<float>() + (is_known ? known_row_[i] : fresh_row[i]) * width, width, to);
      all.paths.push_back(names_[i]);
      all.stamps.push_back(stamps_[i]);
    }
    all.coded = coded_rows(all.image);
    return all;
  }

 private:
  std::vector<fs::path> paths_;
  std::vector<std::string> names_;
  std::optional<KeptImages> known_;
  std::vector<PictureStamp> stamps_;
  std::vector<std::int64_t> known_row_, fresh_;
  bool is_as_kept_ = false;
};

/// embed_readable_images() of files.
ImageEmbeddings embed_files(const DualEncoder& model, const std::vector<fs::path>& paths, const EmbedOptions& options) {
  if (paths.empty()) return {};
  const auto& how = model.config().preprocess;
  const auto side = needed_side(how);
  const auto read = [&](std::int64_t i) { return read_image(paths[static_cast<std::size_t>(i)], side, how.pixels_as); };
  return embed_readable_images(model, std::ssize(paths), read, options);
}

std::vector<fs::path> chosen(const std::vector<fs::path>& paths, const std::vector<std::int64_t>& which) {
  std::vector<fs::path> some;
  for (const auto i : which) some.push_back(paths[static_cast<std::size_t>(i)]);
  return some;
}

/// The index that search() takes. Codes are for processors.
ImageIndex index_of(std::vector<fs::path> paths, const at::Tensor& image, CodedRows coded, std::vector<std::string> bad,
                    c10::Device device) {
  ImageIndex index{.paths = std::move(paths), .image = image.to(device), .bad = std::move(bad)};
  if (device.is_cpu()) index.coded = std::make_shared<const CodedRows>(std::move(coded));
  return index;
}

void check_some_read(const at::Tensor& image, std::size_t count, const std::vector<std::string>& bad) {
  if (!image.defined()) fail("[embed_images] none of the {} pictures could be read; the first: {}", count, bad.front());
}

}  // namespace

ImageIndex index_images(const DualEncoder& model, const fs::path& folder, const EmbedOptions& options) {
  const auto paths = picture_files(folder);
  auto images = embed_files(model, paths, options);
  check_some_read(images.image, paths.size(), images.bad);
  const auto rows = images.image.contiguous();
  return index_of(chosen(paths, images.records), rows, rows.is_cpu() ? coded_rows(rows) : CodedRows{},
                  std::move(images.bad), model.device());
}

ImageIndex index_images(const DualEncoder& model, const fs::path& folder, const fs::path& kept,
                        const EmbedOptions& options) {
  check(is_folder(folder), "{}: no such folder", folder.string());
  IndexFile file(model, folder, kept, options);
  FollowedPictures pictures(folder, file.read());
  if (pictures.is_as_kept())
    return index_of(pictures.paths(), pictures.known().image, pictures.known().coded, {}, model.device());
  auto images = embed_files(model, chosen(pictures.paths(), pictures.fresh()), options);
  std::vector<std::int64_t> rows;
  auto all = pictures.joined(images, rows);
  check_some_read(all.image, pictures.paths().size(), images.bad);
  file.write(all);
  return index_of(chosen(pictures.paths(), rows), all.image, all.coded, std::move(images.bad), model.device());
}

}  // namespace vlalign
