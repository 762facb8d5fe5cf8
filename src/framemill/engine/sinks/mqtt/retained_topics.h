#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/result.h"

namespace framemill {

/// Remembers over restarts, in a file, which topics this sink has left a retained message in, so
/// that those of cameras and rules that are no more can be cleared. The broker is not asked: it may
/// not allow it, and others may use the same topics. Not thread-safe; `now` is an argument.
class RetainedTopics {
 public:
  /// A file that is not there, or cannot be read, is an empty memory.
  static RetainedTopics load(std::string path);

  /// Remembers `topic`, on disk before a message is left there. A disk that is full costs the
  /// memory of a restart, nothing else: the next one writes it all.
  void add(const std::string& topic);
  /// Those that were not in `wanted` at any call for `grace` up to now: a camera that is changed is
  /// away for a moment. Call often.
  [[nodiscard]] std::vector<std::string> find_unwanted(const std::set<std::string>& wanted,
                                                       TimePoint now, Duration grace);
  /// They were cleared.
  void remove(const std::vector<std::string>& topics);

 private:
  explicit RetainedTopics(std::string path) : path_(std::move(path)) {}
  void save();

  std::string path_;
  /// Topic -> since when it has not been wanted.
  std::map<std::string, std::optional<TimePoint>> topics_;
};

}  // namespace framemill
