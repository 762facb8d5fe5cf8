#pragma once

#include <string>
#include <vector>

#include "framemill/base/result.h"

namespace framemill {

/// Most bytes of one file of labels that are read.
inline constexpr std::size_t kLabelBytesMax = std::size_t{1} << 30U;

/// What is wrong in files of labels, gathered so that a person sees all of it at once.
class LabelProblems {
 public:
  /// `line`: from 1; 0 where the file as a whole is meant.
  void add(std::string_view file, int line, std::string message) {
    ++count_;
    if (lines_.size() >= kShownMax) return;
    lines_.push_back(std::string(file) + (line > 0 ? ":" + std::to_string(line) : "") + ": " +
                     std::move(message));
  }
  /// One that names its place already.
  void add(const Error& error) {
    ++count_;
    if (lines_.size() < kShownMax) lines_.push_back(error.message());
  }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] const std::vector<std::string>& lines() const { return lines_; }
  /// All of them as one error. Requires !empty().
  [[nodiscard]] Error error() const {
    std::string text;
    for (const std::string& line : lines_) text += (text.empty() ? "" : "\n") + line;
    if (count_ > lines_.size())
      text += "\n... and " + std::to_string(count_ - lines_.size()) + " more";
    return {ErrorCode::kInvalidArgument, text};
  }

 private:
  static constexpr std::size_t kShownMax = 20;
  std::size_t count_ = 0;
  std::vector<std::string> lines_;
};

}  // namespace framemill
