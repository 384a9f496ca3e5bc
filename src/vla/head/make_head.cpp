#include "vlalign/vla/head/make_head.hpp"

#include <utility>

#include "core/check.hpp"
#include "vla/option_reader.hpp"
#include "vlalign/vla/head/bins_head.hpp"
#include "vlalign/vla/head/flow_matching_head.hpp"
#include "vlalign/vla/head/regression_head.hpp"

namespace vlalign::vla {
namespace {

using Made = std::shared_ptr<ActionHead>;
using Make = Made (*)(std::int64_t, const ActionShape&, const ActionBank&, nn::Initializer&, OptionReader&);

/// What all heads have.
template <typename Options>
void read_mlp(OptionReader& reader, Options& options) {
  reader.integer("hidden", options.hidden);
  reader.integer("layers", options.layers);
}

template <RegressionHead::Loss loss>
Made regression(std::int64_t width, const ActionShape& shape, const ActionBank&, nn::Initializer& initializer,
                OptionReader& reader) {
  RegressionHead::Options options{.loss = loss};
  read_mlp(reader, options);
  reader.check_all_taken();
  return std::make_shared<RegressionHead>(width, shape, options, initializer);
}

Made bins(std::int64_t width, const ActionShape& shape, const ActionBank&, nn::Initializer& initializer,
          OptionReader& reader) {
  BinsHead::Options options;
  read_mlp(reader, options);
  reader.integer("bins", options.bins, 2);
  reader.check_all_taken();
  return std::make_shared<BinsHead>(width, shape, options, initializer);
}

Made flow_matching(std::int64_t width, const ActionShape& shape, const ActionBank&, nn::Initializer& initializer,
                   OptionReader& reader) {
  FlowMatchingHead::Options options;
  read_mlp(reader, options);
  reader.integer("steps", options.steps);
  reader.check_all_taken();
  return std::make_shared<FlowMatchingHead>(width, shape, options, initializer);
}

Made retrieval(std::int64_t width, const ActionShape& shape, const ActionBank& bank, nn::Initializer& initializer,
               OptionReader& reader) {
  check(bank.phrases.defined(), "[make_head] retrieval: expected a bank of action phrases, got none");
  RetrievalHead::Options options;
  read_mlp(reader, options);
  reader.check_all_taken();
  return std::make_shared<RetrievalHead>(width, shape, bank, options, initializer);
}

const std::vector<std::pair<std::string_view, Make>>& head_makers() {
  static const std::vector<std::pair<std::string_view, Make>> table{
      {"mse", regression<RegressionHead::Loss::mse>},
      {"l1", regression<RegressionHead::Loss::l1>},
      {"huber", regression<RegressionHead::Loss::huber>},
      {"bins", bins},
      {"flow_matching", flow_matching},
      {"retrieval", retrieval},
  };
  return table;
}

}  // namespace

const std::vector<std::string_view>& head_names() {
  static const auto names = [] {
    std::vector<std::string_view> list;
    for (const auto& [name, make] : head_makers()) list.push_back(name);
    return list;
  }();
  return names;
}

std::shared_ptr<ActionHead> make_head(std::string_view name, std::int64_t width, const ActionShape& shape,
                                      const ActionBank& bank, nn::Initializer& initializer,
                                      const PartOptions& options) {
  const auto where = fmt::format("[make_head] {}", name);
  OptionReader reader(options, where);
  for (const auto& [known, make] : head_makers())
    if (known == name) return make(width, shape, bank, initializer, reader);
  fail("[make_head] unknown head '{}': expected one of {}", name, fmt::join(head_names(), ", "));
}

}  // namespace vlalign::vla
