// Damaged files against the readers that take any: tests/tools/mutate_readers.sh runs it.
//
//   vlalign_mutate_readers                                  prints the readers' names
//   vlalign_mutate_readers READER MUTATIONS SEED FINDINGS   reads so many inputs, each a good one with one file changed
//   vlalign_mutate_readers READER FOLDER                    reads one input, such as a finding
//
// An input may be read or refused with vlalign::Error. Another exception, a crash, and one that takes more than 10
// seconds of computing, or two minutes in all, are findings: the input is kept in FINDINGS. Ends nonzero when there are
// any.
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <functional>
#include <new>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <typeinfo>
#include <vector>

#include "data/tar_of.hpp"
#include "support/model_fixture.hpp"
#include "vla/small_policy.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/log.hpp"
#include "vlalign/data/sources/episodes.hpp"
#include "vlalign/data/sources/index.hpp"
#include "vlalign/data/sources/pairs.hpp"
#include "vlalign/eval/training_metrics.hpp"
#include "vlalign/image/image.hpp"
#include "vlalign/loss/info_nce.hpp"
#include "vlalign/model/lora.hpp"
#include "vlalign/model/quantize.hpp"
#include "vlalign/train/trainer.hpp"

namespace vlalign::test {
namespace {

namespace fs = std::filesystem;

const fs::path fixtures = VLALIGN_FIXTURES;

std::string read_text(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  return text.str();
}

void write_text(const fs::path& file, std::string_view text) {
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
}

// ---- The readers ----

struct Reader {
  std::string name;
  std::function<void(const fs::path& seeds)> write_seeds;  // a folder each: a good input
  std::function<void(const fs::path& input)> read;
};

/// A folder for each file of a fixture's folder whose name ends so.
void copy_files(const fs::path& from, const std::vector<std::string>& endings, const fs::path& seeds) {
  for (const auto& entry : fs::directory_iterator(from)) {
    const auto name = entry.path().filename().string();
    const bool wanted = std::any_of(endings.begin(), endings.end(), [&](auto& end) { return name.ends_with(end); });
    if (!wanted) continue;
    fs::create_directories(seeds / name);
    fs::copy(entry.path(), seeds / name / name);
  }
}

void copy_folders(const fs::path& from, const fs::path& seeds) {
  for (const auto& entry : fs::directory_iterator(from)) {
    if (entry.is_directory()) fs::copy(entry.path(), seeds / entry.path().filename(), fs::copy_options::recursive);
  }
}

fs::path only_file(const fs::path& input) { return fs::directory_iterator(input)->path(); }

void read_pairs(const fs::path& location) {
  const auto pairs = open_pairs(location.string());
  for (std::int64_t i = 0; i < pairs->size(); ++i) pairs->name(i), pairs->captions(i), pairs->read(i);
}

void read_episodes(const fs::path& location) {
  const auto episodes = open_episodes(location.string());
  for (std::int64_t i = 0; i < episodes->size(); ++i) {
    for (const auto step : {std::int64_t{0}, episodes->episode(i).actions.size(0) - 1})
      episodes->frame(i, step, PixelsAs::vlalign);
  }
}

void read_tokenizer(const fs::path& path) {
  const auto tokenizer = load_tokenizer(path);
  for (const auto* text : {"A photo of a cat!", "na\u00efve \u2603 <mask> caf\u00e9 1234567890", "", "\xff\xfe"}) {
    tokenizer->decode(tokenizer->encode(text, 24));
  }
}

void write_tables(const fs::path& seeds) {
  const auto picture = read_text(fixtures / "images/rgb.png");
  const std::vector<std::pair<std::string, std::string>> tables = {
      {"a.tsv", "filepath\ttitle\n1.png\t\"a \"\"quoted\"\" one\"\n"},
      {"b.csv", "id,filepath,title\n1,1.png,\"a, b\"\n2,1.png,second\n"},
      {"c.csv", "1.png,no header\n1.png,again\n"},
      {"metadata.jsonl",
       "{\"file_name\": \"1.png\", \"text\": [\"one\", \"two\"]}\n{\"file_name\": \"1.png\", \"text\": \"\u00e9\"}\n"},
      {"metadata.csv", "file_name,text\n1.png,one\n"}};
  for (const auto& [name, text] : tables) {
    write_text(seeds / name / name, text);
    write_text(seeds / name / "1.png", picture);
  }
}

void read_table(const fs::path& input) {
  for (const auto* name : {"a.tsv", "b.csv", "c.csv"}) {
    if (fs::exists(input / name)) return read_pairs(input / name);
  }
  read_pairs(input);
}

/// Our index of a shard, and the counts that others write beside one.
void write_indexes(const fs::path& seeds) {
  const auto shard = read_text(fixtures / "pairs/web-000.tar");
  write_text(seeds / "ours/a.tar", shard);
  index_pairs((seeds / "ours/a.tar").string(), {.out = seeds / "ours/index.json"});
  const auto records = open_pairs((seeds / "ours/a.tar").string())->size();
  const std::vector<std::pair<std::string, std::string>> foreign = {
      {"wids.json", R"({{"__kind__": "wids-shard-index-v1", "shardlist": [{{"url": "a.tar", "nsamples": {0}}}]}})"},
      {"sizes.json", R"({{"a.tar": {0}}})"},
      {"a_stats.json", R"({{"successes": {0}, "count": 9}})"},
      {"a.idx", "v1.2 {0}\njpg 512 100 a.jpg\n"}};
  for (const auto& [name, text] : foreign) {
    write_text(seeds / name / "a.tar", shard);
    write_text(seeds / name / name, fmt::format(fmt::runtime(text), records));
  }
}

void read_index(const fs::path& input) {
  const auto ours = input / "index.json";
  read_pairs(fs::exists(ours) ? ours : input / "a.tar");
}

void write_episodes(const fs::path& seeds) {
  const auto picture = read_text(fixtures / "images/grey.png");
  const auto step = [](int number) {
    return fmt::format(
        R"({{"episode": "e", "step": {}, "instruction": ["go", "move"], "state": [0.5, 1e-3], "action": [1, -2]}})",
        number);
  };
  write_text(seeds / "steps/a.tar",
             tar_of({{"0.png", picture}, {"0.json", step(0)}, {"1.png", picture}, {"1.json", step(1)}}));
}

void write_tokenizers(const fs::path& seeds) {
  copy_folders(fixtures / "tokenizers", seeds);
  copy_folders(fixtures / "tokenizer", seeds);
  copy_files(fixtures / "tokenizer", {"small_vocab.txt.gz", "tokenizer.json"}, seeds);
  write_text(seeds / "vocab.txt/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n##b\nphoto\n");
}

/// A folder of several files, or one file in a folder.
void read_any_tokenizer(const fs::path& input) {
  const bool alone = std::distance(fs::directory_iterator(input), {}) == 1;
  read_tokenizer(alone ? only_file(input) : input);
}

void write_peer_models(const fs::path& seeds) {
  copy_folders(fixtures / "model", seeds);
  for (const auto& entry : fs::directory_iterator(seeds)) {
    for (const auto* result : {"expected.safetensors", "training.safetensors"}) fs::remove(entry.path() / result);
    const bool has_config =
        fs::exists(entry.path() / "config.json") || fs::exists(entry.path() / "open_clip_config.json");
    const auto name = entry.path().filename().string();
    if (!has_config || name == "hf_bert" || name == "hf_gpt2") fs::remove_all(entry.path());  // of one tower
  }
}

void read_peer_model(const fs::path& input) {
  const auto open_clip = input / "open_clip_config.json";
  peer_model(input, fs::exists(open_clip) ? open_clip : input / "config.json");
}

vla::Policy small_policy() { return vla::Policy::create(test::towers(), test::config_of("text_queries", "l1"), 1); }

/// Pairs beside the run folder, and what both runs are told.
Trainer trainer_in(const fs::path& input, std::int64_t steps, bool resume) {
  TrainerOptions options;
  options.batch_size = 2;
  options.steps = steps;
  options.schedule.warmup = 1;
  options.threads = 1;
  options.out = input / "run";
  options.resume = resume;
  options.checkpoints.every = 2;
  options.data_name = "pairs";
  return Trainer(test::towers(), InfoNCE(), options);
}

void write_run(const fs::path& seeds) {
  const auto input = seeds / "run";
  write_text(input / "1.png", read_text(fixtures / "images/rgb.png"));
  write_text(input / "2.png", read_text(fixtures / "images/grey.png"));
  write_text(input / "pairs.tsv", "filepath\ttitle\n1.png\tone\n2.png\ttwo\n");
  auto trainer = trainer_in(input, 6, false);
  trainer.on_step([](const StepResult& result) {
    if (result.step == 3) throw std::runtime_error("stopped");
  });
  try {
    trainer.fit(open_pairs((input / "pairs.tsv").string()));
  } catch (const std::runtime_error&) {
  }
}

void read_run(const fs::path& input) {
  read_metrics(input / "run/metrics.jsonl");
  trainer_in(input, 6, true).fit(open_pairs((input / "pairs.tsv").string()));
}

at::Tensor some_texts(std::int64_t count) {
  auto tokens = at::randint(1, 500, {count, 16}, at::kLong);
  tokens.select(1, 15).fill_(513);
  return tokens;
}

void write_int8_model(const fs::path& seeds) {
  const auto model = test::towers();
  quantize(model, at::randn({8, 3, 32, 32}), some_texts(8), {.cosine = 0.9});
  model.save(seeds / "model");
}

void read_int8_model(const fs::path& input) {
  const auto model = DualEncoder::load(input);
  if (model.int8_columns().empty()) throw Error("not prepared for int8");
  model.encode_image(at::randn({2, 3, 32, 32}), Precision::int8);
  model.encode_text(some_texts(1), Precision::int8);
}

void read_adapter(const fs::path& input) { load_lora(test::towers(), input / "adapter.safetensors"); }

void write_adapter(const fs::path& seeds) {
  const auto model = test::towers();
  add_lora(model, {.rank = 2, .train = {"logit_scale"}});
  fs::create_directories(seeds / "adapter");
  save_lora(model, seeds / "adapter/adapter.safetensors");
}

const std::vector<Reader>& readers() {
  static const std::vector<Reader> all = {
      {"pictures",
       [](auto& seeds) {
         copy_files(fixtures / "images", {".jpg", ".png", ".webp"}, seeds);
       },
       [](auto& input) { read_image(only_file(input)); }},
      {"tables", write_tables, read_table},
      {"shards",
       [](auto& seeds) {
         copy_files(fixtures / "pairs", {".tar", ".tgz", ".gz", ".xz", ".zst"}, seeds);
       },
       [](auto& input) { read_pairs(only_file(input)); }},
      {"indexes", write_indexes, read_index},
      {"episodes", write_episodes, [](auto& input) { read_episodes(input / "a.tar"); }},
#ifdef VLALIGN_LEROBOT
      {"lerobot", [](auto& seeds) { copy_folders(fixtures / "lerobot", seeds); }, read_episodes},
#endif
      {"tokenizers", write_tokenizers, read_any_tokenizer},
      {"safetensors", [](auto& seeds) { copy_files(fixtures / "train", {".safetensors"}, seeds); },
       [](auto& input) { read_safetensors(only_file(input)); }},
      {"peer_models", write_peer_models, read_peer_model},
      {"models", [](auto& seeds) { test::towers().save(seeds / "model"); },
       [](auto& input) { DualEncoder::load(input); }},
      {"int8_models", write_int8_model, read_int8_model},
      {"adapters", write_adapter, read_adapter},
      {"policies", [](auto& seeds) { small_policy().save(seeds / "policy"); },
       [](auto& input) { vla::Policy::load(input); }},
      {"runs", write_run, read_run},
  };
  return all;
}

// ---- Mutations ----

using Random = std::mt19937_64;

std::size_t below(Random& random, std::size_t n) { return n == 0 ? 0 : random() % n; }

/// Numbers in text become others, and words of JSON other types.
void change_text(std::string& bytes, Random& random) {
  static const std::vector<std::string> values = {
      "-1", "0",  "1e308", "18446744073709551616", "9223372036854775807", "2147483648", "null", "true",
      "[]", "{}", "\"\"",  "\"\\u0000\"",          "[[[[1]]]]",           "NaN",        "0.5"};
  const auto from = bytes.find_first_of("0123456789", below(random, bytes.size()));
  if (from == bytes.npos) return;
  const auto end = bytes.find_first_not_of("0123456789.eE", from);
  bytes.replace(from, (end == bytes.npos ? bytes.size() : end) - from, values[below(random, values.size())]);
}

/// An integer of 1, 2, 4 or 8 bytes becomes an extreme one.
void change_number(std::string& bytes, Random& random) {
  static const std::vector<std::uint64_t> values = {0,
                                                    1,
                                                    0x7f,
                                                    0xff,
                                                    0x7fff,
                                                    0xffff,
                                                    0x7fffffff,
                                                    0x80000000,
                                                    0xffffffff,
                                                    0x7fffffffffffffff,
                                                    0x8000000000000000,
                                                    0xffffffffffffffff};
  const auto size = std::size_t{1} << below(random, 4);
  if (bytes.size() < size) return;
  const auto value = values[below(random, values.size())];
  const bool big_endian = random() % 2 == 0;
  const auto at = below(random, bytes.size() - size + 1);
  for (std::size_t i = 0; i < size; ++i)
    bytes[at + (big_endian ? size - 1 - i : i)] = static_cast<char>(value >> (8 * i));
}

void change_once(std::string& bytes, Random& random) {
  const auto at = below(random, bytes.size()), length = 1 + below(random, std::min<std::size_t>(bytes.size(), 64));
  switch (random() % 8) {
    case 0:
      if (!bytes.empty()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
      break;
    case 1:
      if (!bytes.empty()) bytes[at] = static_cast<char>(random());
      break;
    case 2:
      bytes.erase(at, length);
      break;
    case 3:
      bytes.insert(at, bytes.substr(below(random, bytes.size()), length));
      break;
    case 4:
      for (std::size_t i = at; i < std::min(bytes.size(), at + length); ++i) bytes[i] = static_cast<char>(random());
      break;
    case 5:
      if (random() % 4 == 0) bytes.resize(at);
      break;
    case 6:
      change_number(bytes, random);
      break;
    default:
      change_text(bytes, random);
  }
}

std::string mutated(std::string bytes, Random& random) {
  const auto changes = 1 + random() % 4;
  for (std::size_t i = 0; i < changes; ++i) change_once(bytes, random);
  // Damage near the front meets headers.
  if (random() % 2 == 0 && bytes.size() > 64) {
    auto front = bytes.substr(0, 64);
    change_once(front, random);
    bytes.replace(0, 64, front);
  }
  return bytes;
}

// ---- The run ----

/// What the children tell the parent.
struct Progress {
  std::atomic<std::int64_t> index = 0, refused = 0, read = 0;
  char foreign[1024] = {};  // why the last child gave up
};

struct Task {
  const Reader& reader;
  std::uint64_t seed;
  fs::path seeds, input;        // the good inputs; the one being read
  std::vector<fs::path> files;  // of all good inputs, relative to `seeds`
};

/// The input with this number: a copy of a good one with a file changed.
fs::path make_input(const Task& task, std::int64_t index) {
  Random random(task.seed * 1'000'003 + static_cast<std::uint64_t>(index));
  const auto& file = task.files[static_cast<std::size_t>(index) % task.files.size()];
  const auto name = *file.begin();
  const auto input = task.input / name;
  fs::remove_all(task.input);
  fs::create_directories(task.input);
  fs::copy(task.seeds / name, input, fs::copy_options::recursive);
  write_text(task.input / file, mutated(read_text(task.seeds / file), random));
  return input;
}

/// Returns only where something else than Error came out; its name and text are then in `foreign`.
void read_one(const Reader& reader, const fs::path& input, Progress& progress) {
  try {
    reader.read(input);
    ++progress.read;
  } catch (const Error&) {
    ++progress.refused;
  } catch (const std::exception& error) {
    std::snprintf(progress.foreign, sizeof(progress.foreign), "%s: %s", typeid(error).name(), error.what());
    ::_exit(3);
  } catch (...) {
    std::snprintf(progress.foreign, sizeof(progress.foreign), "an exception of an unknown type");
    ::_exit(3);
  }
}

/// So much more memory than there is now: what asks for more must be met by an exception.
void bound_memory() {
  constexpr rlim_t more = rlim_t{3} << 30;
  rlim_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const rlimit memory{pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE)) + more, RLIM_INFINITY};
  ::setrlimit(RLIMIT_AS, &memory);
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
}

[[noreturn]] void read_from(const Task& task, std::int64_t first, std::int64_t count, Progress& progress) {
  bound_memory();
  set_log_handler([](LogLevel, std::string_view) {});
  for (auto index = first; index < count; ++index) {
    const auto input = make_input(task, index);
    progress.index = index;
    read_one(task.reader, input, progress);
  }
  progress.index = count;
  ::_exit(0);
}

double computing_seconds(pid_t process) {
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(process, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return 0.0;
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Waits for the child, and ends it when it stays at one input for too long. Why it ended; empty: it read all.
std::string outcome_of(pid_t child, const Progress& progress) {
  using Clock = std::chrono::steady_clock;
  constexpr double most_computing = 10.0;
  constexpr auto most_waiting = std::chrono::minutes(2);  // others may use the machine too
  auto since = Clock::now();
  auto computed = computing_seconds(child);
  auto index = progress.index.load();
  for (int status = 0;;) {
    if (::waitpid(child, &status, WNOHANG) == child) {
      if (WIFSIGNALED(status)) return ::strsignal(WTERMSIG(status));
      return WEXITSTATUS(status) == 0 ? "" : progress.foreign;
    }
    if (progress.index != index) {
      index = progress.index;
      since = Clock::now();
      computed = computing_seconds(child);
    }
    if (Clock::now() - since > most_waiting || computing_seconds(child) - computed > most_computing) {
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
      return "it takes too long";
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

/// In a process of its own: LibTorch's threads would not live on in those made from this one.
template <typename Call>
bool in_child(const Call& call) {
  const auto child = ::fork();
  if (child == 0) {
    try {
      call();
    } catch (const std::exception& error) {
      fmt::print(stderr, "{}\n", error.what());
      ::_exit(1);
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool make_seeds(Task& task) {
  const bool made = in_child([&] {
    fs::create_directories(task.seeds);
    task.reader.write_seeds(task.seeds);
  });
  if (!made) return false;
  for (const auto& entry : fs::recursive_directory_iterator(task.seeds)) {
    if (entry.is_regular_file()) task.files.push_back(fs::relative(entry.path(), task.seeds));
  }
  std::sort(task.files.begin(), task.files.end());
  return true;
}

/// Good inputs of which some are refused would leave most of a reader unread.
void name_refused_seeds(const Task& task) {
  for (const auto& entry : fs::directory_iterator(task.seeds)) {
    fs::remove_all(task.input);
    fs::create_directories(task.input);
    fs::copy(entry.path(), task.input / entry.path().filename(), fs::copy_options::recursive);
    const auto input = task.input / entry.path().filename();
    fmt::print(stderr, "{}/{}: ", task.reader.name, input.filename().string());
    if (in_child([&] { task.reader.read(input); })) fmt::print(stderr, "good\n");
  }
}

int run(const Reader& reader, std::int64_t count, std::uint64_t seed, const fs::path& findings) {
  const auto memory = fs::path("/dev/shm");
  const auto work =
      (fs::exists(memory) ? memory : fs::temp_directory_path()) / fmt::format("vlalign-mutate-{}", ::getpid());
  Task task{reader, seed, work / "seeds", work / "input", {}};
  if (!make_seeds(task)) return 1;
  name_refused_seeds(task);
  auto* place = ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto& progress = *new (place) Progress;
  int found = 0;
  for (std::int64_t first = 0; first < count; first = progress.index + 1) {
    progress.index = first;
    const auto child = ::fork();
    if (child == 0) read_from(task, first, count, progress);
    const auto why = outcome_of(child, progress);
    if (why.empty()) break;
    ++found;
    const auto kept = findings / fmt::format("{}-{}", reader.name, progress.index.load());
    fs::remove_all(kept);
    fs::create_directories(findings);
    fs::copy(task.input, kept, fs::copy_options::recursive);
    fmt::print("FINDING {} in {}: {}\n", kept.string(),
               task.files[static_cast<std::size_t>(progress.index) % task.files.size()].string(), why);
  }
  fmt::print("{:12} {:6} inputs of {:4} files: {:6} read, {:6} refused, {} findings\n", reader.name, count,
             task.files.size(), progress.read.load(), progress.refused.load(), found);
  fs::remove_all(work);
  return found == 0 ? 0 : 1;
}

int main_of(const std::vector<std::string>& arguments) {
  if (arguments.empty()) {
    for (const auto& reader : readers()) fmt::print("{}\n", reader.name);
    return 0;
  }
  for (const auto& reader : readers()) {
    if (reader.name != arguments[0]) continue;
    if (arguments.size() == 4) return run(reader, std::stoll(arguments[1]), std::stoull(arguments[2]), arguments[3]);
    reader.read(arguments.at(1));
    return 0;
  }
  fmt::print(stderr, "no reader {}\n", arguments[0]);
  return 2;
}

}  // namespace
}  // namespace vlalign::test

int main(int count, char** arguments) { return vlalign::test::main_of({arguments + 1, arguments + count}); }
