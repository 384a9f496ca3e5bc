// tabletop evaluate: how often a policy succeeds.
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "core/io/files.hpp"
#include "tabletop/rollout.hpp"
#include "tabletop/tool/commands.hpp"
#include "vlalign/eval/bootstrap.hpp"

namespace tabletop::tool {
namespace {

using nlohmann::json;

struct EvaluateSettings {
  std::string policy, out, control = "none";
  std::vector<std::string> cells{cell_names.begin(), cell_names.end()};
  RolloutOptions options;
  int threads = 1;
};

Control control_named(const std::string& name) {
  return name == "other_object" ? Control::other_object : name == "blank_image" ? Control::blank_image : Control::none;
}

const char* word_of(Simulation::Outcome outcome) {
  switch (outcome) {
    case Simulation::Outcome::success:
      return "success";
    case Simulation::Outcome::wrong_object:
      return "wrong object";
    case Simulation::Outcome::running:
      return "out of time";
  }
  return "";
}

json share(const std::vector<double>& hits) {
  if (hits.empty()) return {};
  double sum = 0;
  for (const double hit : hits) sum += hit;
  const auto interval = vlalign::bootstrap_interval(hits);
  return {{"rate", sum / static_cast<double>(hits.size())},
          {"low", interval.low},
          {"high", interval.high},
          {"episodes", hits.size()}};
}

json summary(const std::vector<Outcome>& outcomes) {
  std::vector<double> success, grasp, push, wrong;
  auto list = json::array();
  for (const auto& o : outcomes) {
    success.push_back(o.how == Simulation::Outcome::success);
    wrong.push_back(o.how == Simulation::Outcome::wrong_object);
    (o.start.task.skill == Skill::grasp ? grasp : push).push_back(success.back());
    list.push_back({{"episode", o.episode}, {"told", o.told}, {"outcome", word_of(o.how)}, {"steps", o.steps}});
  }
  return {{"success", share(success)},
          {"grasp", share(grasp)},
          {"push", share(push)},
          {"wrong_object", share(wrong)},
          {"outcomes", list}};
}

void evaluate(EvaluateSettings s) {
  at::set_num_threads(s.threads);
  auto policy = vlalign::vla::Policy::load(s.policy);
  policy.train(false);
  const auto side = policy.encoder().config().preprocess.image_size;
  Camera camera(side, side);
  s.options.control = control_named(s.control);
  auto cells = json::object();
  for (const auto& name : s.cells) {
    const auto start = std::chrono::steady_clock::now();
    s.options.cell = cell_named(name);
    cells[name] = summary(roll_out(policy, s.options, camera));
    const auto percent = [&](const char* of, const char* what) {
      const auto& share = cells[name][of];
      return share.is_null() ? 0 : 100 * share[what].get<double>();
    };
    fmt::print(
        "{:>11}, control {}: success {:.1f} % [{:.1f}, {:.1f}] (grasp {:.1f} %, push {:.1f} %), wrong object {:.1f} %, "
        "{:.0f} s\n",
        name, s.control, percent("success", "rate"), percent("success", "low"), percent("success", "high"),
        percent("grasp", "rate"), percent("push", "rate"), percent("wrong_object", "rate"),
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    std::fflush(stdout);
  }
  if (!s.out.empty())
    vlalign::write_file_atomically(s.out,
                                   json{{"policy", s.policy}, {"control", s.control}, {"cells", cells}}.dump(1) + "\n");
}

}  // namespace

void add_evaluate(CLI::App& program) {
  auto* command = program.add_subcommand("evaluate", "Runs a policy on episodes of fixed seeds and counts successes");
  const auto s = std::make_shared<EvaluateSettings>();
  command->add_option("--policy", s->policy, "the policy's folder: RUN/model")->required();
  command->add_option("--cells", s->cells, "combinations and words to test on")
      ->check(CLI::IsMember(std::vector<std::string>(cell_names.begin(), cell_names.end())))
      ->capture_default_str();
  command->add_option("--episodes", s->options.episodes, "a cell")->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--objects", s->options.objects, "the most that a scene has")
      ->check(CLI::Range(1, 5))
      ->capture_default_str();
  command->add_option("--execute", s->options.execute, "steps done of each chunk")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--control", s->control, "what is taken away")
      ->check(CLI::IsMember({"none", "other_object", "blank_image"}))
      ->capture_default_str();
  command->add_flag("--with-poses", s->options.with_poses, "for a policy trained on demonstrations with poses");
  command->add_option("--threads", s->threads)->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--out", s->out, "a JSON file with every episode");
  command->callback([s] { evaluate(*s); });
}

}  // namespace tabletop::tool
