// What the tests of the report make and how they read it back.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>
#include <libxml/HTMLparser.h>
#include <libxml/xpath.h>

#include <array>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "vlalign/core/random.hpp"
#include "vlalign/image/image.hpp"
#include "vlalign/report/report.hpp"

namespace vlalign::test {

/// Picture i of a test is one flat colour that no other picture has.
inline std::array<std::uint8_t, 3> colour_of(std::int64_t i) {
  return {static_cast<std::uint8_t>(7 * i % 256), static_cast<std::uint8_t>(i % 256),
          static_cast<std::uint8_t>(i / 256)};
}

inline std::vector<std::byte> flat_png(std::int64_t i) {
  Image image{.width = 90, .height = 70, .rgb = {}};
  for (int pixel = 0; pixel < 90 * 70; ++pixel) {
    for (const auto channel : colour_of(i)) image.rgb.push_back(channel);
  }
  return encode_png(image);
}

class FakePairs : public PairSource {
 public:
  FakePairs(std::vector<std::string> texts, std::function<std::vector<std::byte>(std::int64_t)> picture)
      : texts_(std::move(texts)), picture_(std::move(picture)) {}
  std::int64_t size() const override { return std::ssize(texts_); }
  std::string name(std::int64_t i) const override { return "picture-" + std::to_string(i); }
  std::vector<std::string> captions(std::int64_t i) const override { return {texts_[static_cast<std::size_t>(i)]}; }
  Pair read(std::int64_t i) const override { return {name(i), captions(i), picture_(i)}; }

 private:
  std::vector<std::string> texts_;
  std::function<std::vector<std::byte>(std::int64_t)> picture_;
};

inline at::Tensor random_unit_rows(std::int64_t n, std::int64_t d, std::uint64_t seed) {
  Rng rng({seed});
  auto x = at::zeros({n, d}, at::kFloat);
  for (std::int64_t i = 0; i < n * d; ++i) x.mutable_data_ptr<float>()[i] = static_cast<float>(rng.uniform(-1.0, 1.0));
  return x / x.norm(2, 1, true);
}

/// A test of n pairs whose embeddings agree somewhat.
inline ReportTest make_test(std::string name, std::int64_t n,
                            std::function<std::vector<std::byte>(std::int64_t)> picture = flat_png) {
  ReportTest test;
  test.name = std::move(name);
  auto& e = test.embeddings;
  for (std::int64_t i = 0; i < n; ++i) {
    e.captions.push_back("caption " + std::to_string(i));
    e.names.push_back("picture-" + std::to_string(i));
    e.records.push_back(i);
    e.image_of_text.push_back(i);
  }
  const auto text = random_unit_rows(n, 12, 1);
  const auto image = text + 0.7 * random_unit_rows(n, 12, 2);
  e.text = text;
  e.image = image / image.norm(2, 1, true);
  test.source = std::make_shared<FakePairs>(e.captions, std::move(picture));
  test.scores = evaluate_retrieval(e);
  return test;
}

inline TrainingMetrics make_metrics(std::size_t steps) {
  TrainingMetrics metrics;
  for (std::size_t i = 1; i <= steps; ++i) {
    metrics.step.push_back(static_cast<double>(i));
    metrics.loss.push_back(static_cast<double>(i % 2 == 0 ? i : i + 10));
    metrics.accuracy.push_back(0.5);
  }
  return metrics;
}

/// The page as libxml2's HTML parser reads it.
class Page {
 public:
  explicit Page(const std::string& html) : html_(html) {
    auto* context = htmlNewParserCtxt();
    xmlSetStructuredErrorFunc(&faults_, [](void* faults, auto* error) {
      // libxml2 knows the elements of HTML 4 only.
      if (error->code != XML_HTML_UNKNOWN_TAG)
        static_cast<std::vector<std::string>*>(faults)->push_back(error->message);
    });
    document_ =
        htmlCtxtReadMemory(context, html.data(), static_cast<int>(html.size()), nullptr, "UTF-8", HTML_PARSE_NONET);
    xmlSetStructuredErrorFunc(nullptr, nullptr);
    htmlFreeParserCtxt(context);
  }
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;
  ~Page() { xmlFreeDoc(document_); }

  const std::vector<std::string>& faults() const { return faults_; }
  const std::string& html() const { return html_; }

  /// The text of every node that an XPath expression finds.
  std::vector<std::string> texts(const std::string& xpath) const {
    auto* context = xmlXPathNewContext(document_);
    auto* found = xmlXPathEvalExpression(reinterpret_cast<const xmlChar*>(xpath.c_str()), context);
    std::vector<std::string> out;
    for (int i = 0; found != nullptr && found->nodesetval != nullptr && i < found->nodesetval->nodeNr; ++i) {
      auto* content = xmlNodeGetContent(found->nodesetval->nodeTab[i]);
      out.emplace_back(reinterpret_cast<const char*>(content));
      xmlFree(content);
    }
    xmlXPathFreeObject(found);
    xmlXPathFreeContext(context);
    return out;
  }

  std::size_t count(const std::string& xpath) const { return texts(xpath).size(); }

  nlohmann::json data() const { return nlohmann::json::parse(texts("//script[@id='data']").at(0)); }

 private:
  std::string html_;
  std::vector<std::string> faults_;
  xmlDoc* document_ = nullptr;
};

}  // namespace vlalign::test
