// A program may have an operator new of its own, as this one has: what it gave comes back to it.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <new>

#include "vlalign/tokenizers/tokenizer.hpp"

namespace {

thread_local std::int64_t live = 0;  // blocks that this thread has taken and not given back

void* take_or_null(std::size_t size) noexcept {
  void* memory = std::malloc(size);
  if (memory != nullptr) ++live;
  return memory;
}

void* take(std::size_t size) {
  if (void* memory = take_or_null(size)) return memory;
  throw std::bad_alloc();
}

void give_back(void* memory) {
  if (memory != nullptr) --live;
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) { return take(size); }
void* operator new[](std::size_t size) { return take(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return take_or_null(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return take_or_null(size); }
void operator delete(void* memory) noexcept { give_back(memory); }
void operator delete[](void* memory) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t) noexcept { give_back(memory); }
void operator delete[](void* memory, std::size_t) noexcept { give_back(memory); }

namespace vlalign::heap_test {
namespace {

#ifdef VLALIGN_SENTENCEPIECE
TEST(Heap, OfTheProgramGetsBackWhatSentencePieceTookFromIt) {
  const auto use = [] {
    const auto tokenizer = load_tokenizer(VLALIGN_FIXTURES "/tokenizers/siglip");
    tokenizer->decode(tokenizer->encode("a photograph of incomprehensibly extraordinary surroundings", 64));
  };
  use();  // makes what stays
  const auto before = live;
  for (int i = 0; i < 10; ++i) use();
  EXPECT_EQ(live, before);
}
#endif

}  // namespace
}  // namespace vlalign::heap_test
