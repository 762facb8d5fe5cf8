#include "framemill/cli/typed_words.h"

#include <algorithm>

#include <fmt/format.h>

namespace framemill {

std::string typed_command(std::string_view verb, const std::vector<std::string>& args) {
  std::string command = fmt::format("framemill {}", verb);
  for (const std::string& arg : args) {
    const bool is_plain =
        !arg.empty() && arg.find_first_of(" \t\n'\"\\$`*?&;|<>()#!") == std::string::npos;
    std::string quoted;
    for (const char c : arg) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    command += is_plain ? " " + arg : " '" + quoted + "'";
  }
  return command;
}

std::vector<std::string> put_yaml_first(std::vector<std::string> words) {
  const auto is_yaml = [](const std::string& word) {
    return !word.starts_with('-') && (word.ends_with(".yaml") || word.ends_with(".yml"));
  };
  const auto found = std::ranges::find_if(words, is_yaml);
  if (found != words.end()) std::rotate(words.begin(), found, found + 1);
  return words;
}

}  // namespace framemill
