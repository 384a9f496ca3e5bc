// tabletop train: a policy on the demonstrations.
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <memory>
#include <string>

#include "tabletop/simulation.hpp"
#include "tabletop/tool/commands.hpp"
#include "vlalign/core/device.hpp"
#include "vlalign/loss/make_loss.hpp"
#include "vlalign/train/policy_trainer.hpp"
#include "vlalign/train/progress.hpp"

namespace tabletop::tool {
namespace {

namespace vla = vlalign::vla;
using vlalign::DualEncoder;

struct TrainSettings {
  std::string demos, encoder, out, beside, loss = "infonce", precision = "bf16", device = "cpu";
  bool from_noise = false;
  double image_rate = 0, text_rate = 0;
  vla::PolicyConfig policy{.fusion = "pointing", .head = "mse", .actions = {.horizon = 4}, .weighted = true};
  std::int64_t steps = 3000, batch_size = 64;
  double learning_rate = 1.5e-3, beside_weight = 0.1;
  std::uint64_t seed = 1;
  int threads = 0;
};

DualEncoder make_encoder(const TrainSettings& s) {
  const auto aligned = DualEncoder::load(s.encoder);
  return s.from_noise ? DualEncoder::create(aligned.config(), aligned.tokenizer(), s.seed) : aligned;
}

/// Each tower with its projection.
vlalign::FineTuning fine_tuning(const TrainSettings& s) {
  vlalign::FineTuning how;
  const auto tower = [&](const std::vector<std::string>& patterns, double rate) {
    for (const auto& pattern : patterns) {
      if (rate == 0) how.freeze.push_back(pattern);
      if (rate != 0) how.rates.push_back({pattern, rate});
    }
  };
  tower({"encoder.visual.*", "encoder.image_*"}, s.image_rate);
  tower({"encoder.text.*", "encoder.text_*"}, s.text_rate);
  how.freeze_batch_norm = s.image_rate == 0;
  return how;
}

/// "move left a little down open": in every direction not at all, a little or at most of the speed, for the head that
/// picks a phrase. A step that can't be small goes past what it should reach.
std::vector<vla::ActionPhrase> phrases(std::int64_t horizon) {
  const std::string words[3][2] = {{"left ", "right "}, {"near ", "far "}, {"down ", "up "}};
  constexpr std::array speeds{-0.8F, -0.2F, 0.0F, 0.2F, 0.8F};
  std::vector<vla::ActionPhrase> all;
  for (std::size_t i = 0; i < 2 * 5 * 5 * 5; ++i) {
    const std::array step{speeds[i % 5], speeds[i / 5 % 5], speeds[i / 25 % 5]};
    const bool close = i >= 125;
    vla::ActionPhrase phrase{.text = "move ", .actions = {}};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      if (step[axis] == 0) continue;
      phrase.text += (std::abs(step[axis]) < 0.5F ? "a little " : "") + words[axis][step[axis] > 0 ? 1 : 0];
    }
    phrase.text += close ? "closed" : "open";
    for (std::int64_t t = 0; t < horizon; ++t) {
      phrase.actions.insert(phrase.actions.end(), step.begin(), step.end());
      phrase.actions.push_back(close ? 1.0F : -1.0F);
    }
    all.push_back(std::move(phrase));
  }
  return all;
}

void train(TrainSettings s) {
  const auto demos = vlalign::open_episodes(s.demos);
  vla::measure_ranges(demos, s.policy);
  if (s.policy.head == "retrieval") s.policy.phrases = phrases(s.policy.actions.horizon);
  const auto policy = vla::Policy::create(make_encoder(s), s.policy, s.seed);

  vlalign::TrainerOptions options{.batch_size = s.batch_size,
                                  .steps = s.steps,
                                  .learning_rate = s.learning_rate,
                                  .optimizer = vlalign::AdamWOptions{.beta2 = 0.99, .weight_decay = 0.01},
                                  .grad_clip = 1.0,
                                  .precision = vlalign::parse_precision(s.precision),
                                  .seed = s.seed,
                                  .device = vlalign::parse_device(s.device),
                                  .threads = s.threads,
                                  .out = s.out,
                                  .data_name = s.demos};
  if (!s.from_noise) options.fine_tuning = fine_tuning(s);
  std::optional<vlalign::vla::AlignmentBeside> beside;
  if (!s.beside.empty())
    beside = {.loss = vlalign::make_loss(s.loss),
              .pairs = vlalign::open_pairs(s.beside),
              .weight = s.beside_weight,
              .batch_size = s.batch_size};
  vlalign::vla::PolicyTrainer trainer(policy, options, beside);
  trainer.on_step(vlalign::Progress());
  const auto summary = trainer.fit(demos);
  fmt::print("{}: {} steps in {:.0f} s, loss {:.4f}\n", s.out, summary.last.step, summary.seconds, summary.last.loss);
}

}  // namespace

void add_train(CLI::App& program) {
  auto* command =
      program.add_subcommand("train", "Trains a policy on demonstrations, with an aligned encoder or from noise");
  const auto s = std::make_shared<TrainSettings>();
  command->add_option("--demos", s->demos, "shards of demonstrations: demos-{000..002}.tar")->required();
  command->add_option("--encoder", s->encoder, "the aligned model's folder")->required();
  command->add_option("--out", s->out, "the run folder")->required();
  command->add_flag("--from-noise", s->from_noise, "of the encoder only its sizes and its tokenizer");
  command->add_option("--image-rate", s->image_rate, "the image tower's part of the learning rate; 0 freezes it")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--text-rate", s->text_rate, "the text tower's part of the learning rate; 0 freezes it")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--beside", s->beside, "frames with descriptions, to go on aligning with");
  command->add_option("--loss", s->loss, "the alignment loss beside")->capture_default_str();
  command->add_option("--beside-weight", s->beside_weight, "its weight; that of the actions is 1")
      ->capture_default_str();
  command->add_option("--fusion", s->policy.fusion, "how vision and language are joined")->capture_default_str();
  command->add_option("--head", s->policy.head, "how actions come out")->capture_default_str();
  command->add_option("--film", s->policy.film, "layers of the image tower behind which FiLM acts");
  command->add_option("--maps", s->policy.maps, "layers of the image tower that a fusion of maps reads")
      ->capture_default_str();
  command->add_flag_callback(
      "--unweighted", [s] { s->policy.weighted = false; },
      "patches count alike, not as much as the words fit their place");
  command->add_option("--width", s->policy.width, "of the fused tokens")->capture_default_str();
  command->add_option("--horizon", s->policy.actions.horizon, "steps in a chunk of actions")->capture_default_str();
  command->add_option("--steps", s->steps)->capture_default_str();
  command->add_option("--batch-size", s->batch_size)->capture_default_str();
  command->add_option("--lr", s->learning_rate)->capture_default_str();
  command->add_option("--precision", s->precision)->check(CLI::IsMember({"fp32", "bf16"}))->capture_default_str();
  command->add_option("--device", s->device, "cpu, cuda or cuda:N")->capture_default_str();
  command->add_option("--seed", s->seed)->capture_default_str();
  command->add_option("--threads", s->threads, "0: LibTorch's choice")->capture_default_str();
  command->callback([s] { train(*s); });
}

}  // namespace tabletop::tool
