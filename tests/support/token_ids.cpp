// Prints the ids of captions: vlalign_token_ids FOLDER [CONTEXT_LENGTH] < captions > ids, one line each.
// tests/peers/tokenizer_agreement.py compares them with the peers'. SAVE_FOLDER gets the tokenizer's files.

#include <exception>
#include <iostream>
#include <string>

#include "vlalign/tokenizers/tokenizer.hpp"

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) {
    std::cerr << "usage: vlalign_token_ids FOLDER [CONTEXT_LENGTH [SAVE_FOLDER]] < captions > ids\n";
    return 2;
  }
  try {
    const auto tokenizer = vlalign::load_tokenizer(argv[1]);
    const auto context_length = argc > 2 ? std::stoll(argv[2]) : 77;
    if (argc > 3) tokenizer->save(argv[3]);
    std::cerr << tokenizer->vocab_size() << " entries, pad " << tokenizer->pad_id() << ", end " << tokenizer->end_id()
              << '\n';
    for (std::string caption; std::getline(std::cin, caption);) {
      for (const auto id : tokenizer->encode(caption, context_length)) std::cout << id << ' ';
      std::cout << '\n';
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
