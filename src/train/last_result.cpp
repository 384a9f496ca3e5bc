#include "train/last_result.hpp"

#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/io/files.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

json last_line(const std::filesystem::path& file) {
  std::istringstream lines(read_file(file, any_size));
  std::string line, last;
  while (std::getline(lines, line)) last = line;
  auto parsed = json::parse(last, nullptr, /*allow_exceptions=*/false);
  return parsed.is_object() ? parsed : json::object();
}

}  // namespace

StepResult last_result(const std::filesystem::path& metrics) {
  const auto line = last_line(metrics);
  const auto number = [&](const char* key) {
    const auto found = line.find(key);
    return found != line.end() && found->is_number() ? found->get<double>() : std::numeric_limits<double>::quiet_NaN();
  };
  const auto count = [&](const char* key) {
    const auto found = line.find(key);
    return found != line.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
  };
  StepResult result{.step = count("step"),
                    .epoch = count("epoch"),
                    .samples_seen = count("samples_seen"),
                    .loss = number("loss"),
                    .accuracy = number("accuracy"),
                    .learning_rate = number("lr"),
                    .logit_scale = number("logit_scale"),
                    .grad_norm = number("grad_norm"),
                    .pairs_per_s = number("pairs_per_s"),
                    .wait_s = number("wait_s"),
                    .skipped = line.contains("skipped")};
  if (line.contains("action_loss")) result.action_loss = number("action_loss");
  return result;
}

}  // namespace vlalign
