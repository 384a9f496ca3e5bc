#include "tokenizers/sentencepiece/piece_model.hpp"

#include <sentencepiece_processor.h>

#include <exception>
#include <string>
#include <vector>

#include "vlalign/core/error.hpp"

namespace vlalign {
namespace {

/// Throws Error for a status that isn't good, and for what is thrown instead of one.
template <typename Call>
void must(Call call) {
  std::string fault;
  try {
    const sentencepiece::util::Status status = call();
    if (status.ok()) return;
    fault = status.error_message();
  } catch (const std::exception& error) {
    fault = error.what();
  }
  throw Error("[SentencePiece] " + fault);
}

class SentencePieceModel : public PieceModel {
 public:
  explicit SentencePieceModel(std::string_view bytes) {
    must([&] { return processor_.LoadFromSerializedProto(bytes); });
  }

  int size() const override { return processor_.GetPieceSize(); }
  int id_of(std::string_view piece) const override { return processor_.PieceToId(piece); }
  bool has(std::string_view piece) const override { return processor_.IdToPiece(id_of(piece)) == piece; }

  void encode(std::string_view text, const Take& take) const override {
    std::vector<std::string> pieces;
    must([&] { return processor_.Encode(text, &pieces); });
    for (const auto& piece : pieces) take(piece);
  }

  void decode(std::span<const int> ids, const Take& take) const override {
    std::string text;
    must([&] { return processor_.Decode(std::vector<int>(ids.begin(), ids.end()), &text); });
    take(text);
  }

 private:
  sentencepiece::SentencePieceProcessor processor_;
};

}  // namespace
}  // namespace vlalign

vlalign::PieceModel* vlalign_open_piece_model(std::string_view bytes) { return new vlalign::SentencePieceModel(bytes); }
