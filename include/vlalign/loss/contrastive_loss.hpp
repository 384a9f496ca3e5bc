#pragma once

#include <ATen/core/Tensor.h>

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// Features of each patch or word in the joint space, with which of them are real.
struct TokenFeatures {
  at::Tensor features{};  ///< [B, N, D] unit rows
  at::Tensor mask{};      ///< bool [B, N], false where padding stands; undefined: all are real
};

namespace tiles {

/// The rows begin, ..., begin + count - 1.
struct RowRange {
  std::int64_t begin = 0;
  std::int64_t count = 0;
};

}  // namespace tiles

/// How much each image of a batch wants each text: a matrix W [B, B], held whole or made a few rows at a time, which
/// spares a large batch from holding it. Any at::Tensor [B, B] is one.
class VLALIGN_EXPORT SoftTargets {
 public:
  SoftTargets() = default;  ///< none
  SoftTargets(at::Tensor matrix) : matrix_(std::move(matrix)) {}

  /// rows(r) gives W's rows r, [r.count, B], and the same numbers whenever it is asked; a loss asks in each of its
  /// passes.
  SoftTargets(std::int64_t size, std::function<at::Tensor(tiles::RowRange)> rows)
      : size_(size), make_rows_(std::move(rows)) {}

  bool defined() const { return matrix_.defined() || make_rows_ != nullptr; }

  /// The matrix where it is held whole; undefined where it is made by rows.
  const at::Tensor& matrix() const { return matrix_; }

  /// B, where W is made by rows.
  std::int64_t size() const { return size_; }

  /// The rows of W, [rows.count, B].
  at::Tensor rows(tiles::RowRange rows) const {
    return make_rows_ ? make_rows_(rows) : matrix_.narrow(0, rows.begin, rows.count);
  }

  /// W, [B, B]; undefined where there are no targets.
  at::Tensor dense() const { return make_rows_ ? make_rows_({0, size_}) : matrix_; }

 private:
  at::Tensor matrix_;
  std::int64_t size_ = 0;
  std::function<at::Tensor(tiles::RowRange)> make_rows_;
};

/// What a contrastive loss is computed from. The first three are always there; the others where the loss says that it
/// uses them (BatchParts). Embeddings are float64, or float32 and bfloat16, on one device: losses throw Error if not.
struct ContrastiveBatch {
  at::Tensor image;         ///< [B, D] unit rows; a row of zeros is allowed
  at::Tensor text;          ///< [B, D] unit rows; row i belongs to image i
  at::Tensor logit_scale;   ///< [] multiplier of the cosines, > 0, of any dtype: 1 / temperature
  at::Tensor logit_bias{};  ///< [] added to the logits

  // Targets: neither (image i matches text i), or one of these.
  at::Tensor groups{};         ///< int64 [B]: image i matches text j where groups[i] == groups[j]
  SoftTargets soft_targets{};  ///< [B, B]: row i is the wanted distribution over the texts of image i; non-negative

  TokenFeatures image_tokens{}, text_tokens{};
  at::Tensor second_image{};  ///< [B, D] unit rows: the images under another augmentation

  at::Tensor teacher_image{}, teacher_text{};  ///< [B, T] unit rows of a teacher, without gradient
  at::Tensor teacher_logit_scale{};            ///< []

  /// [B, F, D] embeddings of F frames of clip i in the order of time, of any length. The image is the last of them.
  at::Tensor frames{};

  /// Of a batch shared among several processes, the rows this one answers for; all of them without it. Every process
  /// holds the whole batch (gathered with its gradient). The mean over processes of a loss, by their shares of the
  /// rows, is that of the whole batch: so a loss may skip the other processes' rows, and one that ignores this is right
  /// too.
  std::optional<tiles::RowRange> own{};

  double progress = 0.0;  ///< share of the training run that is done, 0 to 1, for weights that change
};

/// Which parts of a batch a loss uses beside the embeddings and the logit scale.
struct BatchParts {
  bool logit_bias = false;
  bool groups = false;        ///< if there are any; without them pair i matches i alone
  bool soft_targets = false;  ///< if there are any
  bool tokens = false;
  bool second_image = false;
  bool teacher = false;
  std::int64_t frames = 0;   ///< how many of each clip, different ones in the order of time
  bool goal_frames = false;  ///< the clip's frames are a start, one step and the next, and a later goal
};

/// What either of two losses uses.
VLALIGN_EXPORT BatchParts operator|(const BatchParts& a, const BatchParts& b);

/// Of a batch's images, a sum, not a mean, over all of them and over other pairs' texts [M, D], in float32 or float64:
/// a scalar [], differentiable as a loss is with respect to the images, the texts, the logit scale and the bias. The
/// batch's own text is there without its gradient.
using SumOverTexts = std::function<at::Tensor(const ContrastiveBatch& batch, const at::Tensor& texts)>;

/// A loss over a batch of aligned embeddings. Derive from it, or give the trainer a lambda:
///
///     #include <ATen/TensorOperators.h>  // for a - b and such
///     Trainer trainer(model, [](const ContrastiveBatch& b) { return (b.image - b.text).square().sum(1).mean(); });
///
/// <vlalign/testing/loss_properties.hpp> tests one in a line.
class VLALIGN_EXPORT ContrastiveLoss {
 public:
  virtual ~ContrastiveLoss() = default;

  /// A scalar [] in nats, differentiable with respect to every embedding, the logit scale and the bias.
  virtual at::Tensor forward(const ContrastiveBatch& batch) const = 0;
  virtual std::string name() const = 0;

  /// The settings that the value depends on beside the batch, such as "temperature=0.1"; empty where there are none. A
  /// run is resumed only with the same.
  virtual std::string options() const { return {}; }

  /// Where there are no targets and the loss is the mean over images of a sum over all texts, what texts of other pairs
  /// add to all images' sums together: a batch of B pairs, in parts of b_p, has the loss
  /// 1/B sum_p (b_p forward(part p) + over_other_texts()(part p, texts of the other parts)). Processes then pass their
  /// texts around in place of gathering a batch whose embeddings take 8 MB or more. Empty for every other loss.
  virtual SumOverTexts over_other_texts() const { return {}; }

  /// The trainer supplies these, or refuses the loss before the first step.
  virtual BatchParts uses() const { return {}; }
};

/// A function of a batch that gives a scalar, such as a lambda.
template <typename Function>
concept LossFunction = std::is_invocable_r_v<at::Tensor, Function, const ContrastiveBatch&>;

/// Holds any loss: a class derived from ContrastiveLoss, or a function of a batch. Copies share it.
class VLALIGN_EXPORT AnyLoss {
 public:
  template <std::derived_from<ContrastiveLoss> Loss>
  AnyLoss(Loss loss) : loss_(std::make_shared<Loss>(std::move(loss))) {}

  template <LossFunction Function>
  AnyLoss(Function function, BatchParts uses = {}, std::string name = "custom")
      : loss_(from_function(std::move(function), uses, std::move(name))) {}

  const ContrastiveLoss* operator->() const { return loss_.get(); }
  const ContrastiveLoss& operator*() const { return *loss_; }

 private:
  static std::shared_ptr<const ContrastiveLoss> from_function(
      std::function<at::Tensor(const ContrastiveBatch&)> function, BatchParts uses, std::string name);

  std::shared_ptr<const ContrastiveLoss> loss_;
};

}  // namespace vlalign
