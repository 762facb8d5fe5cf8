#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "framemill/base/clock.h"
#include "framemill/base/mutex.h"
#include "framemill/core/camera.h"
#include "framemill/engine/answer_ledger.h"
#include "framemill/engine/frame_scheduler.h"
#include "framemill/sched/backoff.h"
#include "framemill/video/source.h"
#include "framemill/vision/thumbnail.h"

namespace framemill {

enum class CameraState : std::uint8_t {
  kConnecting,  ///< not yet open, or open without a frame so far
  kUp,          ///< frames are coming
  kFrozen,      ///< frames are coming, and all show the same picture
  kDown,        ///< failed; waiting to try again
  kPaused,      ///< disconnected by pause()
  kEnded,       ///< the file or a limit ended, not the run
  kFailed,      ///< a file that never delivered or broke off
};
[[nodiscard]] std::string_view to_string(CameraState state);

/// `sum` += `counts`, field by field.
void add_counts(SourceCounts& sum, const SourceCounts& counts);

struct CameraStatus {
  CameraState state = CameraState::kConnecting;
  std::string last_error;     ///< of the source; empty: none since it is up
  bool is_cut_short = false;  ///< failed, a file, after some of its pictures
  std::int64_t reconnects = 0;
  StreamFacts facts;
  SourceCounts source;  ///< summed over the epochs
};

/// Where a camera's frames have got to: what comes next of each. A camera that is changed, or that
/// comes back after it was removed, goes on from there, so that (run, camera, seq) stays unique.
struct CameraPosition {
  std::int64_t seq = 0;
  std::int32_t epoch = 0;
  std::int64_t frame_index = 0;
};

struct CameraSessionOptions {
  CameraIndex camera = 0;
  CameraId id;
  CameraPosition first;
  SourceOptions source;
  bool is_reconnecting = true;  ///< live sources; files end instead
  Duration start_delay{0};      ///< the source is opened so much later
  bool is_paused = false;       ///< it starts as after pause()
  Duration frozen_after = std::chrono::seconds(30);
  std::int64_t max_frames = 0;   ///< delivered; 0: no limit
  std::int64_t max_answers = 0;  ///< sampled; 0: no limit
  double max_pts_s = 0;          ///< pace fast: media time to stop after; 0: no limit
  bool is_fast = false;
  WallTime run_started_at;  ///< captured_at at pace fast is this + pts
  int nice = 0;  ///< priority of the thread below that of the process; see lower_thread_priority()
  bool is_scene_wanted = false;   ///< frames say how full of edges they are
  bool is_motion_wanted = false;  ///< the policy follows motion, or compares pictures
};

/// One camera from its source to the scheduler: opens, reads, samples, reconnects for ever. Its
/// troubles stay its own. The thread belongs to the session. Thread-safety: all members, any
/// thread.
class CameraSession {
 public:
  using SourceFactory =
      std::function<Result<std::unique_ptr<Source>>(const SourceOptions&, const Clock&)>;

  /// `ledger` and `scheduler` outlive the session. Starts at once.
  CameraSession(CameraSessionOptions options, SourceFactory factory, AnswerLedger& ledger,
                FrameScheduler& scheduler, const Clock& clock);
  CameraSession(const CameraSession&) = delete;  // the thread holds `this`
  ~CameraSession();

  /// Interrupts the source and ends the thread; returns at once. The destructor joins. From here on
  /// the state stays what it is.
  void request_stop() EXCLUDES(mu_);
  /// After request_stop(): returns once no frame is on its way into the ledger and the scheduler,
  /// and none will be. Waits for no source, only for FrameScheduler::offer().
  void wait_until_quiet() EXCLUDES(mu_);
  [[nodiscard]] CameraStatus status() const EXCLUDES(mu_);

  /// Disconnects until resume() or restart(). False where the camera has ended for good.
  [[nodiscard]] bool pause() EXCLUDES(mu_);
  /// Connects a paused camera again. False as above.
  [[nodiscard]] bool resume() EXCLUDES(mu_);
  /// Disconnects, and connects again at once: a new epoch. False as above.
  [[nodiscard]] bool restart() EXCLUDES(mu_);
  /// Whether the source has let go and the thread is at its end.
  [[nodiscard]] bool has_left() const { return has_left_; }
  /// Whether pause() holds.
  [[nodiscard]] bool is_paused() const EXCLUDES(mu_);
  /// After request_stop(): returns once the source has let go. By the owner, once.
  void join() { thread_.join(); }
  /// After request_stop() and wait_until_quiet().
  [[nodiscard]] CameraPosition position() const EXCLUDES(mu_);

 private:
  void run();
  /// One epoch: from open() to the end, an error, or a limit. Empty: over for good.
  std::optional<Error> run_epoch();
  /// False where a limit or a stop ends the camera.
  bool hand_over(SourceFrame&& source_frame) EXCLUDES(mu_);
  /// False where a limit ends the camera.
  bool take(SourceFrame&& source_frame);
  /// Compares thumbnail_ with the previous one, and makes it that.
  void watch_picture(bool& is_scene_start);
  /// Without effect after request_stop().
  void set_state(CameraState state, const std::string& error = {}) EXCLUDES(mu_);
  bool wait(Duration time) EXCLUDES(mu_);
  /// Sets pause and restart, and has the thread look at them.
  bool redirect(bool is_paused, bool is_restarted) EXCLUDES(mu_);
  /// While paused. False where the camera is to end.
  bool wait_while_paused() EXCLUDES(mu_);
  /// Whether what ended the epoch was pause() or restart().
  [[nodiscard]] bool is_redirected() EXCLUDES(mu_);

  const CameraSessionOptions options_;
  const SourceFactory factory_;
  AnswerLedger& ledger_;
  FrameScheduler& scheduler_;
  const Clock& clock_;

  // Used by thread_ only.
  std::int64_t frames_before_epoch_ = 0;
  std::int64_t
      frames_delivered_;  ///< from the first epoch on; like seq_ written while handing over
  std::int64_t seq_;
  std::atomic<std::int32_t>
      epoch_;  ///< written by thread_, under mu_ so that a stop holds it still
  bool has_opened_ = false;
  bool has_picture_ = false;  ///< one was decodable in this epoch
  bool is_next_stream_start_ = true;
  bool is_next_scene_start_ = true;
  Size picture_size_;  ///< of the last one
  Backoff backoff_;
  Thumbnail thumbnail_, previous_thumbnail_;
  std::optional<TimePoint> picture_unchanged_since_;

  std::atomic<bool> is_stopping_{false};
  std::atomic<bool> has_left_{false};
  mutable Mutex mu_;
  CondVar stopping_;
  bool is_handing_over_ GUARDED_BY(mu_) = false;
  bool is_pause_wanted_ GUARDED_BY(mu_);
  bool is_restart_wanted_ GUARDED_BY(mu_) = false;
  bool has_ended_ GUARDED_BY(mu_) = false;          ///< the thread opens nothing any more
  std::shared_ptr<Source> source_ GUARDED_BY(mu_);  ///< for interrupt()
  CameraStatus status_ GUARDED_BY(mu_);
  SourceCounts counts_before_epoch_ GUARDED_BY(mu_);
  std::thread thread_;  // last member
};

}  // namespace framemill
