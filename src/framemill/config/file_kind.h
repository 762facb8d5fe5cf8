#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "framemill/config/yaml_tree.h"

namespace framemill {

/// The two files that framemill reads from a user: what `run` does, and what `plan` counts with.
enum class FileKind : std::uint8_t { kConfiguration, kWorkload };

/// What a file is by its sections and by what its cameras have; nothing where it has marks of both
/// or of none.
[[nodiscard]] std::optional<FileKind> guess_file_kind(const YamlNode& root);

/// What to tell who gave a file of the other kind than `wanted`; empty: it is not one.
[[nodiscard]] std::string wrong_file_kind(const YamlNode& root, FileKind wanted);

}  // namespace framemill
