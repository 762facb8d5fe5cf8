#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "framemill/base/clock.h"
#include "framemill/base/mutex.h"

namespace framemill {

/// While ONNX Runtime captures a CUDA graph, no other thread may allocate memory of the device or
/// load code onto it: that would break the capture, or fail itself. All of ours that use a device
/// go through its gate: many at a time, or one that captures, which goes before those that come
/// later. A capture does not wait long for them: where a use stays (the device hangs) it is given
/// up, so that it holds nobody up, and the graph has to come later. Beside a use that says that it
/// takes seconds (a session is made, its kernels are compiled) no capture is tried at all: twenty
/// of them at the start of a run would be held up by each attempt.
/// Devices have gates of their own, so that one that hangs stops no other: the driver does not mind
/// what a use does while another device captures, since its thread says so (see ExchangeMode).
/// Not re-entrant: no scope inside another one of the same thread.
/// Thread-safety: all members, any thread.
class CaptureGate {
 public:
  /// cuThreadExchangeStreamCaptureMode(): sets what captures of other threads keep this one from,
  /// and gives what it was.
  using ExchangeMode = int (*)(int* mode);

  static constexpr Duration kPatience = std::chrono::milliseconds(300);
  /// From a capture that was given up to the next one that may try.
  static constexpr Duration kQuiet = std::chrono::seconds(1);

  /// `exchange`: null where there is no driver.
  explicit CaptureGate(ExchangeMode exchange = nullptr) : exchange_(exchange) {}
  CaptureGate(const CaptureGate&) = delete;

  enum class Length { kShort, kLong };  ///< of a use: milliseconds, or seconds

  /// An ordinary use of the device, for as long as it lives.
  class Use {
   public:
    explicit Use(CaptureGate& gate, Length length = Length::kShort)
        : gate_(gate), is_long_(length == Length::kLong) {
      {
        const MutexLock lock(gate_.mu_);
        while (gate_.is_capturing_ || gate_.captures_waiting_ > 0) gate_.changed_.wait(gate_.mu_);
        ++gate_.uses_;
        if (is_long_) ++gate_.long_uses_;
      }
      is_mode_set_ = gate_.exchange_ != nullptr && gate_.exchange_(&mode_) == 0;
    }
    ~Use() {
      if (is_mode_set_) gate_.exchange_(&mode_);
      const MutexLock lock(gate_.mu_);
      const bool is_last_long = is_long_ && --gate_.long_uses_ == 0;
      if (--gate_.uses_ == 0 || is_last_long) gate_.changed_.notify_all();
    }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    static constexpr int kThreadLocal = 1;  // CU_STREAM_CAPTURE_MODE_THREAD_LOCAL

    CaptureGate& gate_;
    const bool is_long_;
    int mode_ = kThreadLocal;  ///< once set, what it was before
    bool is_mode_set_ = false;
  };

  /// The only one at the device, if it is: see is_alone().
  class Capture {
   public:
    /// Waits for other captures, and for uses `patience` at most; not at all where a capture was
    /// given up a moment ago, or a use takes long.
    explicit Capture(CaptureGate& gate, Duration patience = kPatience) : gate_(gate) {
      auto give_up_at = std::chrono::steady_clock::now() + patience;
      const MutexLock lock(gate_.mu_);
      if (give_up_at - patience < gate_.quiet_until_ || gate_.long_uses_ > 0) return;
      ++gate_.captures_waiting_;
      while (!gate_.is_free()) {
        if (gate_.changed_.wait_until(gate_.mu_, give_up_at) == std::cv_status::no_timeout)
          continue;
        if (!gate_.is_capturing_) break;
        give_up_at = std::chrono::steady_clock::now() + patience;
      }
      --gate_.captures_waiting_;
      is_alone_ = gate_.is_free();
      if (is_alone_) {
        gate_.is_capturing_ = true;
        return;
      }
      gate_.quiet_until_ = std::chrono::steady_clock::now() + kQuiet;
      gate_.changed_.notify_all();
    }
    ~Capture() {
      if (!is_alone_) return;
      const MutexLock lock(gate_.mu_);
      gate_.is_capturing_ = false;
      gate_.changed_.notify_all();
    }
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;

    /// False: there is to be no capture now.
    [[nodiscard]] bool is_alone() const { return is_alone_; }

   private:
    CaptureGate& gate_;
    bool is_alone_ = false;
  };

  /// Whether a capture may try now.
  [[nodiscard]] bool may_capture() const {
    const MutexLock lock(mu_);
    return std::chrono::steady_clock::now() >= quiet_until_ && long_uses_ == 0;
  }
  /// Returns when one may, and after kQuiet anyway.
  void wait_for_quiet() {
    const MutexLock lock(mu_);
    const auto end = std::chrono::steady_clock::now() + kQuiet;
    for (auto now = end - kQuiet; now < end && (now < quiet_until_ || long_uses_ > 0);
         now = std::chrono::steady_clock::now())
      changed_.wait_until(mu_, long_uses_ > 0 ? end : std::min(end, quiet_until_));
  }

 private:
  [[nodiscard]] bool is_free() const REQUIRES(mu_) { return !is_capturing_ && uses_ == 0; }

  const ExchangeMode exchange_;
  mutable Mutex mu_;
  CondVar changed_;
  std::size_t uses_ GUARDED_BY(mu_) = 0;
  std::size_t long_uses_ GUARDED_BY(mu_) = 0;  ///< among them
  std::size_t captures_waiting_ GUARDED_BY(mu_) = 0;
  bool is_capturing_ GUARDED_BY(mu_) = false;
  std::chrono::steady_clock::time_point quiet_until_ GUARDED_BY(mu_);
};

}  // namespace framemill
