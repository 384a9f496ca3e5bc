// What transformers' SigLIP and SigLIP 2 NaFlex have in common.
#pragma once

#include "model/peers/hugging_face_family.hpp"

namespace vlalign {

void read_siglip_model(JsonSection& root, ModelConfig& config);
nlohmann::json write_siglip_model(const ModelConfig& config);
NamingSchemes schemes_siglip_model(const ModelConfig& config);

}  // namespace vlalign
