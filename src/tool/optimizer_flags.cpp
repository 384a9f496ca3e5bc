#include "tool/optimizer_flags.hpp"

#include <charconv>
#include <cmath>
#include <string_view>

#include "core/check.hpp"
#include "tool/commands.hpp"
#include "tool/stage_flag.hpp"

namespace vlalign::tool {
namespace {

const std::vector<std::string> optimizers{"adamw", "lamb", "lion", "muon"};
const std::vector<std::string> schedules{"cosine", "constant", "constant-cooldown"};

/// "5%" as 0.05; nothing where the text is no share of a run.
std::optional<double> share_of(std::string_view text) {
  if (!text.ends_with('%')) return {};
  text.remove_suffix(1);
  double percent = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
  const bool fits = !text.empty() && error == std::errc() && end == text.data() + text.size();
  return fits && percent >= 0 && percent <= 100 ? std::optional(percent / 100) : std::nullopt;
}

std::optional<std::int64_t> steps_of(std::string_view text) {
  std::int64_t steps = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), steps);
  const bool fits = !text.empty() && error == std::errc() && end == text.data() + text.size() && steps >= 0;
  return fits ? std::optional(steps) : std::nullopt;
}

std::string misfit_of_warmup(const std::string& text) {
  if (share_of(text) || steps_of(text)) return "";
  return "expected steps, such as 500, or a share of the run, such as 5%, got \"" + text + "\"";
}

std::string misfit_of_cooldown(const std::string& text) {
  return share_of(text) ? "" : "expected a share of the run, such as 20%, got \"" + text + "\"";
}

std::string misfit_of_stage(const std::string& text) {
  try {
    parse_stage(text);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

void add_schedule_flags(CLI::App& command, OptimizerFlags& flags, Schedule& schedule) {
  command
      .add_option("--schedule", flags.schedule,
                  "Of the learning rate behind its warm-up: down to 0 along a cosine; constant; or constant and then "
                  "down to 0 in a straight line, so that a run can be lengthened from a checkpoint before that")
      ->check(CLI::IsMember(schedules))
      ->capture_default_str();
  command
      .add_option_function<std::string>(
          "--warmup",
          [&schedule](const std::string& text) {
            schedule.warmup = steps_of(text);
            schedule.warmup_share = share_of(text);
          },
          "Steps of linear warm-up, or their share of the run; a tenth of the run, at most 2000, without it")
      ->type_name("N|N%")
      ->check(misfit_of_warmup);
  command
      .add_option_function<std::string>(
          "--cooldown", [&flags](const std::string& text) { flags.cooldown_share = share_of(text); },
          "Share of the run for the way down of --schedule constant-cooldown; 20% without it")
      ->type_name("N%")
      ->check(misfit_of_cooldown);
}

template <typename Betas>
void set_betas(Betas& options, const OptimizerFlags& flags) {
  options.beta1 = flags.beta1.value_or(options.beta1);
  options.beta2 = flags.beta2.value_or(options.beta2);
}

}  // namespace

void OptimizerFlags::add(CLI::App& command, TrainerOptions& options) {
  command
      .add_option("--optimizer", optimizer, "muon is for the matrices of the towers' layers, beside AdamW for the rest")
      ->check(CLI::IsMember(optimizers))
      ->capture_default_str();
  command.add_option("--lr", options.learning_rate, "Peak learning rate")->check(zero_or_more)->capture_default_str();
  command.add_option("--weight-decay", weight_decay,
                     "Of matrices, vectors and scalars are not decayed; adamw 0.2, lamb 0.01, lion 1, muon 0.1 without "
                     "it");
  command.add_option("--beta1", beta1, "Of the first moment; muon's are its AdamW's; 0.9 without it");
  command.add_option("--beta2", beta2, "Of the second; adamw and muon 0.98, lamb 0.999, lion 0.99 without it");
  command.add_option("--momentum", momentum, "Of muon; 0.95 without it");
  add_schedule_flags(command, *this, options.schedule);
  command.add_option("--grad-clip", options.grad_clip, "Largest L2 norm of the gradient; no limit without it");
  command
      .add_option(
          "--stage", stages,
          "Part of the run that sees less: its share and what differs from the model's own, such as "
          "0.8:image_size=112,context_length=16 or 0.8:patch_dropout=0.5; repeat for the next, the shares add up to 1")
      ->check(misfit_of_stage);
}

void OptimizerFlags::apply(TrainerOptions& options) const {
  options.optimizer = parse_optimizer(optimizer);
  check(!momentum || optimizer == "muon", "--momentum: --optimizer {} has none", optimizer);
  std::visit([&](auto& chosen) { chosen.weight_decay = weight_decay.value_or(chosen.weight_decay); },
             options.optimizer);
  if (auto* muon = std::get_if<MuonOptions>(&options.optimizer)) {
    muon->momentum = momentum.value_or(muon->momentum);
    muon->rest.weight_decay = weight_decay.value_or(muon->rest.weight_decay);
    set_betas(muon->rest, *this);
  }
  if (auto* adamw = std::get_if<AdamWOptions>(&options.optimizer)) set_betas(*adamw, *this);
  if (auto* lamb = std::get_if<LambOptions>(&options.optimizer)) set_betas(*lamb, *this);
  if (auto* lion = std::get_if<LionOptions>(&options.optimizer)) set_betas(*lion, *this);
  options.schedule.shape = parse_schedule(schedule);
  check(!cooldown_share || schedule == "constant-cooldown", "--cooldown: --schedule {} has none", schedule);
  options.schedule.cooldown_share = cooldown_share.value_or(options.schedule.cooldown_share);
  for (const auto& stage : stages) options.stages.push_back(parse_stage(stage));
}

}  // namespace vlalign::tool
