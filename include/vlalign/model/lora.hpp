#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "vlalign/config/lora_options.hpp"
#include "vlalign/core/export.hpp"

namespace vlalign {

class DualEncoder;

/// Gives the chosen attention and MLP modules of the towers' Transformers an adapter and freezes everything else. Such
/// a model is written merged, as plain weights, with the adapter beside it as adapter.safetensors.
///
///     add_lora(model, {.rank = 8, .modules = {"text.*"}});
///     Trainer(model, InfoNCE(), {.learning_rate = 1e-4}).fit(pairs);
///     save_lora(model, "adapter.safetensors");
///
/// Throws Error when the model has an adapter already, when a pattern fits nothing, or when nothing is chosen.
VLALIGN_EXPORT void add_lora(DualEncoder model, const LoraOptions& options, std::uint64_t seed = 0);

/// Of the model's adapter, if it has one.
VLALIGN_EXPORT std::optional<LoraOptions> lora_options(const DualEncoder& model);

/// Adds each (alpha / rank) B A into its weight: the model is then as fast as one without an adapter, and can't be
/// trained until unmerge_lora() has given back the weights, bit for bit. Either does nothing when it is done already.
VLALIGN_EXPORT void merge_lora(DualEncoder model);
VLALIGN_EXPORT void unmerge_lora(DualEncoder model);

/// The adapter alone, as safetensors: A and B under our names, the options in the metadata under "lora". Replaces what
/// write_safetensors() does.
VLALIGN_EXPORT void save_lora(const DualEncoder& model, const std::filesystem::path& file);

/// Gives the model the adapter of a file, as add_lora() with its options. Throws Error, and then has changed nothing,
/// when the file holds none or one that doesn't fit.
VLALIGN_EXPORT void load_lora(DualEncoder model, const std::filesystem::path& file);

/// {"rank", "alpha", "attention", "mlp", "modules", "train"}
VLALIGN_EXPORT std::string to_json(const LoraOptions& options);

}  // namespace vlalign
