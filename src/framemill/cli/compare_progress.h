#pragma once

#include <cstdio>
#include <optional>
#include <string>

namespace framemill {

/// Tells on a stream what a comparison is at: on a terminal one line that is drawn again and again,
/// "full inference 34 %", elsewhere a plain line a step. One thread.
class CompareProgress {
 public:
  enum class Style { kRedrawn, kLines };

  /// `out` outlives this.
  CompareProgress(std::FILE* out, Style style) : out_(out), style_(style) {}
  CompareProgress(const CompareProgress&) = delete;
  ~CompareProgress() { clear(); }

  /// The step that begins now.
  void begin(std::string step);
  /// How much of it is done, 0..1; nothing where that is not known.
  void show(std::optional<double> done);
  /// Takes the line away, so that other text can be written.
  void clear();

 private:
  void draw(const std::string& text);

  std::FILE* const out_;
  const Style style_;
  std::string step_;
  std::string drawn_;  ///< what stands on the terminal now
};

}  // namespace framemill
