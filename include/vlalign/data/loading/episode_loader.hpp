#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/data/loading/loader.hpp"
#include "vlalign/data/sources/episodes.hpp"
#include "vlalign/image/transform.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign {

class BatchMaker;
class EpisodeSteps;

/// Samples cut out of demonstrations: what a policy sees at a step, and what was done from there on. B is the batch
/// size, less the frames that could not be read.
struct EpisodeBatch {
  at::Tensor pixels{};      ///< uint8 [B, 3, S, S], channels-last: of the step, or of a clip's last frame
  at::Tensor frames{};      ///< uint8 [B, F, 3, S, S], where clips are asked for
  at::Tensor tokens{};      ///< int64 [B, L], the instructions, cut to the longest
  at::Tensor state{};       ///< float32 [B, S], of the step; S is 0 where the demonstrations have none
  at::Tensor actions{};     ///< float32 [B, H, A], of the step and those after it, 0 behind the episode's end
  at::Tensor mask{};        ///< bool [B, H], false behind the episode's end
  std::int64_t number = 0;  ///< counted from the start of the run
  std::int64_t epoch = 0;
  double wait_s = 0.0;  ///< how long next() had to wait for it
};

/// Which frames of an episode come together, for losses on video. Episodes with fewer steps than that are left out.
struct ClipOptions {
  std::int64_t frames = 0;  ///< F: different ones in the order of time, the step's own among them; 0: no clips
  /// Instead the F = 4 of VIP and LIV: a start, the step and the next one, and a goal. The start is drawn uniformly
  /// from the first step to this one, the goal from the next one to the last.
  bool to_goal = false;
};

struct EpisodeLoaderOptions {
  std::int64_t batch_size = 256;
  BatchShare share{};        ///< the samples of the batch that this loader makes, as LoaderOptions has it
  std::int64_t horizon = 1;  ///< H, the length of a chunk of actions
  ClipOptions clip{};
  int threads = 1;      ///< worker threads that decode and transform
  int prefetch = 4;     ///< batches made ahead
  bool shuffle = true;  ///< a new order of all steps each epoch; without it, the order of the source
  std::uint64_t seed = 0;
  Augmentation augmentation{};
  std::int64_t cache_mb = 1024;  ///< decoded pictures kept in memory
  double max_bad =
      0.05;  ///< the run stops when more than this share of the frames read so far (and at least 10) is bad
};

/// Makes training batches from demonstrations as Loader does from pairs: a sample is a step of an episode, and of
/// several instructions one is picked uniformly for each step and epoch, as are a clip's frames, which are augmented
/// alike. Batch k is a function of (source, options, k) alone. A sample with a frame that can't be read is left out of
/// its batch.
class VLALIGN_EXPORT EpisodeLoader {
 public:
  /// Throws Error when the batch is larger than the data.
  EpisodeLoader(std::shared_ptr<const EpisodeSource> source, std::shared_ptr<const Tokenizer> tokenizer,
                std::int64_t context_length, const Preprocess& preprocess, const EpisodeLoaderOptions& options);
  ~EpisodeLoader();

  std::int64_t batches_per_epoch() const;

  /// The next call of next() gives batch `number`.
  void seek(std::int64_t number);

  /// Waits for the next batch; endless. Throws Error when too many frames are bad, naming the first of them.
  EpisodeBatch next();

  /// Episodes too short for a clip, and frames that could not be read so far, each named once: "name: why".
  std::vector<std::string> bad_records() const;

  BatchMaker& maker() const noexcept { return *batches_; }

 private:
  std::shared_ptr<const EpisodeSource> source_;
  std::unique_ptr<const EpisodeSteps> steps_;
  std::int64_t horizon_, frames_;
  std::unique_ptr<BatchMaker> batches_;
};

}  // namespace vlalign
