#include "vlalign/train/progress.hpp"

#include <unistd.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "core/check.hpp"

namespace vlalign {
namespace {

std::string clock_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string bar(std::int64_t done, std::int64_t all) {
  constexpr std::int64_t width = 20;
  const auto full = all > 0 ? done * width / all : 0;
  std::string text;
  for (std::int64_t i = 0; i < width; ++i) text += i < full ? "━" : "╌";
  return text;
}

// A policy without an alignment beside has no accuracy.
std::string of_its_kind(const StepResult& result) {
  if (result.action_loss) return fmt::format("action loss {:.3f}", *result.action_loss);
  return fmt::format("accuracy {:.1f}%  logit scale {:.1f}", 100 * result.accuracy, result.logit_scale);
}

/// The figures that people look at first, those of the result that are there; else all.
std::string first_figures(const Figures& figures) {
  constexpr std::array<std::pair<const char*, const char*>, 4> first{
      {{"loss", "loss"},
       {"image_to_text.recall@1", "image to text recall@1"},
       {"text_to_image.recall@1", "text to image recall@1"},
       {"top1", "top1"}}};
  std::vector<std::string> texts;
  for (const auto& [key, words] : first)
    if (figures.contains(key)) texts.push_back(fmt::format("{} {:.4g}", words, figures.at(key)));
  if (texts.empty())
    for (const auto& [key, value] : figures) texts.push_back(fmt::format("{} {:.4g}", key, value));
  return fmt::format("{}", fmt::join(texts, "  "));
}

}  // namespace

Progress::Progress(std::FILE* stream) : stream_(stream) {
  check(stream != nullptr, "[Progress] stream: expected an open one, got a null pointer");
  terminal_ = ::isatty(::fileno(stream)) != 0;
}

void Progress::operator()(const StepResult& result) {
  const auto now = Clock::now();
  if (first_step_ == 0) first_step_ = result.step, start_ = now;
  const bool over = result.step == result.steps;
  const auto pause = terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(10'000);
  if (result.step != first_step_ && !over && now - last_ < pause) return;
  last_ = now;

  const double spent = std::chrono::duration<double>(now - start_).count();
  const auto measured = result.step - first_step_;
  const auto left =
      measured > 0 ? clock_text(spent / static_cast<double>(measured) * static_cast<double>(result.steps - result.step))
                   : std::string("?");
  const auto figures = fmt::format("step {}/{}  epoch {}  loss {:.3f}  {}  {:.0f} {}/s  {} left", result.step,
                                   result.steps, result.epoch + 1, result.loss, of_its_kind(result), result.pairs_per_s,
                                   result.action_loss ? "samples" : "pairs", left);
  // Not through fmt, which throws: a run goes on though nobody reads its progress any more.
  const auto line = terminal_
                        ? fmt::format("\r\033[K{} {}{}", bar(result.step, result.steps), figures, over ? "\n" : "")
                        : figures + "\n";
  std::fputs(line.c_str(), stream_);
  std::fflush(stream_);
}

void Progress::operator()(const ValidationResult& result) {
  const auto line = fmt::format("{}validation at step {}: {}  {}  ({:.1f} s)\n", terminal_ ? "\r\033[K" : "",
                                result.step, result.name, first_figures(result.figures), result.seconds);
  std::fputs(line.c_str(), stream_);
  std::fflush(stream_);
}

}  // namespace vlalign
