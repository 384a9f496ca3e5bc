// The libraries in the process: none takes LibTorch's data for its own, and LibTorch none of theirs.
#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>
#include <c10/util/Logging.h>
#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <gtest/gtest.h>
#include <link.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/sanitized.hpp"
#include "vlalign/data/sources/episodes.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign::loaded_libraries_test {
namespace {

const std::filesystem::path fixtures = VLALIGN_FIXTURES;

/// What the linker works on in a library of this process.
struct Library {
  std::string name;
  ElfW(Addr) base = 0;
  std::span<const ElfW(Sym)> symbols;
  const char* texts = nullptr;
  std::vector<std::span<const ElfW(Rela)>> relocations;

  std::string_view name_of(const ElfW(Sym) & symbol) const { return texts + symbol.st_name; }
  bool is_torch() const { return name.starts_with("libtorch") || name.starts_with("libc10"); }
  /// Built here: what it shares with LibTorch are inline variables of LibTorch's own headers.
  bool is_ours() const { return name.empty() || name.find("vlalign") != name.npos; }
};

/// The number of symbols behind a table of DT_GNU_HASH: one more than the last of the longest chain.
std::size_t count_symbols(const std::uint32_t* table) {
  const auto buckets = table[0], first = table[1], bloom_words = table[2];
  const auto* bucket = table + 4 + bloom_words * (sizeof(ElfW(Addr)) / sizeof(std::uint32_t));
  const auto* chain = bucket + buckets;
  std::uint32_t last = 0;
  for (std::uint32_t i = 0; i < buckets; ++i) last = std::max(last, bucket[i]);
  if (last < first) return first;
  while ((chain[last - first] & 1) == 0) ++last;
  return std::size_t{last} + 1;
}

Library read_library(const dl_phdr_info& info, const ElfW(Dyn) * dynamic) {
  Library library;
  library.name = std::filesystem::path(info.dlpi_name).filename().string();
  library.base = info.dlpi_addr;
  std::map<ElfW(Sxword), ElfW(Addr)> entries;
  for (; dynamic->d_tag != DT_NULL; ++dynamic) entries[dynamic->d_tag] = dynamic->d_un.d_ptr;
  const auto address = [&](ElfW(Sxword) tag) {
    const auto at = entries[tag];
    return at < info.dlpi_addr ? at + info.dlpi_addr : at;
  };
  if (!entries.contains(DT_GNU_HASH) || !entries.contains(DT_SYMTAB)) return library;
  library.texts = reinterpret_cast<const char*>(address(DT_STRTAB));
  library.symbols = {reinterpret_cast<const ElfW(Sym)*>(address(DT_SYMTAB)),
                     count_symbols(reinterpret_cast<const std::uint32_t*>(address(DT_GNU_HASH)))};
  for (const auto& [table, size] : {std::pair(DT_RELA, DT_RELASZ), std::pair(DT_JMPREL, DT_PLTRELSZ)}) {
    if (!entries.contains(table)) continue;
    library.relocations.emplace_back(reinterpret_cast<const ElfW(Rela)*>(address(table)),
                                     entries[size] / sizeof(ElfW(Rela)));
  }
  return library;
}

std::vector<Library> loaded_libraries() {
  std::vector<Library> libraries;
  const auto add = [](dl_phdr_info* info, std::size_t, void* out) {
    if (std::string_view(info->dlpi_name).find("linux-vdso") != std::string_view::npos) return 0;
    for (const auto& header : std::span(info->dlpi_phdr, info->dlpi_phnum)) {
      if (header.p_type != PT_DYNAMIC) continue;
      const auto* dynamic = reinterpret_cast<const ElfW(Dyn)*>(info->dlpi_addr + header.p_vaddr);
      static_cast<std::vector<Library>*>(out)->push_back(read_library(*info, dynamic));
    }
    return 0;
  };
  ::dl_iterate_phdr(add, &libraries);
  return libraries;
}

/// The standard library's, and names of types: these are made in every library and meant to be one.
bool is_standard(std::string_view symbol) {
  if (symbol.starts_with("_ZTI") || symbol.starts_with("_ZTS")) return true;
  const std::string mangled(symbol);
  char* demangled = abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, nullptr);
  const std::string text = demangled == nullptr ? "" : demangled;
  std::free(demangled);
  const auto entity = text.substr(text.rfind(" for ") == text.npos ? 0 : text.rfind(" for ") + 5);
  return entity.starts_with("std::") || entity.starts_with("__gnu_cxx::");
}

using Places = std::map<std::string_view, ElfW(Addr)>;

/// The variables that a library exports, and where they are.
Places exported_data(const Library& library, bool strong_only) {
  Places places;
  for (const auto& symbol : library.symbols) {
    const auto bind = ELF64_ST_BIND(symbol.st_info);
    const bool is_data = ELF64_ST_TYPE(symbol.st_info) == STT_OBJECT && symbol.st_shndx != SHN_UNDEF;
    if (is_data && bind != STB_LOCAL && (bind == STB_GLOBAL || !strong_only))
      places[library.name_of(symbol)] = library.base + symbol.st_value;
  }
  return places;
}

/// Whether a reference of the library's to the symbol leads to this place.
bool uses(const Library& library, std::string_view symbol, ElfW(Addr) place) {
  for (const auto& table : library.relocations) {
    for (const auto& relocation : table) {
      const auto index = ELF64_R_SYM(relocation.r_info);
      if (index == 0 || index >= library.symbols.size() || library.name_of(library.symbols[index]) != symbol) continue;
      ElfW(Addr) value = 0;
      std::memcpy(&value, reinterpret_cast<const void*>(library.base + relocation.r_offset), sizeof(value));
      if (value == place) return true;
    }
  }
  return false;
}

/// Everything that the library links, and both modules where they were built.
void load_all() {
#ifdef VLALIGN_SENTENCEPIECE
  load_tokenizer(fixtures / "tokenizers/siglip");
#endif
#ifdef VLALIGN_LEROBOT
  open_episodes((fixtures / "lerobot/v21").string());
#endif
}

TEST(LoadedLibraries, ShareNoVariableWithLibTorch) {
  if (test::is_sanitized()) GTEST_SKIP() << "sanitizers refuse the flag that keeps the modules' names apart";
  load_all();
  const auto libraries = loaded_libraries();
  std::size_t of_torch = 0, of_others = 0;
  for (const auto& torch : libraries) {
    if (!torch.is_torch()) continue;
    const auto theirs = exported_data(torch, false);
    of_torch += theirs.size();
    for (const auto& other : libraries) {
      if (other.is_torch()) continue;
      const auto data = exported_data(other, other.is_ours());
      of_others += data.size();
      for (const auto& [symbol, place] : data) {
        const auto found = theirs.find(symbol);
        if (found == theirs.end() || is_standard(symbol)) continue;
        EXPECT_FALSE(uses(other, symbol, found->second)) << other.name << " takes " << torch.name << "'s " << symbol;
        EXPECT_FALSE(uses(torch, symbol, place)) << torch.name << " takes " << other.name << "'s " << symbol;
      }
    }
  }
  EXPECT_GT(of_torch, 1000U);
  EXPECT_GT(of_others, 1000U);
}

TEST(LoadedLibraries, LeaveAFailedAllocationAnException) {
  if (test::is_sanitized()) GTEST_SKIP() << "sanitizers refuse the flag that keeps the modules' names apart";
  load_all();
  EXPECT_THROW(at::empty({std::int64_t{1} << 55}, at::kByte), c10::Error);
  EXPECT_EQ(c10::GetEventSampledHandler("vlalign"), nullptr);  // this waited for ever
}

}  // namespace
}  // namespace vlalign::loaded_libraries_test
