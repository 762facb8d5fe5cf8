#include "framemill/cli/typed_words.h"

#include <algorithm>

#include <fmt/format.h>

namespace framemill {

std::vector<std::string> split_words(std::string_view list) {
  std::vector<std::string> words;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    std::string_view word = list.substr(0, end);
    while (!word.empty() && word.front() == ' ') word.remove_prefix(1);
    while (!word.empty() && word.back() == ' ') word.remove_suffix(1);
    if (!word.empty()) words.emplace_back(word);
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return words;
}

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

}  // namespace framemill
