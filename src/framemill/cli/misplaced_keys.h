#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace framemill {

/// Settings of a camera that stand behind a --source though only a configuration takes them.
struct MisplacedKeys {
  std::string source;             ///< what stands before them, without credentials
  std::vector<std::string> keys;  ///< in the order of their appearance
  std::string
      camera;  ///< the entry of `cameras:` that says all of it; a secret is a variable there
};

/// Looks for ",KEY=" of camera settings other than `allowed` in what --source was given: "a.mp4,
/// loop=true". Nothing where such a file exists, or in the query of a URL, which may hold anything.
/// Reads the file system for paths only. Any thread.
[[nodiscard]] std::optional<MisplacedKeys> find_misplaced_keys(
    std::string_view text, std::span<const std::string_view> allowed);

/// What to tell the user. `options`: those that the command has, "--loop" among them or not.
[[nodiscard]] std::string explain(const MisplacedKeys& misplaced,
                                  std::span<const std::string_view> allowed,
                                  std::span<const std::string_view> options);

}  // namespace framemill
