// spiece.model, a message in protobuf's wire format. Internal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vlalign {

/// What SentencePiece calls the types of pieces.
enum class PieceType { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

struct ModelPiece {
  std::string text;
  float score = 0;
  PieceType type = PieceType::normal;
};

/// The parts of a model that other libraries' tokenizers are made of.
struct PieceModelFile {
  enum class Algorithm { unigram = 1, bpe = 2, word = 3, character = 4 };

  std::vector<ModelPiece> pieces;
  Algorithm algorithm = Algorithm::unigram;
  std::int64_t unknown_id = 0;
  std::string character_map;  ///< the normalizer's precompiled_charsmap, empty where it changes nothing
};

/// Throws Error for what isn't such a model, and as check_piece_model() does.
PieceModelFile parse_piece_model(std::string_view bytes);

/// libsentencepiece trusts the tables of character replacements that a model holds, and looks up beyond their ends when
/// they are damaged. Throws Error for a model that isn't whole, or whose tables lead out of themselves.
void check_piece_model(std::string_view bytes);

}  // namespace vlalign
