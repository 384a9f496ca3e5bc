// A SentencePiece model, read by a module of its own: libsentencepiece exports FLAGS_minloglevel, as LibTorch's libc10
// does with another type, and where the linker makes one of the two each writes over the other's.
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// Safe to use from several threads. No memory changes hands, since the two sides may allocate from different heaps:
/// texts are views that live until the call's end. Throws Error.
class PieceModel {
 public:
  using Take = std::function<void(std::string_view text)>;

  virtual ~PieceModel() = default;
  virtual int size() const = 0;
  virtual int id_of(std::string_view piece) const = 0;  ///< the unknown piece's for one that it lacks
  virtual bool has(std::string_view piece) const = 0;
  virtual void encode(std::string_view text, const Take& take) const = 0;  ///< a call a piece
  virtual void decode(std::span<const int> ids, const Take& take) const = 0;
};

/// The module's entry: the bytes of a spiece.model.
using OpenPieceModel = PieceModel* (*)(std::string_view bytes);

}  // namespace vlalign

extern "C" VLALIGN_EXPORT vlalign::PieceModel* vlalign_open_piece_model(std::string_view bytes);
