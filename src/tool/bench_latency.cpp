#include <ATen/core/grad_mode.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tool/bench.hpp"
#include "tool/bench_model.hpp"
#include "tool/commands.hpp"
#include "tool/output.hpp"
#include "vlalign/core/random.hpp"
#include "vlalign/model/live_encoder.hpp"
#include "vlalign/model/quantize.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign::tool {
namespace {

struct LatencyFlags : RunFlags {
  std::string model = "ViT-B-32", words = "pick up the red cup on the table";
  int width = 640, height = 480;
  std::int64_t runs = 50, batch_size = 0;
};

/// One camera frame of noise.
Image random_frame(int width, int height) {
  Image frame{width, height, std::vector<std::uint8_t>(std::size_t{3} * width * height)};
  Rng rng({0});
  for (auto& value : frame.rgb) value = static_cast<std::uint8_t>(rng.below(256));
  return frame;
}

/// For int8 in a model that quantize() hasn't prepared: times don't depend on what it was calibrated with.
void calibrate_with_noise(const DualEncoder& model) {
  const auto& config = model.config();
  const auto side = config.preprocess.image_size;
  const auto pixels = at::randint(0, 256, {8, 3, side, side}, at::kByte);
  const auto tokens =
      tokenize(*model.tokenizer(), std::vector<std::string>(8, "a red cup"), config.text.context_length);
  quantize(model, pixels, tokens, {.cosine = 0});
}

/// Milliseconds of each run, after a few that aren't timed.
template <typename Work>
std::vector<double> milliseconds(std::int64_t runs, const Work& work) {
  for (int i = 0; i < 3; ++i) work();
  std::vector<double> times;
  for (std::int64_t i = 0; i < runs; ++i) times.push_back(1000 * seconds_of(work));
  return times;
}

/// Of normalised pixels to embeddings, with the weights as a control loop has laid them out.
std::vector<double> batch_milliseconds(const LatencyFlags& flags, const DualEncoder& model) {
  const at::NoGradGuard no_graph;
  const auto side = model.config().preprocess.image_size;
  const auto pixels = at::rand({flags.batch_size, 3, side, side}).to(parse_device(flags.device));
  const auto precision = parse_precision(flags.precision);
  return milliseconds(std::max<std::int64_t>(3, flags.runs / flags.batch_size),
                      [&] { model.encode_image(pixels, precision).cpu(); });
}

void run(const LatencyFlags& flags) {
  flags.apply();
  auto [model, words_from] = make_bench_model(flags.model);
  model.to(parse_device(flags.device));
  if (flags.precision == "int8" && model.int8_columns().empty()) calibrate_with_noise(model);
  const LiveEncoder encoder(model, {.precision = parse_precision(flags.precision)});
  const auto frame = random_frame(flags.width, flags.height);
  std::vector<float> embedding(static_cast<std::size_t>(encoder.dim()));
  const auto image = milliseconds(flags.runs, [&] { encoder.embed(ImageView(frame), embedding); });
  std::string words = flags.words;
  const auto text = milliseconds(flags.runs, [&] {
    encoder.embed(words, embedding);
    words += ' ';  // the same tokens, but not the text that is kept
  });
  const auto batch = flags.batch_size > 0 ? batch_milliseconds(flags, model) : std::vector<double>();
  if (flags.json) {
    nlohmann::ordered_json result = {{"image_ms_p50", quantile(image, 0.5)},
                                     {"image_ms_p99", quantile(image, 0.99)},
                                     {"text_ms_p50", quantile(text, 0.5)},
                                     {"text_ms_p99", quantile(text, 0.99)}};
    if (!batch.empty())
      result.update({{"batch_ms_p50", quantile(batch, 0.5)}, {"batch_ms_p99", quantile(batch, 0.99)}});
    result["words"] = words_from;
    print_json(result);
  } else {
    if (!batch.empty()) fmt::print("{} pictures at once: {:.1f} ms\n", flags.batch_size, quantile(batch, 0.5));
    fmt::print("{}, {}: a {}x{} frame {:.1f} ms (99%: {:.1f} ms), \"{}\" {:.1f} ms; words: {}\n", flags.model,
               flags.precision, flags.width, flags.height, quantile(image, 0.5), quantile(image, 0.99), flags.words,
               quantile(text, 0.5), words_from);
  }
}

}  // namespace

void add_bench_latency(CLI::App& bench) {
  auto* command = bench.add_subcommand("latency", "One frame from raw RGB to its embedding, and one sentence");
  const auto flags = std::make_shared<LatencyFlags>();
  command
      ->add_option("--model", flags->model,
                   "Model folder, preset, or a model config (.json), whose vocabulary is made up where it is its own")
      ->capture_default_str();
  command
      ->add_option("--batch-size", flags->batch_size,
                   "Also times so many pictures at once, from normalised pixels to embeddings; 0: doesn't")
      ->check(CLI::Range(0, 100'000))
      ->capture_default_str();
  command->add_option("--runs", flags->runs, "Timed runs")->check(CLI::Range(1, 10'000'000))->capture_default_str();
  flags->add(*command);
  command->callback([flags] { run(*flags); });
}

}  // namespace vlalign::tool
