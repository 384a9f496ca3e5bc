#include <ATen/core/grad_mode.h>
#include <ATen/ops/rand.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/io/files.hpp"
#include "tool/bench.hpp"
#include "tool/bench_model.hpp"
#include "tool/commands.hpp"
#include "tool/output.hpp"
#include "vlalign/core/random.hpp"
#include "vlalign/model/live_encoder.hpp"
#include "vlalign/vla/live_policy.hpp"

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

/// What one run took, of each kind.
struct Latencies {
  std::string words_from;
  std::vector<double> frame{}, text{}, batch{};
};

Latencies latencies_of_model(const LatencyFlags& flags) {
  auto [model, words_from] = make_bench_model(flags.model);
  model.to(parse_device(flags.device));
  if (flags.precision == "int8") prepare_with_noise(model);
  const LiveEncoder encoder(model, {.precision = parse_precision(flags.precision)});
  const auto frame = random_frame(flags.width, flags.height);
  std::vector<float> embedding(static_cast<std::size_t>(encoder.dim()));
  Latencies found{.words_from = words_from};
  found.frame = milliseconds(flags.runs, [&] { encoder.embed(ImageView(frame), embedding); });
  std::string words = flags.words;
  found.text = milliseconds(flags.runs, [&] {
    encoder.embed(words, embedding);
    words += ' ';  // the same tokens, but not the text that is kept
  });
  if (flags.batch_size > 0) found.batch = batch_milliseconds(flags, model);
  return found;
}

/// From a frame to an action, and an instruction that is new.
Latencies latencies_of_policy(const LatencyFlags& flags) {
  if (flags.batch_size > 0) throw CLI::ValidationError("--batch-size", "a policy acts on one frame");
  auto policy = vla::Policy::load(flags.model);
  policy.to(parse_device(flags.device));
  if (flags.precision == "int8") prepare_with_noise(policy.encoder());
  vla::LivePolicy robot(policy, {.precision = parse_precision(flags.precision)});
  const auto frame = random_frame(flags.width, flags.height);
  const std::vector<float> state(static_cast<std::size_t>(policy.config().state));
  std::vector<float> action(static_cast<std::size_t>(policy.config().actions.dims));
  Latencies found{.words_from = "the model's"};
  std::string words = flags.words;
  found.text = milliseconds(flags.runs, [&] {
    robot.set_instruction(words);
    words += ' ';
  });
  found.frame = milliseconds(flags.runs, [&] { robot.act(ImageView(frame), state, action); });
  return found;
}

void run(const LatencyFlags& flags) {
  flags.apply();
  const bool policy = is_there(std::filesystem::path(flags.model) / "policy.json");
  const auto found = policy ? latencies_of_policy(flags) : latencies_of_model(flags);
  if (flags.json) {
    nlohmann::ordered_json result;
    const auto add = [&](const std::string& name, const std::vector<double>& times) {
      if (times.empty()) return;
      result[name + "_ms_p50"] = quantile(times, 0.5);
      result[name + "_ms_p99"] = quantile(times, 0.99);
    };
    add("image", found.frame), add("text", found.text), add("batch", found.batch);
    result["words"] = found.words_from;
    return print_json(result);
  }
  if (!found.batch.empty())
    fmt::print("{} pictures at once: {:.1f} ms\n", flags.batch_size, quantile(found.batch, 0.5));
  fmt::print("{}, {}: a {}x{} frame {:.1f} ms (99%: {:.1f} ms), \"{}\" {:.1f} ms; words: {}\n", flags.model,
             flags.precision, flags.width, flags.height, quantile(found.frame, 0.5), quantile(found.frame, 0.99),
             flags.words, quantile(found.text, 0.5), found.words_from);
}

}  // namespace

void add_bench_latency(CLI::App& bench) {
  auto* command =
      bench.add_subcommand("latency", "One frame from raw RGB to its embedding or a policy's action, and one sentence");
  const auto flags = std::make_shared<LatencyFlags>();
  command
      ->add_option(
          "--model", flags->model,
          "Model folder, policy's folder, preset, or a model config (.json), whose vocabulary is made up where it is "
          "its own")
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
