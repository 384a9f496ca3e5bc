#include "vlalign/vla/head/make_head.hpp"

#include <utility>

#include "core/check.hpp"
#include "vlalign/vla/head/bins_head.hpp"
#include "vlalign/vla/head/flow_matching_head.hpp"
#include "vlalign/vla/head/regression_head.hpp"

namespace vlalign::vla {
namespace {

using Made = std::shared_ptr<ActionHead>;
using Make = Made (*)(std::int64_t, const ActionShape&, const ActionBank&, nn::Initializer&);

template <RegressionHead::Loss loss>
Made regression(std::int64_t width, const ActionShape& shape, const ActionBank&, nn::Initializer& initializer) {
  return std::make_shared<RegressionHead>(width, shape, RegressionHead::Options{.loss = loss}, initializer);
}

template <typename Head>
Made with_defaults(std::int64_t width, const ActionShape& shape, const ActionBank&, nn::Initializer& initializer) {
  return std::make_shared<Head>(width, shape, typename Head::Options{}, initializer);
}

Made retrieval(std::int64_t width, const ActionShape& shape, const ActionBank& bank, nn::Initializer& initializer) {
  check(bank.phrases.defined(), "[make_head] retrieval: expected a bank of action phrases, got none");
  return std::make_shared<RetrievalHead>(width, shape, bank, RetrievalHead::Options{}, initializer);
}

const std::vector<std::pair<std::string_view, Make>>& makers() {
  static const std::vector<std::pair<std::string_view, Make>> table{
      {"mse", regression<RegressionHead::Loss::mse>},     {"l1", regression<RegressionHead::Loss::l1>},
      {"huber", regression<RegressionHead::Loss::huber>}, {"bins", with_defaults<BinsHead>},
      {"flow_matching", with_defaults<FlowMatchingHead>}, {"retrieval", retrieval},
  };
  return table;
}

}  // namespace

const std::vector<std::string_view>& head_names() {
  static const auto names = [] {
    std::vector<std::string_view> list;
    for (const auto& [name, make] : makers()) list.push_back(name);
    return list;
  }();
  return names;
}

std::shared_ptr<ActionHead> make_head(std::string_view name, std::int64_t width, const ActionShape& shape,
                                      const ActionBank& bank, nn::Initializer& initializer) {
  for (const auto& [known, make] : makers()) {
    if (known == name) return make(width, shape, bank, initializer);
  }
  fail("[make_head] unknown head '{}': expected one of {}", name, fmt::join(head_names(), ", "));
}

}  // namespace vlalign::vla
