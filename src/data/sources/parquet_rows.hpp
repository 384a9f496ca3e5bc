// What a .parquet beside a shard says of its records, as img2dataset writes it. Internal.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

namespace vlalign {

/// The file's rows in their order, each an object with those of the columns that the file has and whose values are
/// numbers, text, true or false, or null, written as pandas' categories too: columns of lists, structs, bytes or times
/// are left out as if they weren't there. Integers are as they are, NaN stays, a float of 32 bits is the double that it
/// is: 0.3 of it is above 0.3. Reads on the caller's thread; safe from several.
///
/// Loads the module that reads LeRobot's datasets, which has Arrow. Throws Error when it isn't there, saying what to
/// install; naming the file when it can't be read, is damaged, has two columns of one of these names, or none at all.
std::vector<nlohmann::json> read_parquet_rows(const std::filesystem::path& file, std::span<const std::string> columns);

}  // namespace vlalign
