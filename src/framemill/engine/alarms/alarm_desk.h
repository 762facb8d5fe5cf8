#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "framemill/base/bounded_queue.h"
#include "framemill/base/clock.h"
#include "framemill/base/mutex.h"
#include "framemill/base/result.h"
#include "framemill/config/run_settings.h"
#include "framemill/engine/alarms/alarm_book.h"
#include "framemill/engine/alarms/picture_store.h"
#include "framemill/engine/rules/camera_rules.h"
#include "framemill/engine/run_status.h"

namespace framemill {

/// Who the desk tells, and asks. Called from the desk's thread; must not call back.
struct AlarmDeskHooks {
  /// A change of an alarm, in order, at least once over restarts.
  std::function<void(const AlarmEvent&)> emit;
  /// How many of the events given to emit(), in their order, have arrived everywhere.
  std::function<std::int64_t()> settled;
  /// How a camera stands, and its condition for rules; `wants_fidelity`: costs a millisecond.
  std::function<std::pair<RunStatus::Camera, CameraCondition>(CameraIndex, bool wants_fidelity)>
      look_at;
  /// Share of time that the inference device is in use, 0..1; empty: not known.
  std::function<std::optional<double>()> device_busy;
  /// About twice a second; may be empty.
  std::function<void(std::shared_ptr<const RunStatus>)> show;
};

struct AlarmDeskOptions {
  std::string run_id;
  std::string folder;      ///< for alarms.db and pictures/; made with the first rule
  AlarmSettings settings;  ///< with the rules of the whole run
  bool is_live = true;     ///< else time is media time, and nobody looks at conditions
};

/// Runs the rules of all cameras, keeps the book of alarms, takes pictures, and tells the sinks. An
/// answer is judged at once in the thread that brings it (microseconds); what follows from a change
/// (picture, database, sinks) is done by the desk's own thread.
/// Thread-safety: all members, any thread; start() and stop() once, from one.
class AlarmDesk {
 public:
  /// Errors: those of AlarmBook::create() where there are rules of the run.
  static Result<std::unique_ptr<AlarmDesk>> create(AlarmDeskOptions options, const Clock& clock,
                                                   AlarmDeskHooks hooks);
  AlarmDesk(const AlarmDesk&) = delete;
  ~AlarmDesk();

  /// Watches a camera by its rules from now on, in place of what its id was watched by before,
  /// which hands on which of its rules are raised. Alarms of rules that it no longer has are
  /// cleared. `labels`: of its model. Errors: kInvalidArgument (a class that the model does not
  /// have); those of AlarmBook::create().
  Result<void> set_camera(CameraIndex index, const CameraSettings& camera,
                          std::vector<std::string> labels) EXCLUDES(mu_);
  /// Whether set_camera() would take its rules. Errors: kInvalidArgument.
  static Result<void> check_camera(const CameraSettings& camera, std::vector<std::string> labels);
  /// It is watched no more; its open alarms stay, for another index that goes on under its id.
  void forget_camera(CameraIndex index) EXCLUDES(mu_);
  /// It is watched no more, and its open alarms are cleared.
  void remove_camera(CameraIndex index) EXCLUDES(mu_);
  /// True where a rule may want the pictures of this camera's answers.
  [[nodiscard]] bool has_object_rules(CameraIndex index) const EXCLUDES(mu_);

  /// Starts the thread. Alarms of cameras and rules that are no longer there are cleared.
  void start();
  /// An answer of a camera, in frame order for each. Microseconds; waits only where thousands of
  /// changes are not yet written. A camera that is not known: nothing.
  void take(const Answer& answer) EXCLUDES(mu_);
  /// No further answers; what was decided is written and emitted. Idempotent.
  void stop();
  /// After stop(), and after the sinks have ended: notes what they have settled.
  void settle();

  /// Alarms, newest first; open ones and those of the past. Errors: kUnavailable (disk).
  [[nodiscard]] Result<std::vector<Alarm>> list(const AlarmQuery& query) const;
  [[nodiscard]] Result<Alarm> find(const std::string& id) const;
  /// `by`: who did it, for people. Errors: kNotFound; kFailedPrecondition (cleared already).
  Result<Alarm> acknowledge(const std::string& id, const std::string& by);

  /// What was raised since the start, by camera, rule and severity, for metrics.
  struct RaiseCount {
    CameraId camera_id;
    std::string rule;
    AlarmSeverity severity;
    std::int64_t raised = 0;
  };
  [[nodiscard]] std::vector<RaiseCount> raise_counts() const EXCLUDES(mu_);
  /// Why alarms cannot be written to the disk; empty: they can.
  [[nodiscard]] std::string trouble() const EXCLUDES(mu_);

 private:
  /// The rules of one camera, and a lock of their own: cameras do not wait for each other.
  struct Watch {
    /// Which of its rules are raised, as far as it has got; it decides nothing any more.
    std::map<std::string, bool> retire() EXCLUDES(mu);

    CameraIndex index = 0;
    CameraId id;
    std::int64_t life = 0;  ///< the same from watch to watch while the camera stays
    std::set<std::string> rule_ids;
    std::vector<std::string> labels;
    bool wants_fidelity = false;
    bool has_object_rules = false;
    Mutex mu;
    std::optional<CameraRules> rules GUARDED_BY(mu);  ///< empty once retired
  };
  /// What a change needs to be written, drawn and told.
  struct Post {
    std::shared_ptr<Watch> watch;  ///< null: only wakes the thread
    RuleSettings rule;
    RuleChange change;
    std::optional<Answer> answer;  ///< with a picture, of a raise
  };

  AlarmDesk(AlarmDeskOptions options, const Clock& clock, AlarmDeskHooks hooks);
  /// Opens the book where there is none yet. Errors: see create().
  Result<AlarmBook*> open_book() EXCLUDES(mu_);
  AlarmBook* book() const EXCLUDES(mu_);
  Result<std::shared_ptr<Watch>> make_watch(CameraIndex index, CameraRules::Options options,
                                            CameraId id);
  std::shared_ptr<Watch> find_watch(CameraIndex index) const EXCLUDES(mu_);
  /// Whether the camera and the rule of `post` are still there.
  [[nodiscard]] bool is_current(const Post& post) const EXCLUDES(mu_);
  void run();
  void handle(const Post& post);
  void take_picture(const Post& post, AlarmBook::Raise& raise);
  void emit_events();
  void look_around() EXCLUDES(mu_);
  void tidy_up();
  void note_settled();

  const AlarmDeskOptions options_;
  const Clock& clock_;
  const AlarmDeskHooks hooks_;

  // Used by thread_, and before it starts and after it ended.
  std::deque<std::int64_t> emitted_;  ///< numbers of events not yet settled
  std::int64_t settled_ = 0;          ///< so many were, since the start
  std::optional<TimePoint> tidy_due_, fidelity_due_;
  std::optional<PictureStore> pictures_;

  /// Held while a change is written, and while watches come and go: what is written is current.
  /// Before mu_, and not together with a watch's.
  Mutex handling_mu_;
  mutable Mutex mu_;
  std::int64_t lives_ GUARDED_BY(mu_) = 0;
  std::unique_ptr<AlarmBook> book_ GUARDED_BY(mu_);  ///< once made it stays
  std::map<CameraIndex, std::shared_ptr<Watch>> watches_ GUARDED_BY(mu_);
  std::shared_ptr<Watch> run_watch_ GUARDED_BY(mu_);  ///< rules of the whole run; may be null
  std::map<std::pair<CameraId, std::string>, RaiseCount> raise_counts_ GUARDED_BY(mu_);
  std::string trouble_ GUARDED_BY(mu_);
  BoundedQueue<Post> posts_;  // synchronizes itself
  std::thread thread_;        // last member
};

}  // namespace framemill
