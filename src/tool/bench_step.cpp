#include <ATen/ops/randint.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tool/bench.hpp"
#include "tool/bench_model.hpp"
#include "tool/commands.hpp"
#include "tool/output.hpp"
#include "vlalign/loss/gradient_cache.hpp"
#include "vlalign/loss/info_nce.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/train/optimizer.hpp"

namespace vlalign::tool {
namespace {

struct StepFlags : RunFlags {
  std::string model = "ViT-B-32", captions;
  std::int64_t batch_size = 32, steps = 3, micro_batch = 0;
  bool checkpoints = false;
};

/// Random pixels, and captions of real length, on the model's device.
struct StepInput {
  at::Tensor pixels, tokens;
};

StepInput make_input(const DualEncoder& model, const StepFlags& flags) {
  const auto captions = read_captions(flags.captions);
  std::vector<std::string> texts;
  for (std::int64_t i = 0; i < flags.batch_size; ++i)
    texts.push_back(captions[static_cast<std::size_t>(i) % captions.size()]);
  const std::int64_t side = model.config().preprocess.image_size;
  const auto rows = at::randint(0, 256, {flags.batch_size, side, side, 3}, at::kByte);
  const auto tokens = tokenize(*model.tokenizer(), texts, model.config().text.context_length);
  return {rows.permute({0, 3, 1, 2}).to(model.device()), tokens.to(model.device())};
}

Optimizer make_optimizer(const DualEncoder& model) {
  Optimizer::NamedParameters parameters;
  for (const auto& item : model.module()->named_parameters()) parameters.emplace_back(item.key(), item.value());
  return {parameters, AdamWOptions()};
}

struct StepTimes {
  std::vector<double> whole, forward, backward, optimizer;
};

/// The rows of the input that make a piece.
StepInput narrowed(const StepInput& input, std::int64_t begin, std::int64_t count) {
  return {input.pixels.narrow(0, begin, count), input.tokens.narrow(0, begin, count)};
}

ContrastiveBatch encode(const DualEncoder& model, const StepInput& input, Precision precision) {
  return {model.encode_image(input.pixels, precision), model.encode_text(input.tokens, precision), {}};
}

void backward_in_pieces(const DualEncoder& model, const StepInput& input, std::int64_t size, Precision precision) {
  const auto pairs = input.pixels.size(0);
  ContrastiveBatch whole;
  whole.logit_scale = model.logit_scale();
  vlalign::backward_in_pieces(
      InfoNCE(), (pairs + size - 1) / size,
      [&](std::int64_t piece) {
        const auto begin = piece * size;
        return encode(model, narrowed(input, begin, std::min(size, pairs - begin)), precision);
      },
      whole);
}

/// The trainer's step on one batch; a first, untimed one makes the buffers.
StepTimes measure(const DualEncoder& model, const StepFlags& flags) {
  if (flags.precision == "int8") throw CLI::ValidationError("--precision", "int8 is for inference");
  const auto precision = parse_precision(flags.precision);
  const auto input = make_input(model, flags);
  auto optimizer = make_optimizer(model);
  StepTimes times;
  for (std::int64_t step = 0; step <= flags.steps; ++step) {
    double forward = 0, backward = 0;
    if (flags.micro_batch > 0) {  // its forward and backward passes go piece by piece
      backward = seconds_of([&] { backward_in_pieces(model, input, flags.micro_batch, precision); });
    } else {
      at::Tensor loss;
      forward = seconds_of([&] {
        auto batch = encode(model, input, precision);
        batch.logit_scale = model.logit_scale();
        loss = InfoNCE().forward(batch);
        loss.item<float>();
      });
      backward = seconds_of([&] {
        loss.backward();
        model.logit_scale().item<float>();  // waits for a GPU
      });
    }
    const auto update = seconds_of([&] {
      optimizer.step(1e-6);
      optimizer.zero_grad();
      model.module()->clamp_logit_scale();
      model.logit_scale().item<float>();
    });
    if (step == 0) continue;
    times.whole.push_back(forward + backward + update);
    times.forward.push_back(forward), times.backward.push_back(backward), times.optimizer.push_back(update);
  }
  return times;
}

void run(const StepFlags& flags) {
  flags.apply();
  auto [model, words_from] = make_bench_model(flags.model);
  model.to(parse_device(flags.device));
  model.train();
  model.checkpoint_activations(flags.checkpoints);
  const auto times = measure(model, flags);
  const auto step = quantile(times.whole, 0.5);
  const nlohmann::ordered_json result = {{"model", flags.model},
                                         {"batch", flags.batch_size},
                                         {"precision", flags.precision},
                                         {"pairs_per_s", static_cast<double>(flags.batch_size) / step},
                                         {"step_s", step},
                                         {"forward_s", quantile(times.forward, 0.5)},
                                         {"backward_s", quantile(times.backward, 0.5)},
                                         {"optimizer_s", quantile(times.optimizer, 0.5)},
                                         {"peak_mb", peak_memory_mb()},
                                         {"words", words_from}};
  if (flags.json) {
    print_json(result);
  } else {
    fmt::print(
        "{}, batch {}, {}: {:.2f} pairs/s\n  step {:.3f} s = forward {:.3f} + backward {:.3f} + optimizer {:.3f}, peak "
        "{:.0f} MB; words: {}\n",
        flags.model, flags.batch_size, flags.precision, static_cast<double>(flags.batch_size) / step, step,
        quantile(times.forward, 0.5), quantile(times.backward, 0.5), quantile(times.optimizer, 0.5), peak_memory_mb(),
        words_from);
  }
}

}  // namespace

void add_bench_step(CLI::App& bench) {
  auto* command = bench.add_subcommand("step", "A training step: forward, InfoNCE, backward, AdamW; medians");
  const auto flags = std::make_shared<StepFlags>();
  command->add_option("--model", flags->model, "Preset, or a model config (.json); a vocabulary of its own is made up")
      ->capture_default_str();
  command->add_option("--batch-size", flags->batch_size, "Pairs a step")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  command->add_option("--captions", flags->captions, "File with a caption a line; a few sentences without it");
  command->add_option("--micro-batch", flags->micro_batch, "Gradient cache: pieces of this many pairs; 0: none")
      ->check(CLI::Range(0, 10'000'000))
      ->capture_default_str();
  command->add_flag("--grad-checkpointing", flags->checkpoints, "Compute activations again instead of keeping them");
  command->add_option("--steps", flags->steps, "Timed steps, after one that isn't")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  flags->add_for_training(*command);
  command->callback([flags] { run(*flags); });
}

}  // namespace vlalign::tool
