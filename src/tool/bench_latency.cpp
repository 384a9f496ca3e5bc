#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tool/bench.hpp"
#include "tool/bench_model.hpp"
#include "tool/commands.hpp"
#include "tool/output.hpp"
#include "vlalign/core/random.hpp"
#include "vlalign/model/live_encoder.hpp"

namespace vlalign::tool {
namespace {

struct LatencyFlags : RunFlags {
  std::string model = "ViT-B-32", words = "pick up the red cup on the table";
  int width = 640, height = 480;
  std::int64_t runs = 50;
};

/// One camera frame of noise.
Image random_frame(int width, int height) {
  Image frame{width, height, std::vector<std::uint8_t>(std::size_t{3} * width * height)};
  Rng rng({0});
  for (auto& value : frame.rgb) value = static_cast<std::uint8_t>(rng.below(256));
  return frame;
}

/// Milliseconds of each run, after a few that aren't timed.
template <typename Work>
std::vector<double> milliseconds(std::int64_t runs, const Work& work) {
  for (int i = 0; i < 3; ++i) work();
  std::vector<double> times;
  for (std::int64_t i = 0; i < runs; ++i) times.push_back(1000 * seconds_of(work));
  return times;
}

void run(const LatencyFlags& flags) {
  flags.apply();
  auto [model, words_from] = make_bench_model(flags.model);
  model.to(parse_device(flags.device));
  const LiveEncoder encoder(model, {.precision = parse_precision(flags.precision)});
  const auto frame = random_frame(flags.width, flags.height);
  std::vector<float> embedding(static_cast<std::size_t>(encoder.dim()));
  const auto image = milliseconds(flags.runs, [&] { encoder.embed(ImageView(frame), embedding); });
  std::string words = flags.words;
  const auto text = milliseconds(flags.runs, [&] {
    encoder.embed(words, embedding);
    words += ' ';  // the same tokens, but not the text that is kept
  });
  if (flags.json) {
    const nlohmann::ordered_json result = {{"image_ms_p50", quantile(image, 0.5)},
                                           {"image_ms_p99", quantile(image, 0.99)},
                                           {"text_ms_p50", quantile(text, 0.5)},
                                           {"words", words_from}};
    print_json(result);
  } else {
    fmt::print("{}, {}: a {}x{} frame {:.1f} ms (99%: {:.1f} ms), \"{}\" {:.1f} ms; words: {}\n", flags.model,
               flags.precision, flags.width, flags.height, quantile(image, 0.5), quantile(image, 0.99), flags.words,
               quantile(text, 0.5), words_from);
  }
}

}  // namespace

void add_bench_latency(CLI::App& bench) {
  auto* command = bench.add_subcommand("latency", "One frame from raw RGB to its embedding, and one sentence");
  const auto flags = std::make_shared<LatencyFlags>();
  command->add_option("--model", flags->model, "Preset, or a model config (.json); a vocabulary of its own is made up")
      ->capture_default_str();
  command->add_option("--runs", flags->runs, "Timed runs")->check(CLI::Range(1, 10'000'000))->capture_default_str();
  flags->add(*command);
  command->callback([flags] { run(*flags); });
}

}  // namespace vlalign::tool
