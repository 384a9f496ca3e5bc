// What is done to S3's buckets beside reading. Internal.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/input_file.hpp"

namespace vlalign {

/// The objects whose urls begin with s3://bucket/prefix, as such urls, in the order of their bytes. Objects that stand
/// for folders, with a / at their end, are left out.
std::vector<std::string> list_remote(const std::string& prefix);

/// Puts a file at s3://bucket/key, in several parts above 64 MB. It is there whole or, after an Error, not at all:
/// what was there before stays.
void upload(const std::string& url, const std::filesystem::path& file);
/// The same of what is open, wherever its name leads now. Throws StoppedTransfer too.
void upload(const std::string& url, const InputFile& file, const std::stop_token& stop = {});
void upload_text(const std::string& url, std::string_view text, const std::stop_token& stop = {});

/// Removes what is at s3://bucket/key; nothing there is fine too.
void remove_remote(const std::string& url);

}  // namespace vlalign
