#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <span>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "data/sources/picture_files.hpp"
#include "tool/bench.hpp"
#include "tool/commands.hpp"
#include "tool/output.hpp"
#include "vlalign/image/transform.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign::tool {
namespace {

namespace fs = std::filesystem;

struct PictureFile {
  std::string name, contents;
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span<const char>(contents)); }
};

std::vector<PictureFile> read_pictures(const fs::path& folder, std::size_t most) {
  auto paths = picture_files(folder);
  paths.resize(std::min(most, paths.size()));
  std::vector<PictureFile> files;
  for (const auto& path : paths) files.push_back({path.string(), read_file(path)});
  return files;
}

/// Pictures a second that `work` does to the files, one after the other; one beforehand isn't timed.
template <typename Work>
double rate(const std::vector<PictureFile>& files, std::int64_t count, const Work& work) {
  work(files.front());
  const auto seconds = seconds_of([&] {
    for (std::int64_t i = 0; i < count; ++i) work(files[static_cast<std::size_t>(i) % files.size()]);
  });
  return static_cast<double>(count) / seconds;
}

/// As the towers take them: [1, 3, S, S] in float32.
at::Tensor normalized(const Image& image, const Preprocess& how) {
  const auto rows =
      at::from_blob(const_cast<std::uint8_t*>(image.rgb.data()), {1, image.height, image.width, 3}, at::kByte);
  return normalize_pixels(rows.permute({0, 3, 1, 2}), how);
}

void run_images(const std::string& folder, int size, std::int64_t count, bool json) {
  at::set_num_threads(1);
  const auto files = read_pictures(folder, static_cast<std::size_t>(count));
  const Preprocess how{.image_size = size};
  const auto policy = augmentation_policy("basic");
  Rng rng({0});
  const auto decode = rate(files, count, [](const auto& file) { decode_image(file.bytes(), file.name); });
  const auto train = rate(files, count, [&](const auto& file) {
    normalized(augment(decode_for_augment(file.bytes(), file.name, how, policy), how, policy, rng), how);
  });
  const auto eval = rate(
      files, count, [&](const auto& file) { normalized(preprocess(decode_image(file.bytes(), file.name), how), how); });
  if (json) {
    print_json({{"decode", decode}, {"train", train}, {"eval", eval}});
  } else {
    fmt::print("pictures a second on one thread: decoded {:.0f}, for training {:.0f}, for evaluation {:.0f}\n", decode,
               train, eval);
  }
}

void run_tokens(const std::string& file, bool json) {
  const auto captions = read_captions(file);
  const auto tokenizer = load_tokenizer(share_folder() / "bpe_simple_vocab_16e6.txt.gz");
  std::size_t tokens = 0;
  const auto seconds = seconds_of([&] {
    for (const auto& caption : captions) tokens += tokenizer->encode(caption, 77).size();
  });
  const auto per_second = static_cast<double>(captions.size()) / seconds;
  if (json) {
    print_json({{"captions_per_s", per_second}});
  } else {
    fmt::print("{:.0f} captions a second on one thread, {:.1f} tokens each\n", per_second,
               static_cast<double>(tokens) / static_cast<double>(captions.size()));
  }
}

}  // namespace

void add_bench_images(CLI::App& bench) {
  struct Flags {
    std::string folder;
    int size = 224;
    std::int64_t count = 300;
    bool json = false;
  };
  auto* command = bench.add_subcommand("images", "Decoding and transforming pictures on one thread");
  const auto flags = std::make_shared<Flags>();
  command->add_option("--dir", flags->folder, "Folder of pictures")->required()->check(CLI::ExistingDirectory);
  command->add_option("--size", flags->size, "Side in pixels")->check(CLI::Range(1, 16384))->capture_default_str();
  command->add_option("--count", flags->count, "Pictures to time")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  command->add_flag("--json", flags->json, "Print one JSON object");
  command->callback([flags] { run_images(flags->folder, flags->size, flags->count, flags->json); });
}

void add_bench_tokens(CLI::App& bench) {
  struct Flags {
    std::string captions;
    bool json = false;
  };
  auto* command = bench.add_subcommand("tokens", "CLIP's tokenizer on one thread");
  const auto flags = std::make_shared<Flags>();
  command->add_option("--captions", flags->captions, "File with a caption a line; a few sentences without it");
  command->add_flag("--json", flags->json, "Print one JSON object");
  command->callback([flags] { run_tokens(flags->captions, flags->json); });
}

}  // namespace vlalign::tool
