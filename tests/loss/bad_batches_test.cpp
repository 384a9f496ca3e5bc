// Every loss with every kind of bad batch: an Error that names the part, or, where the loss doesn't look at it, the
// value it has without.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>

#include "support/rows.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/loss/liv.hpp"
#include "vlalign/loss/make_loss.hpp"
#include "vlalign/loss/time_contrastive.hpp"
#include "vlalign/loss/vip.hpp"

namespace vlalign::bad_batches_test {
namespace {

using Names = std::vector<std::string>;
using Change = std::function<void(ContrastiveBatch&)>;

constexpr std::int64_t size = 6, dim = 4;
constexpr auto nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
constexpr auto most = std::numeric_limits<std::int64_t>::max(), least = std::numeric_limits<std::int64_t>::min();

/// What each loss's formula reads.
const std::map<std::string, Names>& parts_of_losses() {
  static const std::map<std::string, Names> parts{
      {"infonce", {"image", "text", "logit_scale", "groups", "soft_targets"}},
      {"infonce_smoothed", {"image", "text", "logit_scale", "groups", "soft_targets"}},
      {"infonce_in", {"image", "text", "logit_scale", "groups", "soft_targets"}},
      {"dcl", {"image", "text", "logit_scale"}},
      {"hcl", {"image", "text", "logit_scale"}},
      {"siglip", {"image", "text", "logit_scale", "logit_bias", "groups", "soft_targets"}},
      {"cloob", {"image", "text", "logit_scale"}},
      {"cyclip", {"image", "text"}},
      {"filip", {"image_tokens", "text_tokens", "logit_scale"}},
      {"simclr", {"image", "second_image"}},
      {"distill", {"image", "text", "logit_scale", "teacher_image", "teacher_text", "teacher_logit_scale"}},
      {"feature_distill", {"image", "text", "teacher_image", "teacher_text"}},
      {"interactive", {"image", "text", "logit_scale", "teacher_image", "teacher_text"}},
      {"triplet", {"image", "text", "groups", "soft_targets"}},
      {"align_uniform", {"image", "text"}},
      {"temperature_free", {"image", "text"}},
      {"r3m", {"frames"}},
      {"vip", {"frames"}},
      {"liv", {"frames", "text"}},
  };
  return parts;
}

AnyLoss loss_of(const std::string& name) {
  if (name == "r3m") return TimeContrastive();
  if (name == "vip") return VIP();
  if (name == "liv") return LIV();
  return make_loss(name);
}

bool reads(const std::string& loss, const std::string& part) {
  const auto& parts = parts_of_losses().at(loss);
  return part == "own" || std::find(parts.begin(), parts.end(), part) != parts.end();
}

at::Tensor unit_tokens(std::int64_t length) { return l2_normalize(at::randn({size, length, dim}, at::kDouble)); }

/// In float64, with everything that any loss reads but targets.
ContrastiveBatch good_batch(const std::string& loss) {
  const std::int64_t frames = loss_of(loss)->uses().frames;
  return {.image = test::unit_rows(size, dim),
          .text = test::unit_rows(size, dim),
          .logit_scale = test::scalar(9.5),
          .logit_bias = test::scalar(-3),
          .image_tokens = {unit_tokens(3)},
          .text_tokens = {unit_tokens(5), at::ones({size, 5}, at::kBool)},
          .second_image = test::unit_rows(size, dim),
          .teacher_image = test::unit_rows(size, dim),
          .teacher_text = test::unit_rows(size, dim),
          .teacher_logit_scale = test::scalar(7),
          .frames = at::randn({size, frames > 0 ? frames : 3, dim}, at::kDouble)};
}

at::Tensor& part_of(ContrastiveBatch& b, const std::string& name) {
  const std::map<std::string, at::Tensor*> parts{{"image", &b.image},
                                                 {"text", &b.text},
                                                 {"second_image", &b.second_image},
                                                 {"teacher_image", &b.teacher_image},
                                                 {"teacher_text", &b.teacher_text},
                                                 {"image_tokens", &b.image_tokens.features},
                                                 {"text_tokens", &b.text_tokens.features},
                                                 {"frames", &b.frames},
                                                 {"logit_scale", &b.logit_scale},
                                                 {"logit_bias", &b.logit_bias},
                                                 {"teacher_logit_scale", &b.teacher_logit_scale}};
  return *parts.at(name);
}

const Names embeddings{"image",        "text",         "second_image", "teacher_image",
                       "teacher_text", "image_tokens", "text_tokens",  "frames"};

struct Fault {
  std::string part, what;
  Change make;
};

/// What is wrong with the part alone, whatever the others are.
std::vector<Fault> faults_of_embeddings() {
  std::vector<Fault> faults;
  for (const auto& part : embeddings) {
    const auto add = [&](const char* what, at::Tensor (*change)(const at::Tensor&)) {
      faults.push_back({part, what, [part, change](ContrastiveBatch& b) {
                          auto& tensor = part_of(b, part);
                          tensor = change(tensor);
                        }});
    };
    add("undefined", [](const at::Tensor&) { return at::Tensor(); });
    add("a scalar", [](const at::Tensor& x) { return x.flatten()[0]; });
    add("a dimension short", [](const at::Tensor& x) { return x[0]; });
    add("a dimension more", [](const at::Tensor& x) { return x.unsqueeze(0); });
    add("of whole numbers", [](const at::Tensor& x) { return x.to(at::kLong); });
    add("bool", [](const at::Tensor& x) { return x.to(at::kBool); });
    add("complex", [](const at::Tensor& x) { return x.to(at::kComplexDouble); });
    add("without rows", [](const at::Tensor& x) { return x.narrow(0, 0, 0); });
    add("of dimension 0", [](const at::Tensor& x) { return x.narrow(-1, 0, 0); });
  }
  return faults;
}

/// What doesn't go with the other parts.
std::vector<Fault> faults_between_embeddings() {
  std::vector<Fault> faults;
  for (const auto& part : embeddings) {
    const auto add = [&](const char* what, at::Tensor (*change)(const at::Tensor&)) {
      faults.push_back({part, what, [part, change](ContrastiveBatch& b) {
                          auto& tensor = part_of(b, part);
                          tensor = change(tensor);
                        }});
    };
    add("of another dtype", [](const at::Tensor& x) { return x.to(at::kFloat); });
    add("of half the bits", [](const at::Tensor& x) { return x.to(at::kBFloat16); });
    add("on another device", [](const at::Tensor& x) { return x.to(at::kMeta); });
    add("a row short", [](const at::Tensor& x) { return x.narrow(0, 1, size - 1); });
  }
  return faults;
}

std::vector<Fault> faults_of_scalars() {
  std::vector<Fault> faults;
  for (const std::string part : {"logit_scale", "logit_bias", "teacher_logit_scale"}) {
    const auto add = [&](const char* what, const at::Tensor& value) {
      faults.push_back({part, what, [part, value](ContrastiveBatch& b) { part_of(b, part) = value; }});
    };
    add("undefined", {});
    add("two numbers", at::ones({2}));
    add("no number", at::ones({0}));
    add("NaN", test::scalar(nan));
    add("infinite", test::scalar(infinity));
    add("complex", at::full({}, 3, at::kComplexDouble));
    if (part == "logit_bias") continue;
    add("zero", test::scalar(0));
    add("negative", test::scalar(-1));
  }
  return faults;
}

std::vector<Fault> faults_of_targets() {
  std::vector<Fault> faults;
  const auto add = [&](const char* part, const char* what, Change make) { faults.push_back({part, what, make}); };
  const auto groups = [&](const char* what, const at::Tensor& ids) {
    add("groups", what, [ids](ContrastiveBatch& b) { b.groups = ids; });
  };
  groups("too few", at::arange(size - 1));
  groups("of 32 bits", at::arange(size, at::kInt));
  groups("in a column", at::arange(size).unsqueeze(1));
  groups("floating", at::arange(size, at::kDouble));
  const auto soft = [&](const char* what, const at::Tensor& targets) {
    add("soft_targets", what, [targets](ContrastiveBatch& b) { b.soft_targets = targets; });
  };
  soft("NaN", at::full({size, size}, nan));
  soft("infinite", at::full({size, size}, infinity));
  soft("negative", -at::eye(size));
  soft("too few", at::eye(size - 1));
  soft("of whole numbers", at::eye(size, at::kLong));
  return faults;
}

std::vector<Fault> other_faults() {
  std::vector<Fault> faults;
  const auto add = [&](const char* part, const char* what, Change make) { faults.push_back({part, what, make}); };
  for (const auto own :
       {tiles::RowRange{-1, 1}, tiles::RowRange{0, 0}, tiles::RowRange{0, -1}, tiles::RowRange{size, 1},
        tiles::RowRange{1, size}, tiles::RowRange{0, size + 1}, tiles::RowRange{most, most}, tiles::RowRange{1, most},
        tiles::RowRange{least, size}, tiles::RowRange{least, least}, tiles::RowRange{most, 1}})
    add("own", "outside the batch", [own](ContrastiveBatch& b) { b.own = own; });
  add("text_tokens", "a mask of numbers", [](ContrastiveBatch& b) { b.text_tokens.mask = at::ones({size, 5}); });
  add("text_tokens", "a mask of other sizes", [](ContrastiveBatch& b) {
    b.text_tokens.mask = at::ones({size, 4}, at::kBool);
  });
  add("text_tokens", "hidden altogether", [](ContrastiveBatch& b) {
    b.text_tokens.mask = at::zeros({size, 5}, at::kBool);
  });
  add("frames", "too many", [](ContrastiveBatch& b) { b.frames = at::randn({size, 9, dim}, at::kDouble); });
  for (const auto& part : embeddings) {
    if (part == "frames") continue;  // of any length
    add(part.c_str(), "not of unit length", [part](ContrastiveBatch& b) { part_of(b, part) = 3 * part_of(b, part); });
  }
  return faults;
}

/// Of two parts that don't go together either may be named.
Names names_for(const std::string& part) {
  if (part == "image") return {"image", "text", "second_image", "teacher_image"};
  if (part == "image_tokens") return {"image_tokens", "text_tokens"};
  if (part == "teacher_image") return {"teacher_image", "teacher_text"};
  if (part == "frames") return {"frames", "text"};
  return {part};
}

void expect_refused(const std::string& loss, const Fault& fault, const ContrastiveBatch& batch) {
  try {
    const auto value = loss_of(loss)->forward(batch);
    ADD_FAILURE() << "gave " << value.item<double>();
  } catch (const Error& error) {
    const std::string message = error.what();
    const auto names = names_for(fault.part);
    const auto named = [&](const auto& name) { return message.find("] " + name + ": ") != message.npos; };
    EXPECT_TRUE(std::any_of(names.begin(), names.end(), named)) << message;
  } catch (const std::exception& error) {
    ADD_FAILURE() << "threw no Error, but " << std::string(error.what()).substr(0, 200);
  }
}

void check_all(const std::vector<Fault>& faults) {
  for (const auto& [loss, parts] : parts_of_losses()) {
    const auto good = good_batch(loss);
    const auto expected = loss_of(loss)->forward(good).item<double>();
    for (const auto& fault : faults) {
      SCOPED_TRACE(loss + ": " + fault.part + " " + fault.what);
      auto bad = good;
      fault.make(bad);
      if (reads(loss, fault.part)) {
        expect_refused(loss, fault, bad);
      } else {
        EXPECT_EQ(loss_of(loss)->forward(bad).item<double>(), expected);
      }
    }
  }
}

TEST(BadBatches, KnowsEveryLossByName) {
  for (const auto& name : loss_names()) EXPECT_TRUE(parts_of_losses().contains(name)) << name;
}

TEST(BadBatches, EmbeddingsThatAreNoneAreNamed) { check_all(faults_of_embeddings()); }

TEST(BadBatches, EmbeddingsThatDoNotGoTogetherAreNamed) {
  auto faults = faults_between_embeddings();
  for (const auto& [loss, parts] : parts_of_losses()) {
    const auto good = good_batch(loss);
    for (const auto& fault : faults) {
      const bool alone = parts == Names{"frames"};  // nothing to go together with
      if (!reads(loss, fault.part) || alone) continue;
      SCOPED_TRACE(loss + ": " + fault.part + " " + fault.what);
      auto bad = good;
      fault.make(bad);
      expect_refused(loss, fault, bad);
    }
  }
}

TEST(BadBatches, ScalarsThatAreNoneAreNamed) { check_all(faults_of_scalars()); }

TEST(BadBatches, TargetsThatDoNotFitAreNamed) {
  for (const auto& fault : faults_of_targets()) {
    for (const auto& [loss, parts] : parts_of_losses()) {
      // Soft targets that a loss of groups alone can't take are checked all the same.
      if (!reads(loss, fault.part)) continue;
      SCOPED_TRACE(loss + ": " + fault.part + " " + fault.what);
      auto bad = good_batch(loss);
      fault.make(bad);
      expect_refused(loss, fault, bad);
    }
  }
}

TEST(BadBatches, RowsMasksAndLengthsThatDoNotFitAreNamed) { check_all(other_faults()); }

TEST(BadBatches, AScaleOfAnotherDtypeIsTheSameScale) {
  for (const auto& [loss, parts] : parts_of_losses()) {
    auto batch = good_batch(loss);
    const auto expected = loss_of(loss)->forward(batch).item<double>();
    batch.logit_scale = test::scalar(9.5, at::kFloat);
    batch.logit_bias = test::scalar(-3, at::kBFloat16);
    batch.teacher_logit_scale = test::scalar(7, at::kFloat).unsqueeze(0);
    EXPECT_EQ(loss_of(loss)->forward(batch).item<double>(), expected) << loss;
  }
}

/// A trainer skips the step: the value must say that something is wrong, and nothing may crash.
TEST(BadBatches, NanInARowIsNanInTheLoss) {
  for (const auto& [loss, parts] : parts_of_losses()) {
    for (const auto& part : embeddings) {
      if (!reads(loss, part)) continue;
      for (const auto dtype : {at::kDouble, at::kFloat}) {
        auto bad = good_batch(loss);
        for (const auto& each : embeddings) part_of(bad, each) = part_of(bad, each).to(dtype);
        auto& tensor = part_of(bad, part);
        tensor[2].flatten()[1].fill_(nan);
        tensor.requires_grad_();
        const auto value = loss_of(loss)->forward(bad);
        if (value.requires_grad()) value.backward();
        EXPECT_TRUE(std::isnan(value.item<double>())) << loss << ": " << part;
      }
    }
  }
}

TEST(BadBatches, AnInfiniteRowIsNoUnitRow) {
  for (const auto& [loss, parts] : parts_of_losses()) {
    for (const auto& part : embeddings) {
      if (!reads(loss, part) || part == "frames") continue;
      auto bad = good_batch(loss);
      part_of(bad, part)[2].flatten()[1].fill_(infinity);
      SCOPED_TRACE(loss + ": " + part);
      expect_refused(loss, {part, "infinite", {}}, bad);
    }
  }
}

}  // namespace
}  // namespace vlalign::bad_batches_test
