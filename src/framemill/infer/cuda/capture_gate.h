#pragma once

#include <cstddef>

#include "framemill/base/mutex.h"

namespace framemill {

/// While ONNX Runtime captures a CUDA graph, no other thread of the process may allocate memory of
/// a device or load code onto it: that would break the capture, or fail itself. All of ours that
/// use a device go through this gate: many at a time, or one that captures, which goes before those
/// that come later. Not re-entrant: no scope inside another one of the same thread.
/// Thread-safety: all members, any thread.
class CaptureGate {
 public:
  /// An ordinary use of the device, for as long as it lives.
  class Use {
   public:
    explicit Use(CaptureGate& gate) : gate_(gate) {
      const MutexLock lock(gate_.mu_);
      while (gate_.is_capturing_ || gate_.captures_waiting_ > 0) gate_.changed_.wait(gate_.mu_);
      ++gate_.uses_;
    }
    ~Use() {
      const MutexLock lock(gate_.mu_);
      if (--gate_.uses_ == 0) gate_.changed_.notify_all();
    }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    CaptureGate& gate_;
  };

  /// The only one at the device.
  class Capture {
   public:
    explicit Capture(CaptureGate& gate) : gate_(gate) {
      const MutexLock lock(gate_.mu_);
      ++gate_.captures_waiting_;
      while (gate_.is_capturing_ || gate_.uses_ > 0) gate_.changed_.wait(gate_.mu_);
      --gate_.captures_waiting_;
      gate_.is_capturing_ = true;
    }
    ~Capture() {
      const MutexLock lock(gate_.mu_);
      gate_.is_capturing_ = false;
      gate_.changed_.notify_all();
    }
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;

   private:
    CaptureGate& gate_;
  };

 private:
  Mutex mu_;
  CondVar changed_;
  std::size_t uses_ GUARDED_BY(mu_) = 0;
  std::size_t captures_waiting_ GUARDED_BY(mu_) = 0;
  bool is_capturing_ GUARDED_BY(mu_) = false;
};

}  // namespace framemill
