// Embeddings in the layout of clip-retrieval, which autofaiss and others read. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

namespace vlalign {

/// Pairs of pictures and texts, a row each.
struct EmbeddedRows {
  at::Tensor image, text;             ///< floating [N, D]
  std::vector<std::string> names;     ///< [N], of the pictures
  std::vector<std::string> captions;  ///< [N]
};

enum class EmbeddingFormat {
  npy,      ///< img_emb/img_emb_0.npy and text_emb/text_emb_0.npy, float16 as clip-retrieval writes them
  parquet,  ///< img_emb_0.parquet and text_emb_0.parquet in the same folders: a column "embedding" of lists of float32
};

/// Throws Error unless write_embedding_folder() can write there: for commands that ask before they work. Without Arrow
/// there is no parquet.
void check_embedding_folder(const std::filesystem::path& folder, EmbeddingFormat format);

/// Beside the embeddings metadata/metadata_0.parquet has the columns image_path and caption, of the same rows; without
/// Arrow it is metadata_0.jsonl, which a warning says. Bytes that are no UTF-8 become U+FFFD. The folder is made beside
/// its place and put there in one step. Replaces nothing, an empty folder, or one that holds such files alone; throws
/// Error for anything else, and leaves it alone.
void write_embedding_folder(const std::filesystem::path& folder, EmbeddingFormat format, const EmbeddedRows& rows);

}  // namespace vlalign
