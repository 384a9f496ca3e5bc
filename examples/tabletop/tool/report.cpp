// tabletop report: the success rates of all policies of a run, failures as film strips and a video, as one web page.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/json/parse_json.hpp"
#include "report/html_text.hpp"
#include "report/report_page.hpp"
#include "tabletop/moving_picture.hpp"
#include "tabletop/rollout.hpp"
#include "tabletop/tool/commands.hpp"
#include "vlalign/eval/bootstrap.hpp"

namespace tabletop::tool {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using vlalign::escape_html;
using vlalign::Image;

constexpr int strip_frames = 8, strips = 6, film_side = 144, films = 6, filmed = 40;

double mean(const std::vector<double>& values) {
  return values.empty() ? 0 : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Hits of all training seeds over the same episodes.
struct Hits {
  std::vector<double> values;
  std::vector<std::int64_t> episodes;

  void add(const json& outcomes, const char* outcome) {
    for (const auto& one : outcomes) {
      values.push_back(one.at("outcome") == outcome);
      episodes.push_back(one.at("episode"));
    }
  }
  double rate() const { return mean(values); }
};

struct Arm {
  std::map<std::string, std::map<std::string, Hits>> success, wrong;  // by control, then cell
  std::vector<double> recalls;                                        // of the encoder, a seed each

  std::string recall() const { return recalls.empty() ? "" : fmt::format("{:.1f}%", 100 * mean(recalls)); }
};

void add_evaluation(Arm& arm, const json& result) {
  const auto control = result.at("control").get<std::string>();
  for (const auto& [cell, scores] : result.at("cells").items()) {
    arm.success[control][cell].add(scores.at("outcomes"), "success");
    arm.wrong[control][cell].add(scores.at("outcomes"), "wrong object");
  }
}

/// "frozen-2" is arm frozen, seed 2.
std::map<std::string, Arm> read_arms(const fs::path& policies) {
  std::map<std::string, Arm> arms;
  const auto read = [](const fs::path& file) { return vlalign::parse_json(vlalign::read_file(file), file.string()); };
  for (const auto& folder : fs::directory_iterator(policies)) {
    const auto name = folder.path().filename().string();
    auto& arm = arms[name.substr(0, name.rfind('-'))];
    for (const auto& file : fs::directory_iterator(folder)) {
      const auto file_name = file.path().filename().string();
      if (file_name.starts_with("eval-")) add_evaluation(arm, read(file));
      if (file_name == "recall.json") arm.recalls.push_back(read(file).at("image_to_text").at("recall@1"));
    }
  }
  vlalign::check(!arms.empty(), "{}: no policies with an eval-*.json in them", policies.string());
  return arms;
}

/// Success with its interval, and how often another object was moved.
std::string cell_text(const Arm& arm, const std::string& control, const std::string& cell) {
  const auto found = arm.success.find(control);
  if (found == arm.success.end() || !found->second.contains(cell)) return "<td></td>";
  const auto& hits = found->second.at(cell);
  const auto [low, high] = vlalign::bootstrap_interval(hits.values, hits.episodes);
  return fmt::format(
      "<td>{:.1f}% <span class=\"chance\">{:.1f} to {:.1f}</span><span class=\"muted\">other object "
      "{:.1f}%</span></td>",
      100 * hits.rate(), 100 * low, 100 * high, 100 * arm.wrong.at(control).at(cell).rate());
}

std::string table(const std::vector<std::string>& heads, const std::string& rows) {
  return fmt::format("<div class=\"card\"><table><thead><tr><th>{}</th></tr></thead><tbody>{}</tbody></table></div>\n",
                     fmt::join(heads, "</th><th>"), rows);
}

std::string arms_table(const std::map<std::string, Arm>& arms) {
  std::vector<std::string> heads{"Policy"};
  heads.insert(heads.end(), cell_names.begin(), cell_names.end());
  heads.push_back("Recall@1");
  std::string rows;
  for (const auto& [name, arm] : arms) {
    rows += fmt::format("<tr><td>{}</td>", escape_html(name));
    for (const auto* cell : cell_names) rows += cell_text(arm, "none", cell);
    rows += fmt::format("<td>{}</td></tr>\n", arm.recall());
  }
  return table(heads, rows);
}

std::string controls_table(const std::map<std::string, Arm>& arms) {
  std::string rows;
  for (const auto& [name, arm] : arms) {
    if (arm.success.size() < 2) continue;
    rows += fmt::format("<tr><td>{}</td>{}{}{}</tr>\n", escape_html(name), cell_text(arm, "none", "seen"),
                        cell_text(arm, "other_object", "seen"), cell_text(arm, "blank_image", "seen"));
  }
  return rows.empty() ? ""
                      : "<h2>Controls</h2><p class=\"note\">On seen combinations, with something taken away.</p>" +
                            table({"Policy", "nothing", "the object's name: any of the scene's", "the picture"}, rows);
}

Image strip_of(const Outcome& outcome) {
  std::vector<Image> frames;
  const auto last = std::ssize(outcome.film) - 1;
  for (int i = 0; i < strip_frames; ++i)
    frames.push_back(outcome.film[static_cast<std::size_t>(last * i / (strip_frames - 1))]);
  return side_by_side(frames);
}

std::string caption_of(const Outcome& o) {
  const auto* how = o.how == Simulation::Outcome::success        ? "done"
                    : o.how == Simulation::Outcome::wrong_object ? "another object"
                                                                 : "out of time";
  return fmt::format("<p><b>{}</b> <span class=\"muted\">episode {}, {} steps: {}</span></p>", escape_html(o.told),
                     o.episode, o.steps, how);
}

std::string picture(std::string_view uri, const std::string& alt) {
  return fmt::format("<img src=\"{}\" alt=\"{}\" style=\"width:100%;height:auto;border-radius:8px\">", uri,
                     escape_html(alt));
}

/// Episodes of the first policy with this arm's name, drawn for people.
std::vector<Outcome> film_of(const fs::path& policy, const std::string& cell) {
  auto loaded = vlalign::vla::Policy::load(policy);
  loaded.train(false);
  const auto side = loaded.encoder().config().preprocess.image_size;
  Camera camera(side, side);
  Camera film(film_side, film_side);
  return roll_out(loaded, {.cell = cell_named(cell), .episodes = filmed}, camera, &film);
}

std::string films_section(const std::vector<Outcome>& outcomes) {
  std::string video, failures;
  std::vector<std::vector<Image>> shown;
  int failed = 0;
  for (const auto& outcome : outcomes) {
    if (outcome.how == Simulation::Outcome::success && std::ssize(shown) < films) {
      shown.push_back(outcome.film);
      video += caption_of(outcome);
    } else if (outcome.how != Simulation::Outcome::success && failed++ < strips) {
      failures += caption_of(outcome) + picture(png_uri(strip_of(outcome)), outcome.told);
    }
  }
  std::string page = "<h2>On film</h2>\n";
  if (!shown.empty())
    page += "<div class=\"card\">" + picture(webp_uri(moving(shown)), "episodes that succeeded") + video + "</div>\n";
  return page +
         fmt::format(
             "<h2>Failures</h2><p class=\"note\">{} of {} filmed episodes failed.</p><div class=\"card\">{}</div>\n",
             failed, outcomes.size(), failures);
}

void report(const std::string& run, const std::string& filmed_policy) {
  const fs::path folder(run);
  const auto arms = read_arms(folder / "policies");
  auto page = fmt::format(
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\">"
      "<title>Tabletop</title><style>{}</style></head><body><main><h1>Tabletop</h1><p class=\"lead\">How often "
      "policies do what they "
      "are told, by what their towers had learnt before.</p>\n",
      vlalign::page_style);
  page +=
      "<p class=\"note\">Small figures: the interval that holds the rate in 95 of 100 draws of the episodes; all "
      "training seeds run the "
      "same episodes and are drawn together. Unseen: combinations of colour and shape that no demonstration has; "
      "synonyms: "
      "names that none uses; paraphrase: sentences that none uses either. Recall@1: of the captions of frames that no "
      "training saw, by the policy's "
      "own encoder.</p>" +
      arms_table(arms) + controls_table(arms);
  const auto policy = folder / "policies" / filmed_policy / "model";
  if (fs::exists(policy)) page += films_section(film_of(policy, "unseen"));
  vlalign::write_file_atomically(folder / "report.html", page + "</main></body></html>\n");
  fmt::print("{}\n", (folder / "report.html").string());
}

}  // namespace

void add_report(CLI::App& program) {
  auto* command =
      program.add_subcommand("report", "Puts all evaluations of a run, film strips and a video on one page");
  const auto run = std::make_shared<std::string>(), policy = std::make_shared<std::string>("frozen-1");
  command->add_option("--run", *run, "a folder with policies/ARM-SEED/eval-*.json")->required();
  command->add_option("--film", *policy, "the policy to film, of policies/")->capture_default_str();
  command->callback([run, policy] { report(*run, *policy); });
}

}  // namespace tabletop::tool
