#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vlalign/core/device.hpp"
#include "vlalign/core/export.hpp"
#include "vlalign/data/loading/loader.hpp"
#include "vlalign/data/sources/episodes.hpp"
#include "vlalign/loss/contrastive_loss.hpp"
#include "vlalign/model/dual_encoder.hpp"
#include "vlalign/ranks/ranks.hpp"
#include "vlalign/train/checkpoints.hpp"
#include "vlalign/train/fine_tuning.hpp"
#include "vlalign/train/optimizer_options.hpp"
#include "vlalign/train/schedule.hpp"
#include "vlalign/train/stage.hpp"
#include "vlalign/train/targets.hpp"
#include "vlalign/train/validation.hpp"

namespace vlalign {

struct TrainerOptions {
  std::int64_t batch_size = 256;        ///< of all ranks together
  std::int64_t epochs = 32;             ///< CLIP's
  std::optional<std::int64_t> steps{};  ///< instead of epochs
  double learning_rate = 5e-4;          ///< the peak
  Schedule schedule{};
  OptimizerOptions optimizer{};       ///< AdamWOptions, LambOptions, LionOptions or MuonOptions
  std::vector<Stage> stages{};        ///< in their order; none: the whole run at full size
  std::optional<double> grad_clip{};  ///< largest L2 norm of all gradients
  FineTuning fine_tuning{};  ///< which parameters train, and how fast; the model itself is as before afterwards
  std::optional<double> ema_decay{};  ///< of an exponential moving average of the weights, e.g. 0.999: the run folder
                                      ///< then has an averaged model beside the last, model-ema/
  Precision precision = Precision::fp32;
  std::int64_t micro_batch = 0;  ///< > 0: towers run on so many pairs at a time, with the whole batch's exact gradient
                                 ///< (GradCache, Gao et al. 2021); batch norm then sees micro-batches
  std::optional<TargetRule> targets{};   ///< which pairs match beside each with itself, for losses that use it
  std::optional<DualEncoder> teacher{};  ///< for losses that use one: of the same image size and tokenizer
  Augmentation augmentation{};
  bool shuffle = true;
  std::int64_t shuffle_block = 0;  ///< records of shards that are mixed with each other, see LoaderOptions
  bool replacement = false;        ///< with shuffle: records are drawn independently of each other, see LoaderOptions
  std::uint64_t seed = 0;
  c10::Device device = c10::kCPU;
  int threads = 0;               ///< of the arithmetic, during fit() alone; at most 1,024; 0: LibTorch's choice
  int loader_threads = 2;        ///< that decode and transform; at most 1,024
  int prefetch = 4;              ///< batches made ahead
  std::int64_t cache_mb = 1024;  ///< decoded pictures kept in memory
  double max_bad = 0.05;         ///< the run stops when more than this share of the records (and at least 10) is bad
  Ranks ranks{};                 ///< the processes that share each batch, see Trainer
  bool sync_batch_norm = false;  ///< batch norms see all ranks' rows, not only a rank's own
  bool shard_optimizer = false;  ///< a rank keeps its part of the moments only (ZeRO stage 1), to the same bits
  std::filesystem::path out{};   ///< the run folder, which rank 0 alone sees and writes; empty: nothing is written
  /// s3://bucket/prefix where rank 0 keeps a copy of the run folder: in the background, each checkpoint whole or not at
  /// all. With resume, a run folder without a checkpoint is fetched from there. fit() ends when all is up, and throws
  /// Error where that can't be; the run folder is whole then. Empty: none.
  std::string mirror{};
  std::string data_name{};  ///< what config.json calls the data, for people
  bool resume = false;      ///< go on from the run folder's newest checkpoint, if there is one
  CheckpointOptions checkpoints{};
  std::vector<Validation> validations{};  ///< taken in their order; they change no bit of the training
  ValidationOptions validation{};         ///< when
  NonFinite non_finite = NonFinite::skip;
  std::int64_t norms_every = 0;  ///< > 0: so often the norms of each group's parameters, gradients and updates go into
                                 ///< norms.jsonl, and their histograms to TensorBoard
  std::string
      recipe{};  ///< what the run folder's recipe.json shall hold: how its options are made; empty: there is none
};

/// One step's figures, as metrics.jsonl holds them.
struct StepResult {
  std::int64_t step = 0;  ///< counted from 1
  std::int64_t steps = 0;
  std::int64_t epoch = 0;
  std::int64_t samples_seen = 0;
  double loss = 0;
  std::optional<double> action_loss{};  ///< a policy's, within the loss
  double accuracy = 0;                  ///< share of the batch's images whose own text is nearest
  double learning_rate = 0;
  double logit_scale = 0;
  double grad_norm = 0;
  double pairs_per_s = 0;
  double wait_s = 0;     ///< of the step, spent waiting for data
  bool skipped = false;  ///< loss, gradient or a buffer was not finite: weights, buffers and average were left alone
  std::optional<std::int64_t> rewound_to{};  ///< behind a skipped step: the step whose weights the run goes on with
};

struct TrainSummary {
  StepResult last;
  std::int64_t skipped_steps = 0;
  double seconds = 0;
  bool stopped = false;                  ///< by stop(), before its last step or validation
  bool ended_early = false;              ///< by ValidationOptions::patience
  std::int64_t best_step = 0;            ///< of ValidationOptions::best; 0: there is none
  std::vector<std::string> bad_records;  ///< "name: why", each once
};

/// Trains a DualEncoder on pairs, or on robot demonstrations, with a contrastive loss: warm-up and cosine, bf16
/// if wanted, checkpoints that resume to the same bits.
///
///     Trainer trainer(model, InfoNCE(), {.batch_size = 256, .learning_rate = 5e-4, .precision = Precision::bf16});
///     trainer.fit(open_pairs("train.tsv"));
///     Trainer(model, VIP()).fit(open_episodes("demos.tar"));
///
/// On several ranks, each a process that does all of this with the same options, model and data: each batch is shared
/// among them, a rank reads and encodes its rows, and the loss, its gradient and every figure are the whole batch's.
///
///     const auto ranks = Ranks::from_environment();
///     Trainer(model, InfoNCE(), {.batch_size = 4096, .ranks = ranks}).fit(open_pairs("train.tsv"));
///
/// Same seed, machine, thread count and number of ranks: the same bits. Torch's default generator is seeded from (seed,
/// step) at every step, so that dropout in a tower repeats too.
class VLALIGN_EXPORT Trainer {
 public:
  /// Throws Error on options that can't work, and when model and options can't give what the loss uses.
  Trainer(DualEncoder model, AnyLoss loss, TrainerOptions options = {});
  ~Trainer();

  /// Called after every step, e.g. with a Progress; the model is in evaluation mode then. In place of the callback
  /// before. Throws Error on an empty function.
  void on_step(std::function<void(const StepResult&)> callback);

  /// Called after every validation, a set at a time. In place of the callback before. Throws Error on an empty
  /// function.
  void on_validation(std::function<void(const ValidationResult&)> callback);

  /// A run of its own: from its first step, with the model as it is and a fresh optimizer, or with resume from the
  /// run folder's newest checkpoint. A model with an adapter (add_lora) trains that alone. A checkpoint is written when
  /// it is due and the step before it was not skipped, the folder's model/ when all steps are done.
  ///
  /// The model is on options.device afterwards, in evaluation mode. All else that the run changes is put back, whether
  /// it comes through or throws: what is frozen, gradients, the teacher, thread count, gradient mode and Torch's
  /// default generator.
  ///
  /// On several ranks all throw where one does, and where they differ in what decides the run: options, data, model.
  ///
  /// Throws Error on a null pointer, on a run folder that holds another run, when too many records are bad, when loss
  /// or gradient isn't finite for 10 steps in a row, in the last step or in most, and when the weights aren't finite at
  /// a checkpoint or at the end.
  TrainSummary fit(std::shared_ptr<const PairSource> pairs);

  /// The same on demonstrations: a sample is a step of an episode, its frame and its instruction, or where the loss
  /// uses frames a clip (ClipOptions), whose last frame is the image. The frames' embeddings come out of the projection
  /// without normalisation.
  TrainSummary fit(std::shared_ptr<const EpisodeSource> episodes);

  /// Ends the run that fit() is at after the step it is in, with a checkpoint to resume from and without the folder's
  /// model/. May be called from on_step(), from another thread and from a signal handler; does nothing outside fit(). A
  /// handler has to be installed with SA_ONSTACK and sigaltstack(): matrix kernels under LibTorch use the stack pointer
  /// for buffers of theirs.
  void stop() noexcept;

 private:
  struct VLALIGN_HIDDEN State;
  std::unique_ptr<State> state_;
};

}  // namespace vlalign
