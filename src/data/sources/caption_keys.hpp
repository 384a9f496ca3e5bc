// Captions under several keys of a record, of which some are drawn more often than others. Internal.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vlalign/core/random.hpp"
#include "vlalign/data/sources/pairs.hpp"

namespace vlalign {

/// Reads "caption=1,re_caption=2": keys, with what each weighs behind the last "=" in it, or 1 where there is none.
/// White space around either is left out. Throws Error as check_caption_keys() does, and for what is no number.
std::vector<CaptionKey> parse_caption_keys(std::string_view text);

/// Throws Error, "caption keys: expected ...", for no keys, one that is empty or stands twice, a weight that is
/// negative or not finite, and weights that are all 0 or whose sum is beyond a double.
void check_caption_keys(std::span<const CaptionKey> keys);

/// For people: "caption", "re_caption" with the quotes.
std::string names_of(std::span<const CaptionKey> keys);

/// One key's captions after the other's, in the keys' order, of a record such as parse_record() gives; each key's as
/// captions_of() has them, none where the key isn't there, null or blank. Those under a key of weight 0 are among them.
/// Throws Error when there are none at all, and for what is no text.
std::vector<std::string> captions_of(const nlohmann::json& record, std::span<const CaptionKey> keys);

/// A caption by its place among those of its key.
struct CaptionChoice {
  std::size_t key, caption;
};

/// Draws one, given how many captions there are under each key: first the key, by its weight among those that have any
/// and don't weigh 0, then one of its captions, each as likely. It is a function of the arguments and the Rng's state
/// alone. One number is drawn for the key where there are several such keys, and one for the caption where the key has
/// several; so none where there is nothing to choose. Throws Error where there is no such key.
CaptionChoice choose_caption(std::span<const std::size_t> counts, std::span<const CaptionKey> keys, Rng& rng);

/// The caption that choose_caption() draws of a record's.
std::string pick_caption(const nlohmann::json& record, std::span<const CaptionKey> keys, Rng& rng);

}  // namespace vlalign
