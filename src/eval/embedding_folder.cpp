#include "eval/embedding_folder.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/io/folders.hpp"
#include "core/io/npy.hpp"
#include "core/io/place.hpp"
#include "core/json/dump_json.hpp"
#include "core/log.hpp"
#include "core/utf8.hpp"
#include "data/sources/parquet_columns.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 3> parts{"img_emb", "text_emb", "metadata"};

/// Whether `name` is that of a part's file.
bool is_file_of(std::string_view part, const std::string& name) {
  constexpr std::array<std::string_view, 3> endings{".npy", ".parquet", ".jsonl"};
  return std::any_of(endings.begin(), endings.end(),
                     [&](std::string_view ending) { return name == fmt::format("{}_0{}", part, ending); });
}

/// What of a folder isn't ours.
std::string misfit_in(const fs::path& folder) {
  for (const auto& path : entries_of(folder)) {
    const auto name = path.filename().string();
    if (std::find(parts.begin(), parts.end(), name) == parts.end() || !is_folder(path)) return name + " is in it";
    for (const auto& file : entries_of(path))
      if (!is_file_of(name, file.filename().string()) || is_folder(file))
        return fmt::format("{}/{} is in it", name, file.filename().string());
  }
  return "";
}

Replaceable replaceable_embeddings() { return {"a folder of embeddings alone", misfit_in}; }

bool has_parquet() {
  try {
    check_parquet_can_be_written();
    return true;
  } catch (const Error& error) {
    log_warning("{}; the names are written to metadata_0.jsonl instead", error.what());
    return false;
  }
}

std::vector<std::string> in_utf8(const std::vector<std::string>& texts) {
  std::vector<std::string> made;
  for (const auto& text : texts) made.push_back(as_utf8(text));
  return made;
}

void write_names(const fs::path& folder, const EmbeddedRows& rows) {
  if (has_parquet())
    return write_parquet(folder / "metadata_0.parquet",
                         {.texts = {{"image_path", in_utf8(rows.names)}, {"caption", in_utf8(rows.captions)}}});
  write_file_atomically(folder / "metadata_0.jsonl", [&](const auto& write) {
    for (std::size_t i = 0; i < rows.names.size(); ++i)
      write(dump_readable(nlohmann::ordered_json{{"image_path", rows.names[i]}, {"caption", rows.captions[i]}}) + "\n");
  });
}

void write_embeddings(const fs::path& folder, std::string_view part, EmbeddingFormat format, const at::Tensor& rows) {
  const auto file = folder / fmt::format("{}_0", part);
  if (format == EmbeddingFormat::npy) return write_npy(file.string() + ".npy", rows.to(at::kHalf));
  const auto numbers = rows.to(at::kCPU, at::kFloat).contiguous();
  write_parquet(file.string() + ".parquet", {.numbers = {{.name = "embedding",
                                                          .values = numbers.const_data_ptr<float>(),
                                                          .rows = numbers.size(0),
                                                          .width = numbers.size(1)}}});
}

}  // namespace

void check_embedding_folder(const fs::path& folder, EmbeddingFormat format) {
  check_folder_place(folder, replaceable_embeddings());
  if (format == EmbeddingFormat::parquet) check_parquet_can_be_written();
}

void write_embedding_folder(const fs::path& folder, EmbeddingFormat format, const EmbeddedRows& rows) {
  write_folder_atomically(folder, replaceable_embeddings(), [&](const fs::path& place) {
    for (const auto part : parts) {
      std::error_code error;
      fs::create_directory(place / part, error);
      check(!error, "{}: cannot make this folder: {}", (place / part).string(), error.message());
    }
    write_embeddings(place / "img_emb", "img_emb", format, rows.image);
    write_embeddings(place / "text_emb", "text_emb", format, rows.text);
    write_names(place / "metadata", rows);
  });
}

}  // namespace vlalign
