#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/nn/feed_forward.hpp"
#include "vlalign/vla/fusion/fusion.hpp"

namespace vlalign::vla {

/// Words point at places by the cosines of the joint space, which an alignment of words and patches (FILIP, Yao et al.
/// 2021) has made mean something before the first demonstration. Each of K pointers is a mean of the words, weighted by
/// a softmax of a linear layer of them, which is zero at first for the first pointer, so that it is their plain mean.
/// The words have length sqrt(E) here, so that their numbers are about 1 like all others that are joined:
///
///     q_k = sum_l softmax_l(u_k . w_l) w_l,    m_k = softmax_n(s_k cos(q_k, v_n))
///
/// A pointer gives the expected place of m_k and the visual token found there. What is to be done there is told by as
/// many means of the text tokens themselves, weighted likewise: the joint space keeps of a word what a picture can
/// show. An MLP joins all to one vector, and the state is added.
class VLALIGN_EXPORT Pointing : public Fusion {
 public:
  struct Options {
    std::int64_t pointers = 6;  ///< K
    double scale = 20.0;        ///< s_k at first; learned
    std::int64_t found = 64;    ///< numbers of each visual token found
    std::int64_t hidden = 512;
  };
  Pointing(const FusionSizes& sizes, const Options& options, nn::Initializer& initializer);

  /// The q_k, [B, K, E]. words: [B, L, E] of length 1.
  Tensor read(const Tensor& words, const Tensor& mask) const;
  /// The m_k, [B, K, N]. read: [B, K, E].
  Tensor maps(const Tensor& visual, const Tensor& read) const;

  std::shared_ptr<nn::Linear> word_weights;  ///< weight [K, E]
  std::shared_ptr<nn::Linear> read_weights;  ///< weight [K, Dt]
  Tensor log_scale;                          ///< [K]
  std::shared_ptr<nn::Linear> found_proj, read_proj;
  std::shared_ptr<nn::FeedForward> mlp;

 protected:
  Tensor fuse(const FusionInput& input) const override;
};

}  // namespace vlalign::vla
