// The README's ten lines, as a program: trains ViT-B-32 on pairs and evaluates it on held-out ones.
//
//     train PAIRS HELD_OUT
#include <cstdio>
#include <exception>
#include <vlalign/vlalign.hpp>

int main(int argc, char** argv) try {
  if (argc != 3) return std::fprintf(stderr, "usage: train PAIRS HELD_OUT\n"), 2;
  auto pairs = vlalign::open_pairs(argv[1]);  // a .tsv, .csv, .jsonl, tar shards, or a folder with metadata.jsonl
  auto model = vlalign::DualEncoder::create("ViT-B-32");  // or ::load("path/to/model")
  vlalign::Trainer trainer(
      model, vlalign::InfoNCE(),
      {.batch_size = 256, .learning_rate = 5e-4, .precision = vlalign::Precision::bf16, .out = "runs/mine"});
  trainer.on_step(vlalign::Progress());
  trainer.fit(pairs);
  auto scores = vlalign::evaluate_retrieval(model, vlalign::open_pairs(argv[2]));
  std::printf("image to text, recall@1: %.1f%%\n", 100 * scores.image_to_text.recall_at_1);
} catch (const std::exception& error) {
  std::fprintf(stderr, "train: %s\n", error.what());
  return 1;
}
