#include "framemill/engine/detection_cache.h"

namespace framemill {

void DetectionCache::keep(const Key& key, const std::vector<Detection>& detections) {
  const MutexLock lock(mu_);
  detections_[key] = detections;
}

std::optional<std::vector<Detection>> DetectionCache::find(const Key& key) const {
  const MutexLock lock(mu_);
  const auto found = detections_.find(key);
  if (found == detections_.end()) return std::nullopt;
  return found->second;
}

}  // namespace framemill
