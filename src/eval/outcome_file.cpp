#include <ATen/ops/tensor.h>

#include <algorithm>

#include "core/check.hpp"
#include "core/utf8.hpp"
#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/eval/test_outcome.hpp"

namespace vlalign {
namespace {

/// One test's tensors and texts in a file of all tests.
class OutcomeReader {
 public:
  OutcomeReader(const Safetensors& file, std::string where, std::size_t test)
      : file_(file), where_(std::move(where)), prefix_(fmt::format("{}.", test)) {}

  bool has(const char* name) const { return file_.tensors.contains(prefix_ + name); }

  const std::string& text(const char* name) const {
    const auto found = file_.metadata.find(prefix_ + name);
    check(found != file_.metadata.end(), "{}: metadata {}{} is missing", where_, prefix_, name);
    return found->second;
  }

  template <typename T>
  std::vector<T> numbers(const char* name) const {
    const auto found = file_.tensors.find(prefix_ + name);
    check(found != file_.tensors.end(), "{}: {}{} is missing", where_, prefix_, name);
    const auto& tensor = found->second;
    check(tensor.dim() == 1 && tensor.scalar_type() == c10::CppTypeToScalarType<T>::value,
          "{}: {}{} is of another shape or type", where_, prefix_, name);
    const auto* begin = tensor.const_data_ptr<T>();
    return {begin, begin + tensor.numel()};
  }

  /// Ranks of queries, each from 1.
  std::vector<std::int64_t> ranks(const char* name, std::size_t queries) const {
    auto found = numbers<std::int64_t>(name);
    check(found.size() == queries, "{}: {}{}: expected {} ranks, got {}", where_, prefix_, name, queries, found.size());
    const bool all = std::all_of(found.begin(), found.end(), [](std::int64_t rank) { return rank >= 1; });
    check(all, "{}: {}{}: expected ranks from 1", where_, prefix_, name);
    return found;
  }

  std::vector<double> precisions(std::size_t queries) const {
    auto found = numbers<double>("image_to_text_precision");
    const bool all = std::all_of(found.begin(), found.end(), [](double value) { return value >= 0 && value <= 1; });
    check(found.size() == queries && all, "{}: {}image_to_text_precision: expected {} values from 0 to 1", where_,
          prefix_, queries);
    return found;
  }

  std::vector<std::int64_t> pictures(std::size_t count) const {
    auto found = numbers<std::int64_t>("image_of_text");
    const bool all = std::all_of(found.begin(), found.end(),
                                 [&](std::int64_t i) { return i >= 0 && i < static_cast<std::int64_t>(count); });
    check(all, "{}: {}image_of_text: expected rows of {} pictures", where_, prefix_, count);
    return found;
  }

 private:
  const Safetensors& file_;
  std::string where_, prefix_;
};

TestOutcome read_outcome(const OutcomeReader& reader) {
  TestOutcome outcome{
      .name = reader.text("name"), .test = reader.text("test"), .records = reader.numbers<std::int64_t>("records")};
  const auto pictures = outcome.records.size();
  if (reader.has("class_ranks")) {
    outcome.class_ranks = reader.ranks("class_ranks", pictures);
    return outcome;
  }
  outcome.image_of_text = reader.pictures(pictures);
  outcome.ranks = {.image_to_text = reader.ranks("image_to_text", pictures),
                   .text_to_image = reader.ranks("text_to_image", outcome.image_of_text.size()),
                   .image_to_text_precision = reader.precisions(pictures)};
  return outcome;
}

}  // namespace

void write_outcomes(const std::filesystem::path& file, std::span<const TestOutcome> outcomes) {
  Safetensors out;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const auto& outcome = outcomes[i];
    const auto put = [&](const char* name, const auto& values, at::ScalarType type) {
      out.tensors[fmt::format("{}.{}", i, name)] = at::tensor(values, type);
    };
    out.metadata[fmt::format("{}.name", i)] = as_utf8(outcome.name);  // it may come from a command line
    out.metadata[fmt::format("{}.test", i)] = outcome.test;
    put("records", outcome.records, at::kLong);
    if (!outcome.class_ranks.empty()) {
      put("class_ranks", outcome.class_ranks, at::kLong);
      continue;
    }
    put("image_to_text", outcome.ranks.image_to_text, at::kLong);
    put("text_to_image", outcome.ranks.text_to_image, at::kLong);
    put("image_to_text_precision", outcome.ranks.image_to_text_precision, at::kDouble);
    put("image_of_text", outcome.image_of_text, at::kLong);
  }
  write_safetensors(file, out.tensors, out.metadata);
}

std::vector<TestOutcome> read_outcomes(const std::filesystem::path& file) {
  const auto in = read_safetensors(file);
  std::vector<TestOutcome> outcomes;
  for (std::size_t i = 0; in.metadata.contains(fmt::format("{}.name", i)); ++i)
    outcomes.push_back(read_outcome({in, file.string(), i}));
  return outcomes;
}

}  // namespace vlalign
