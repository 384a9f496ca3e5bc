#include "vlalign/model/quantize.hpp"

#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/stack.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/io/folders.hpp"
#include "core/log.hpp"
#include "kernels/int8_product.hpp"
#include "kernels/thread_count.hpp"
#include "model/peers/model_folder.hpp"
#include "tool/commands.hpp"
#include "tool/output.hpp"
#include "vla/policy_folder.hpp"
#include "vlalign/image/transform.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"
#include "vlalign/vla/policy.hpp"

namespace vlalign::tool {
namespace {

struct QuantizeFlags {
  std::string folder, out;
  DataFlags data;
  std::int64_t pairs = 256;
  int threads = 0;
  bool json = false;
  QuantizeOptions options;
};

/// Pairs of the data, evenly spaced, that can be read.
struct CalibrationPairs {
  std::vector<at::Tensor> pixels;  ///< uint8 [3, S, S] each
  std::vector<std::string> captions, bad;
};

CalibrationPairs read_pairs(const PairSource& source, std::int64_t most, const Preprocess& how) {
  CalibrationPairs read;
  const auto count = std::min(most, source.size());
  for (std::int64_t i = 0; i < count; ++i) {
    try {
      const auto pair = source.read(i * source.size() / count);
      auto image = preprocess(decode_image(pair.image, pair.name, 0, how.pixels_as), how);
      check(!pair.captions.empty(), "{}: has no caption", pair.name);
      read.captions.push_back(pair.captions.front());
      const auto rows = at::from_blob(image.rgb.data(), {image.height, image.width, 3}, at::kByte);
      read.pixels.push_back(rows.permute({2, 0, 1}).clone());
    } catch (const Error& error) {
      read.bad.emplace_back(error.what());
    }
  }
  return read;
}

QuantizeResult quantize_with(const QuantizeFlags& flags, const DualEncoder& model) {
  const auto source = flags.data.open();
  const auto& config = model.config();
  const auto pairs = read_pairs(*source, flags.pairs, config.preprocess);
  warn_of_bad(pairs.bad);
  check(!pairs.pixels.empty(), "{}: none of the {} pairs that were tried can be read", flags.data.location,
        pairs.bad.size());
  return quantize(model, at::stack(pairs.pixels),
                  tokenize(*model.tokenizer(), pairs.captions, config.text.context_length), flags.options);
}

void print(const QuantizeResult& result, const QuantizeFlags& flags) {
  const auto in_int8 =
      std::count_if(result.products.begin(), result.products.end(), [](const auto& each) { return each.int8; });
  if (flags.json) {
    auto products = nlohmann::ordered_json::array();
    for (const auto& [name, error, int8] : result.products)
      products.push_back({{"name", name}, {"error", error}, {"int8", int8}});
    print_json({{"out", flags.out},
                {"int8", in_int8},
                {"image_cosine", result.image_cosine},
                {"text_cosine", result.text_cosine},
                {"products", products}});
    return;
  }
  if (!has_int8_products())
    log_info("this processor doesn't multiply bytes in one instruction: int8 is little faster than fp32 on it");
  for (const auto& [name, error, int8] : result.products)
    if (!int8) fmt::print("{} stays in floats: in int8 it is {:.2g} off (squared, of its size)\n", name, error);
  fmt::print("{}: {} of {} products in int8; mean cosine to float32: images {:.5f}, texts {:.5f}\n", flags.out, in_int8,
             result.products.size(), result.image_cosine, result.text_cosine);
}

const DualEncoder& encoder_of(const DualEncoder& model) { return model; }
DualEncoder encoder_of(const vla::Policy& policy) { return policy.encoder(); }

template <typename Kind>
void quantize_folder(const QuantizeFlags& flags, const Replaceable& replaceable) {
  check_folder_place(flags.out, replaceable);
  const auto loaded = Kind::load(flags.folder);
  const auto result = quantize_with(flags, encoder_of(loaded));
  loaded.save(flags.out);
  print(result, flags);
}

/// Which kind of folder it is follows from policy.json.
void run_quantize(const QuantizeFlags& flags) {
  if (flags.threads > 0) at::set_num_threads(flags.threads);
  if (is_there(std::filesystem::path(flags.folder) / "policy.json"))
    quantize_folder<vla::Policy>(flags, vla::replaceable_policy());
  else
    quantize_folder<DualEncoder>(flags, replaceable_model());
}

}  // namespace

void add_quantize(CLI::App& program) {
  auto* command = program.add_subcommand("quantize", "Prepare a model or a policy's towers for --precision int8");
  const auto flags = std::make_shared<QuantizeFlags>();
  command->add_option("--model", flags->folder, "Model folder, or a policy's")->required()->check(not_empty);
  flags->data.add(*command, "--calibrate");
  command->add_option("--pairs", flags->pairs, "So many of the data's pairs, evenly spaced")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  command
      ->add_option("--cosine", flags->options.cosine,
                   "Mean cosine that embeddings keep to float32's; products that stand in the way stay in floats")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--threads", flags->threads, "Threads of the arithmetic; all cores without it")
      ->check(CLI::Range(1, largest_thread_count));
  command->add_option("--out", flags->out, "Folder to write")->required()->check(not_empty);
  command->add_flag("--json", flags->json, "Print one JSON object on stdout and nothing else there");
  command->callback([flags] { run_quantize(*flags); });
}

}  // namespace vlalign::tool
