// The files in which AWS's tools keep settings. Internal.
#pragma once

#include <map>
#include <string>

namespace vlalign {

/// What a section of ~/.aws/config ($AWS_CONFIG_FILE) and of ~/.aws/credentials ($AWS_SHARED_CREDENTIALS_FILE) say, the
/// latter's last word. The section is $AWS_PROFILE's, else "default". Empty where there are no such files; throws Error
/// when $AWS_PROFILE names what neither has.
std::map<std::string, std::string> aws_profile();

}  // namespace vlalign
