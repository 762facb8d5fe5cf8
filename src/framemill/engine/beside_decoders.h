#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/mutex.h"
#include "framemill/base/result.h"

namespace framemill {

class Source;

/// Cameras that are read and decoded beside a measurement and looked at by no one: a clip each, at
/// its own pace, for ever. Starts when made, ends when destroyed.
/// Thread-safety: all members, any thread.
class BesideDecoders {
 public:
  /// `clock` outlives this. `count` may be 0.
  BesideDecoders(const std::string& clip, std::size_t count, const Clock& clock);
  BesideDecoders(const BesideDecoders&) = delete;
  ~BesideDecoders();

  /// Processor time of all of them so far.
  [[nodiscard]] Duration cpu() const;
  /// Why the first one that failed did.
  [[nodiscard]] Result<void> status() const EXCLUDES(mu_);

 private:
  struct Camera;
  void work(Camera& camera, Duration phase) EXCLUDES(mu_);

  const Clock& clock_;
  std::vector<std::unique_ptr<Camera>> cameras_;  // constant after construction
  std::atomic<bool> is_over_{false};
  mutable Mutex mu_;
  Result<void> status_ GUARDED_BY(mu_);
};

}  // namespace framemill
