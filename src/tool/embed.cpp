#include <ATen/ops/from_blob.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/check.hpp"
#include "core/io/safetensors_place.hpp"
#include "eval/embedding_folder.hpp"
#include "tool/commands.hpp"
#include "tool/output.hpp"
#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/image/image.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign::tool {
namespace {

/// The first caption of each record that could be read, in the data's order.
std::vector<std::string> first_captions(const PairSource& pairs, const std::vector<std::int64_t>& records) {
  std::vector<std::string> captions;
  for (const auto record : records) {
    auto all = pairs.captions(record);
    check(!all.empty(), "{}: has no caption", pairs.name(record));
    captions.push_back(std::move(all.front()));
  }
  return captions;
}

std::vector<std::string> names_of(const PairSource& pairs, const std::vector<std::int64_t>& records) {
  std::vector<std::string> names;
  for (const auto record : records) names.push_back(pairs.name(record));
  return names;
}

/// uint8 [N, longest], the names with zeros behind.
at::Tensor as_bytes(const std::vector<std::string>& names) {
  std::size_t longest = 0;
  for (const auto& name : names) longest = std::max(longest, name.size());
  const auto bytes = at::zeros({std::ssize(names), static_cast<std::int64_t>(longest)}, at::kByte);
  auto* row = bytes.mutable_data_ptr<std::uint8_t>();
  for (const auto& name : names) {
    std::copy(name.begin(), name.end(), row);
    row += longest;
  }
  return bytes;
}

/// float32 [N, 3, S, S], as the image tower gets them.
at::Tensor pixels_of(const PairSource& pairs, const std::vector<std::int64_t>& records, const Preprocess& how) {
  std::vector<at::Tensor> rows;
  for (const auto record : records) {
    const auto pair = pairs.read(record);
    auto image = preprocess(decode_image(pair.image, pair.name, 0, how.pixels_as), how);
    rows.push_back(
        at::from_blob(image.rgb.data(), {image.height, image.width, 3}, at::kByte).permute({2, 0, 1}).clone());
  }
  return normalize_pixels(at::stack(rows), how).contiguous();
}

struct EmbedFlags {
  ModelFlags model;
  DataFlags data;
  std::string out;
  std::string format = "safetensors";
  bool pixels = false;
};

/// The format of a folder; nothing for the single file.
std::optional<EmbeddingFormat> folder_format(const EmbedFlags& flags) {
  if (flags.format == "safetensors") return std::nullopt;
  if (flags.pixels) throw CLI::ValidationError("--pixels", "only --format safetensors has them");
  return flags.format == "npy" ? EmbeddingFormat::npy : EmbeddingFormat::parquet;
}

void run_embed(const EmbedFlags& flags) {
  const auto format = folder_format(flags);
  if (format) {
    check_embedding_folder(flags.out, *format);
  } else {
    check_safetensors_place(flags.out);
  }
  const auto pairs = flags.data.open();
  const auto model = flags.model.load();
  const auto& config = model.config();
  const auto options = flags.model.embed_options();
  const auto images = embed_images(model, pairs, options);
  warn_of_bad(images.bad, pairs->bad_records().size());
  const auto captions = first_captions(*pairs, images.records);
  const auto texts = embed_texts(model, captions, options);
  const auto names = names_of(*pairs, images.records);
  if (format) {
    write_embedding_folder(flags.out, *format,
                           {.image = images.image, .text = texts, .names = names, .captions = captions});
  } else {
    NamedTensors tensors{{"image_embedding", images.image},
                         {"text_embedding", texts},
                         {"record", at::tensor(images.records, at::kLong)},
                         {"name", as_bytes(names)},
                         {"tokens", tokenize(*model.tokenizer(), captions, config.text.context_length)}};
    if (flags.pixels) tensors["pixels"] = pixels_of(*pairs, images.records, config.preprocess);
    write_safetensors(flags.out, tensors);
  }
  if (flags.model.json) {
    print_json({{"pairs", captions.size()}, {"skipped", images.bad.size()}, {"out", flags.out}});
  } else {
    fmt::print("{}: {} pairs, {} dimensions\n", flags.out, captions.size(), config.embed_dim);
  }
}

}  // namespace

void add_embed(CLI::App& program) {
  auto* command = program.add_subcommand("embed", "Embeddings of a data set, as safetensors, NumPy or Parquet files");
  const auto flags = std::make_shared<EmbedFlags>();
  flags->model.add(*command);
  flags->data.add(*command);
  command
      ->add_option("--out", flags->out,
                   "File to write: image_embedding, text_embedding, tokens; record and name say which row is which. A "
                   "folder with the other formats")
      ->required()
      ->check(not_empty);
  command
      ->add_option("--format", flags->format,
                   "safetensors; npy or parquet: a folder as clip-retrieval writes it, img_emb, text_emb and metadata "
                   "with image_path and caption")
      ->check(CLI::IsMember({"safetensors", "npy", "parquet"}))
      ->capture_default_str();
  command->add_flag("--pixels", flags->pixels, "Write the preprocessed pixels too");
  command->callback([flags] { run_embed(*flags); });
}

}  // namespace vlalign::tool
