#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "framemill/base/result.h"

namespace framemill {

/// A folder of JPEGs, one an alarm, named by its id and so in the order of time; at most so many
/// bytes, the oldest go first. Not thread-safe.
class PictureStore {
 public:
  /// Makes the folder. Errors: kInvalidArgument where that fails.
  static Result<PictureStore> open(const std::string& folder, std::int64_t bytes_max);

  [[nodiscard]] std::string path_of(const std::string& id) const;
  /// Errors: kResourceExhausted.
  Result<void> write(const std::string& id, std::span<const std::uint8_t> jpeg);
  void remove(const std::string& id);
  /// Deletes the oldest until the rest fits; returns their ids.
  std::vector<std::string> make_room();
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }

 private:
  struct Picture {
    std::string id;
    std::int64_t bytes = 0;
  };
  PictureStore(std::string folder, std::int64_t bytes_max)
      : folder_(std::move(folder)), bytes_max_(bytes_max) {}

  std::string folder_;
  std::int64_t bytes_max_;
  std::deque<Picture> pictures_;  ///< oldest first
  std::int64_t bytes_ = 0;
};

}  // namespace framemill
