#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "vlalign/config/block_config.hpp"
#include "vlalign/core/export.hpp"
#include "vlalign/image/transform.hpp"

namespace vlalign {

/// Rotary positions of a grid of patches (Su et al. 2021; two-dimensional as in EVA-02, Fang et al. 2023): half of a
/// head's pairs of channels turn by the row, half by the column.
struct RotaryConfig {
  /// Where a row or column stands.
  enum class Coordinates {
    steps,       ///< its number plus `offset`, scaled so that `reference` of them span as many as there are
    normalized,  ///< the middle of its cell in [-1, 1], times two pi: DINOv3 (Simeoni et al. 2025)
  };
  Coordinates coordinates = Coordinates::steps;
  double temperature = 10000;  ///< of the frequencies: temperature^(-i / pairs)
  double offset = 0;
  std::int64_t reference = 0;  ///< rows of the pictures first trained on; 0: no scaling
  bool columns_first = false;  ///< the column's pairs come before the row's
  bool halves = false;         ///< channel i is paired with the one half a head further, not with its neighbour

  friend bool operator==(const RotaryConfig&, const RotaryConfig&) = default;
};

/// Vision Transformer (Dosovitskiy et al. 2021). Defaults are CLIP's (openai/CLIP, model.py): class token, ln_pre, no
/// bias in the patch embedding; SigLIP's differ in what siglip_vit() sets.
struct VitConfig {
  /// How the tokens become one vector.
  enum class Pool {
    token,      ///< the class token
    average,    ///< mean of the patch tokens
    attention,  ///< SigLIP's attention head with a learned query (Zhai et al. 2022, "MAP")
    query,      ///< CoCa's attentional pooler: the first of several learned queries (open_clip's attentional_pool)
  };
  /// What says where a patch stands.
  enum class Positions {
    learned,
    sines,  ///< two-dimensional sine and cosine, not trained
    none,   ///< `rotary` alone, or nothing
  };
  /// How a table of positions comes to the size of a picture's grid.
  enum class PositionResize {
    bicubic_antialiased,   ///< open_clip, timm
    bicubic,               ///< transformers' Dinov2Model
    bilinear_antialiased,  ///< transformers' Siglip2VisionModel
  };
  /// What makes tokens of pixels.
  enum class Front {
    patches,      ///< `stem`, then one convolution of stride `patch_size`
    vitamin,      ///< ViTamin's convolutional stages (Chen et al. 2024)
    mobile_clip,  ///< MobileCLIP-B's three convolutions (Vasu et al. 2024)
  };

  std::int64_t patch_size = 32;
  /// Channels of 3x3 convolutions of stride 2, each with batch norm and GELU, in front of the patch embedding (Xiao et
  /// al. 2021, "Early convolutions help transformers see better"), whose patches shrink so that one still covers
  /// patch_size pixels. Small towers trained from noise learn shapes many times faster so. No peer reads such a tower.
  std::vector<std::int64_t> stem{};
  Front front = Front::patches;
  std::vector<std::int64_t> front_widths{};  ///< channels of each stage of Front::vitamin, the stem's first
  std::vector<std::int64_t> front_layers{};  ///< blocks of each stage behind the stem
  std::int64_t width = 768;
  std::int64_t layers = 12;      ///< 0: patches see nothing but what the stem joins
  std::int64_t head_width = 64;  ///< heads = width / head_width
  double mlp_ratio = 4.0;
  Activation activation = Activation::gelu;
  double norm_eps = 1e-5;
  Pool pool = Pool::token;
  bool class_token = true;
  bool patch_bias = false;
  bool ln_pre = true;
  bool norm_after_pool = false;  ///< the final norm of the pooled vector instead of the tokens
  Positions positions = Positions::learned;
  std::int64_t position_side = 0;  ///< of the learned table's grid, resized to each picture's; 0: the pictures' own
  PositionResize position_resize = PositionResize::bicubic_antialiased;
  bool class_position = true;            ///< the class token has a position too
  std::optional<RotaryConfig> rotary{};  ///< queries and keys of patches turn by their place
  std::int64_t registers = 0;            ///< tokens behind the class token that no pooling sees (Darcet et al. 2024)
  std::optional<double> layer_scale{};   ///< initial factor of each residual branch (Touvron et al. 2021)
  /// Pictures keep their aspect ratio and are scaled to this many patches at most (Tschannen et al. 2025, NaFlex); 0:
  /// all are squares of image_size.
  std::int64_t most_patches = 0;
  double patch_dropout = 0.0;       ///< fraction of patches left out while training (Li et al. 2023, FLIP)
  std::int64_t pool_queries = 256;  ///< Pool::query
  std::int64_t pool_heads = 0;      ///< Pool::query and attention; 0: 8 and the blocks' own
  double pool_mlp_ratio = 0;        ///< Pool::attention; 0: the blocks'
  BlockConfig block{};
};

/// CLIP's ModifiedResNet (Radford et al. 2021, section 2.4): three-convolution stem, antialiased strides, attention
/// pooling.
struct ModifiedResNetConfig {
  std::vector<std::int64_t> layers{3, 4, 6, 3};  ///< bottleneck blocks a stage
  std::int64_t width = 64;                       ///< channels after the stem; the pooled features have 32 times as many
  std::int64_t head_width = 64;                  ///< heads of the attention pool = 32 * width / head_width
};

/// ResNet (He et al. 2016) as torchvision builds it: stride in the 3x3 convolution, average pooling.
struct ResNetConfig {
  std::vector<std::int64_t> layers{2, 2, 2, 2};  ///< blocks a stage
  bool bottleneck = false;                       ///< ResNet-50 and deeper
  std::int64_t width = 64;                       ///< channels after the stem
};

/// EfficientNet (Tan and Le 2019) as ALIGN uses it. The coefficients scale B0's stages.
struct EfficientNetConfig {
  double width_coefficient = 1.0;
  double depth_coefficient = 1.0;
  std::int64_t depth_divisor = 8;
  std::vector<std::int64_t> kernel_sizes{3, 3, 5, 3, 5, 5, 3};
  std::vector<std::int64_t> in_channels{32, 16, 24, 40, 80, 112, 192};
  std::vector<std::int64_t> out_channels{16, 24, 40, 80, 112, 192, 320};
  std::vector<std::int64_t> strides{1, 2, 2, 2, 1, 2, 1};
  std::vector<std::int64_t> num_block_repeats{1, 2, 2, 3, 3, 4, 1};
  std::vector<std::int64_t> expand_ratios{1, 6, 6, 6, 6, 6, 6};
  std::vector<std::int64_t> depthwise_padding{};  ///< blocks, counted through, padded evenly though they stride
  double squeeze_expansion_ratio = 0.25;
  std::int64_t hidden_dim = 1280;  ///< kept for the peer's config, no part of the tower
  double norm_eps = 1e-3;
  double norm_momentum = 0.99;  ///< as transformers passes it on: the share of the new batch
};

/// ConvNeXt (Liu et al. 2022, "A ConvNet for the 2020s"): average pooling, then the final norm.
struct ConvNextConfig {
  std::vector<std::int64_t> layers{3, 3, 9, 3};  ///< blocks a stage
  std::vector<std::int64_t> widths{96, 192, 384, 768};
  double norm_eps = 1e-6;
  std::optional<double> layer_scale = 1e-6;  ///< initial factor of each residual branch
  double drop_path = 0;                      ///< as BlockConfig's
};

/// FastViT as MobileCLIP uses it (Vasu et al. 2023, 2024): re-parameterisable convolutions, attention in the last
/// stages.
struct FastVitConfig {
  std::vector<std::int64_t> layers{2, 6, 10, 2};  ///< blocks a stage
  std::vector<std::int64_t> widths{64, 128, 256, 512};
  double mlp_ratio = 3;
  std::int64_t attention_stages = 1;  ///< how many of the last stages attend
  bool squeeze_downsamples = true;    ///< squeeze and excitation where the last two stages begin
  bool layer_norm = false;            ///< of the attention blocks' channels, in place of batch norm
  bool stem_scale_branch = true;      ///< the stem's convolutions have a 1x1 branch
  std::optional<double> layer_scale = 1e-5;
  double drop_path = 0;  ///< as BlockConfig's
  bool folded = false;   ///< each block's branches are one convolution already, as for inference
};

/// Text Transformers. Defaults are CLIP's; the other architectures differ in what bert_text(), gpt2_text() and
/// siglip_text() set.
struct TextConfig {
  enum class Architecture {
    clip,    ///< pre-norm blocks, final norm: CLIP, SigLIP, GPT-2
    bert,    ///< post-norm blocks, token types, padding masked (Devlin et al. 2019); RoBERTa's family too
    t5,      ///< pre-norm blocks with relative positions and unscaled products, padding masked (Raffel et al. 2020)
    nllb,    ///< pre-norm blocks, scaled embeddings with sines, padding masked (Costa-jussa et al. 2022)
    modern,  ///< open_clip's text_arch "modern": rotary positions, gated MLP, root-mean-square norms
  };
  /// What says where a token stands.
  enum class Positions {
    learned,
    learned_from_padding,  ///< tokens that aren't padding are counted from pad_id + 1: RoBERTa
    sines,                 ///< fixed, counted likewise: NLLB
    relative,              ///< a learned bias of attention by distance: T5
    rotary,
    none,
  };
  /// Whose feature stands for the text.
  enum class Pool {
    largest_id,  ///< the first place of the largest id: CLIP's end token
    end_token,   ///< the first place of end_id
    first,       ///< BERT's [CLS]
    last,        ///< the last place of the whole context, padding included: SigLIP
    mean,        ///< of all places that are not padding
    max,         ///< each channel's largest of these places
    pooler,      ///< BERT's pooler: tanh of a layer of the first place
    attention,   ///< a learned query attends to these places ("map")
  };

  Architecture architecture = Architecture::clip;
  std::int64_t context_length = 77;
  std::int64_t vocab_size = 49408;
  std::int64_t width = 512;
  std::int64_t heads = 8;
  std::int64_t layers = 12;
  double mlp_ratio = 4.0;
  Activation activation = Activation::gelu;
  double norm_eps = 1e-5;
  Pool pool = Pool::largest_id;
  bool causal = true;
  std::int64_t pad_id = 0;
  std::int64_t end_id = 2;              ///< Pool::end_token
  std::optional<double> layer_scale{};  ///< as VitConfig's
  /// Standard deviation of the token embeddings at first. Where a single block joins the words of a small tower, ones
  /// of 0.02 drown in what it adds: words then end as copies of each other.
  double token_std = 0.02;
  bool class_embedding = false;  ///< CoCa's token behind the text, which is pooled instead
  std::int64_t token_types = 2;  ///< bert
  Positions positions = Positions::learned;
  std::int64_t head_width = 0;           ///< width / heads where it is 0: T5
  std::int64_t relative_buckets = 32;    ///< Positions::relative
  std::int64_t relative_distance = 128;  ///< Positions::relative: from here on all distances share a bucket
  double rotary_temperature = 10000;     ///< Positions::rotary
  std::int64_t registers = 0;            ///< modern: learned tokens in front of the text that no pooling sees
  bool ln_pre = false;                   ///< modern: a norm of the embeddings
  std::string peer_name{};               ///< open_clip's hf_model_name, whose layers the tower's tensors are named by
  std::string tiktoken{};                ///< open_clip's tiktoken_name: "r50k_base"
  bool pooler = false;                   ///< bert: the folder holds the [CLS] layer of pre-training, kept where unused
  std::int32_t position_rows = 0;        ///< of the learned table; 0: as many as context_length takes
  std::string cleaning{};                ///< open_clip's tokenizer_kwargs.clean, which its folder's tokenizer goes by
  bool strip_separator = false;          ///< its strip_sep_token: 0 in place of BERT's [SEP], as CLIPA was trained
  BlockConfig block{};
  bool own_vocabulary = false;  ///< not CLIP's 49,408 entries: the tokenizer's files are part of the model folder
  /// The table of words is a folder's, and has vocab_size rows whatever its tokenizer's size: DualEncoder::create()
  /// leaves it so, and takes no tokenizer of more entries.
  bool keeps_rows = false;
};

/// Towers brought by the user: their code is needed beside the folder to read the model again.
struct OwnTowers {};

using VisionConfig = std::variant<VitConfig, ModifiedResNetConfig, ResNetConfig, EfficientNetConfig, ConvNextConfig,
                                  FastVitConfig, OwnTowers>;

/// The peer whose files a model folder holds.
enum class Layout {
  open_clip,     ///< open_clip_config.json, open_clip_model.safetensors
  hugging_face,  ///< config.json, model.safetensors, preprocessor_config.json, tokenizer files
};

/// From a tower's width to the joint space.
struct ProjectionConfig {
  bool present = true;      ///< without one the tower's width is the embedding dimension
  bool bias = false;        ///< of its last layer
  std::int64_t hidden = 0;  ///< width of a layer with GELU in front of it; 0: none
  bool hidden_bias = true;  ///< of that layer
  bool of_tower = false;    ///< to timm it is the tower's own classifier: another name in the folder, nothing else
};

/// The learnable multiplier of the cosines.
struct ScaleConfig {
  bool temperature = false;      ///< the parameter is the temperature itself (ALIGN), not the scale's logarithm
  double initial = 1 / 0.07;     ///< of the scale (Radford et al. 2021)
  std::optional<double> bias{};  ///< initial value of the logit bias; none without it (Zhai et al. 2023: -10)
};

/// Everything that decides what a model computes, the weights aside.
struct ModelConfig {
  std::string name{};  ///< the preset's name, or the file's stem
  Layout layout = Layout::open_clip;
  bool custom_text = false;  ///< open_clip's CustomTextCLIP: the text tower's tensors lie under "text."
  std::int64_t embed_dim = 512;
  VisionConfig vision{};
  TextConfig text{};
  ProjectionConfig image_projection{}, text_projection{};
  ScaleConfig scale{};
  Preprocess preprocess{};  ///< preprocess.image_size is the towers' image size
  std::string decoder{};    ///< CoCa's multimodal_cfg as JSON: its tensors are kept, and written back untouched
};

/// "CLIP", "SigLIP", "ALIGN", "Chinese-CLIP" (of transformers' layout alone), or "custom" for another combination of
/// towers, which no peer reads. A text tower of transformers' is open_clip's where it has its peer_name.
VLALIGN_EXPORT std::string family(const ModelConfig& config);

}  // namespace vlalign
