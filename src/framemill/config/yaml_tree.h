#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "framemill/base/result.h"

namespace framemill {

struct YamlEntry;

/// A YAML document as plain data: every value keeps its text and line, nothing is interpreted, and
/// a key that stands twice is there twice. Aliases are resolved to copies.
struct YamlNode {
  enum class Kind : std::uint8_t { kNull, kText, kList, kMap };
  Kind kind = Kind::kNull;
  int line = 0;                    ///< from 1
  int column = 0;                  ///< of its first byte, or of its anchor's or tag's; from 0
  std::string text;                ///< kText
  bool is_quoted = false;          ///< kText: written in quotes or as a block
  std::vector<YamlNode> items;     ///< kList
  std::vector<YamlEntry> entries;  ///< kMap, in the file's order
};

struct YamlEntry {
  std::string key;
  int line = 0;
  int column = 0;
  YamlNode value;
};

inline constexpr std::size_t kConfigurationBytesMax = std::size_t{4} << 20U;

/// Reads one document of at most kConfigurationBytesMax, 200,000 values and 32 levels (with aliases
/// resolved), so that no text takes more than a moment. An empty text is a null node.
/// Errors: kInvalidArgument, with `name`:line in front.
[[nodiscard]] Result<YamlNode> parse_yaml(std::string_view text, std::string_view name);

/// What a node is, for messages: "a list", "a map", "nothing", "a text".
[[nodiscard]] std::string_view describe(YamlNode::Kind kind);

}  // namespace framemill
