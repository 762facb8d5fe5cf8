#pragma once

#include <deque>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/config/rule_settings.h"
#include "framemill/core/answer.h"
#include "framemill/engine/rules/area.h"

namespace framemill {

/// What a rule makes of one answer.
struct RuleVerdict {
  bool does_hold = false;
  double value = 0;         ///< objects, objects a minute, frames: for messages and counters
  std::int64_t events = 0;  ///< crossings, or objects that came in, new in this answer
  std::string message;      ///< for people; only where does_hold
};

/// The condition of one rule that looks at objects, over a camera's answers in frame order. The
/// object's anchor point decides where it is. Tracks stand for objects: rules about one object over
/// time (dwell, line_crossing, rate) leave out detections without a track.
/// Pure: no clock, no lock. A value that may be copied. Cost: microseconds for 20 objects.
class ObjectRule {
 public:
  /// `zone` and `line` null: the whole picture, no line. `wanted`: class ids; empty: all.
  /// `labels`: the model's, for messages. All but the rule's settings are copied. `is_raised`: its
  /// alarm is open from before; the rule holds until it has seen enough to know that it does not.
  ObjectRule(RuleSettings rule, const ZoneSettings* zone, const LineSettings* line,
             std::vector<bool> wanted, std::vector<std::string> labels, bool is_raised);

  /// An answer with detections (origin not none). `watched`: how long the camera has been watched,
  /// gaps left out; never goes back. `is_new_scene`: tracks of before mean nothing any more.
  RuleVerdict look(const Answer& answer, Duration watched);

  /// Outside of the schedule: forgets what was going on.
  void rest();

 private:
  /// What is known of one track.
  struct Track {
    Duration last_seen{0};
    std::int64_t last_look = 0;  ///< the number of the answer that last_seen is of
    Duration inside_since{0};    ///< dwell
    bool is_inside = false;      ///< dwell, rate
    bool is_counted = false;     ///< rate by zone: came in once
    RelativePoint settled;       ///< line: the last point that did not lie on it
    bool has_settled = false;
  };
  /// One object of this answer that counts.
  struct Seen {
    const Detection* detection;
    RelativePoint at;
    bool is_inside;
  };

  std::vector<Seen> pick(const Answer& answer) const;
  std::string describe(std::size_t count, const std::vector<Seen>& seen) const;
  std::string place() const;
  std::int64_t count_crossings(const std::vector<Seen>& seen, Duration watched);
  std::int64_t count_arrivals(const std::vector<Seen>& seen, Duration watched);
  RuleVerdict look_for_dwell(const std::vector<Seen>& seen, Duration watched);
  RuleVerdict look_at_rate(std::int64_t events, Duration watched);
  RuleVerdict look_at_count(const std::vector<Seen>& seen);
  RuleVerdict look_for_defect(const std::vector<Seen>& seen);
  /// The track of `one`, which is seen now.
  Track& see(const Seen& one, Duration watched);
  void forget_lost_tracks(Duration watched);

  RuleSettings rule_;
  std::vector<RelativePoint> zone_;  ///< empty: the whole picture
  bool has_line_ = false;
  LineSettings line_;
  std::vector<bool> wanted_;
  std::vector<std::string> labels_;

  std::int64_t looks_ = 0;  ///< answers seen
  std::map<std::int64_t, Track> tracks_;
  std::deque<bool> recent_;        ///< defect: newest last
  std::deque<Duration> arrivals_;  ///< rate: within the window
  Duration since_{-1};             ///< when it began to look; < 0: not yet
  bool is_restored_;               ///< the alarm was open before it began to look
  bool is_beyond_;                 ///< of a threshold, with hysteresis
};

}  // namespace framemill
