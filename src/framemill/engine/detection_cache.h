#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "framemill/base/mutex.h"
#include "framemill/core/answer.h"
#include "framemill/core/camera.h"

namespace framemill {

/// What models found on the frames of files, kept so that several runs over the same cameras infer
/// each frame once. Holds everything until destroyed: some 100 bytes a detection.
/// Thread-safety: all members, any thread.
class DetectionCache {
 public:
  struct Key {
    CameraIndex camera = 0;
    std::int64_t frame_index = 0;
    std::string variant;  ///< model and input size
    friend auto operator<=>(const Key&, const Key&) = default;
  };

  void keep(const Key& key, const std::vector<Detection>& detections) EXCLUDES(mu_);
  [[nodiscard]] std::optional<std::vector<Detection>> find(const Key& key) const EXCLUDES(mu_);

 private:
  mutable Mutex mu_;
  std::map<Key, std::vector<Detection>> detections_ GUARDED_BY(mu_);
};

}  // namespace framemill
