#include "tokenizers/tokenizer_json.hpp"

#include "core/check.hpp"
#include "core/json/parse_json.hpp"
#include "core/naming.hpp"
#include "tokenizers/merges_file.hpp"
#include "tokenizers/tokenizer_config.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

// Takes the tables from the parser's events. Gives up, by false, where anything is unusual: parse_json() says what.
class TableReader : public nlohmann::json_sax<json> {
 public:
  TokenizerJson take() { return std::move(result_); }

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return number(value); }
  bool number_unsigned(number_unsigned_t value) override { return number(value); }
  bool number_float(number_float_t value, const string_t&) override {
    return table_ == Table::piece ? set_score(value) : put(value);
  }
  bool binary(binary_t&) override { return false; }
  bool parse_error(std::size_t, const std::string&, const json::exception&) override { return false; }

  bool string(string_t& value) override {
    switch (table_) {
      case Table::none:
        return put(std::move(value));
      case Table::piece:
        piece_.first = std::move(value);
        return ++parts_ == 1;
      case Table::merges:
        result_.merges.push_back(parse_merge(value));
        return true;
      case Table::merge:
        ++parts_;
        (parts_ == 1 ? result_.merges.back().first : result_.merges.back().second) = std::move(value);
        return parts_ <= 2;
      default:
        return false;
    }
  }

  bool key(string_t& name) override {
    key_ = std::move(name);
    return table_ == Table::vocabulary || !open_.back()->contains(key_);
  }

  bool start_object(std::size_t) override {
    if (table_ != Table::none) return false;
    if (is_in_model() && key_ == "vocab") {
      table_ = Table::vocabulary;
      return true;
    }
    in_model_ = in_model_ || (open_.size() == 1 && key_ == "model");
    return open(json::object());
  }

  bool end_object() override {
    if (table_ == Table::vocabulary) {
      table_ = Table::none;
      return true;
    }
    in_model_ = in_model_ && open_.size() != 2;
    return close();
  }

  bool start_array(std::size_t) override {
    parts_ = 0;
    switch (table_) {
      case Table::none:
        break;
      case Table::pieces:
        table_ = Table::piece;
        return true;
      case Table::merges:
        table_ = Table::merge;
        result_.merges.emplace_back();
        return true;
      default:
        return false;
    }
    if (is_in_model() && (key_ == "vocab" || key_ == "merges")) {
      table_ = key_ == "vocab" ? Table::pieces : Table::merges;
      return true;
    }
    return open(json::array());
  }

  bool end_array() override {
    switch (table_) {
      case Table::none:
        return close();
      case Table::piece:
        result_.pieces.push_back(std::move(piece_));
        table_ = Table::pieces;
        return parts_ == 2;
      case Table::merge:
        table_ = Table::merges;
        return parts_ == 2;
      default:
        table_ = Table::none;
        return true;
    }
  }

 private:
  enum class Table { none, pieces, piece, vocabulary, merges, merge };

  bool is_in_model() const { return in_model_ && open_.size() == 2; }

  template <typename Number>
  bool number(Number value) {
    if (table_ == Table::piece) return set_score(static_cast<double>(value));
    if (table_ != Table::vocabulary) return put(value);
    return result_.vocabulary.emplace(std::move(key_), static_cast<std::int64_t>(value)).second;
  }

  bool set_score(double value) {
    piece_.second = value;
    return ++parts_ == 2;
  }

  bool put(json value) { return table_ == Table::none && place(std::move(value)) != nullptr; }

  json* place(json value) {
    if (open_.empty()) return &(result_.rest = std::move(value));
    auto& parent = *open_.back();
    if (!parent.is_array()) return &(parent[key_] = std::move(value));
    parent.push_back(std::move(value));
    return &parent.back();
  }

  bool open(json value) {
    constexpr std::size_t deepest = 60;
    open_.push_back(place(std::move(value)));
    return open_.size() < deepest;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  TokenizerJson result_;
  Table table_ = Table::none;
  bool in_model_ = false;
  std::vector<json*> open_;  // objects and arrays that have begun and not ended, of which only the last one grows
  std::string key_;
  ScoredPiece piece_;
  int parts_ = 0;  // of the piece or merge so far
};

Vocabulary vocabulary_of(const json& entries) {
  Vocabulary vocabulary;
  for (const auto& [entry, id] : entries.items()) vocabulary.emplace(entry, parse_id(id));
  return vocabulary;
}

std::vector<Merge> merges_of(const json& list) {
  check(list.is_array(), "model.merges: expected an array, got {}", list.type_name());
  std::vector<Merge> merges;
  merges.reserve(list.size());
  for (const auto& merge : list) {
    merges.push_back(merge.is_array() ? merge.get<Merge>() : parse_merge(merge.get<std::string>()));
  }
  return merges;
}

void take_out(json& model, TokenizerJson& result) {
  if (const auto merges = model.find("merges"); merges != model.end()) {
    result.merges = merges_of(*merges);
    model.erase("merges");
  }
  const auto vocab = model.find("vocab");
  if (vocab == model.end()) return;
  check(vocab->is_array() || vocab->is_object(),
        "model.vocab: expected an object of entries and their ids, or an array of pieces and their scores, got {}",
        vocab->type_name());
  if (vocab->is_array()) {
    result.pieces = vocab->get<std::vector<ScoredPiece>>();
  } else {
    result.vocabulary = vocabulary_of(*vocab);
  }
  model.erase("vocab");
}

}  // namespace

TokenizerJson parse_tokenizer_json(std::string_view text, const std::string& where) {
  return naming(where, [&] {
    TableReader reader;
    TokenizerJson result;
    const bool well_formed = json::sax_parse(text, &reader);
    well_formed ? void(result = reader.take()) : void(result.rest = parse_json(text, where));
    // What is left there is none of the tables that the reader takes: an error that says so.
    const auto model = result.rest.is_object() ? result.rest.find("model") : result.rest.end();
    if (model != result.rest.end() && model->is_object()) take_out(*model, result);
    return result;
  });
}

}  // namespace vlalign
