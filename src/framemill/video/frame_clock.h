#pragma once

#include <cstdint>
#include <optional>

#include "framemill/base/clock.h"

namespace framemill {

/// The time stamps of a packet as the stream has them.
struct PacketTimes {
  std::optional<Duration> pts;  ///< when it is shown
  std::optional<Duration> dts;  ///< when it is decoded
};

/// Makes continuous time out of the time stamps of a stream, which may be missing, jump, run
/// backwards or begin again (loops). Time goes on where they break: a frame that would lie before
/// one already delivered, or more than 10 s ahead (live: of what the clock on the wall says), comes
/// one mean interval after the last one, and so do all behind it. A live stream whose time stamps
/// run at less than half or more than twice the speed of the wall clock for 6 s is placed by
/// arrival from then on. Not thread-safe.
class FrameClock {
 public:
  enum class Kind { kLive, kFile };
  /// Where a packet's frame lies; both count from an arbitrary zero.
  struct Place {
    Duration pts{0};
    Duration decode_time{0};     ///< never decreases; at most pts
    bool is_order_known = true;  ///< false: pts says nothing about the display order
    bool is_jump = false;        ///< the time stamps broke here
  };

  /// `interval`: that of frames as announced; zero: unknown.
  FrameClock(Kind kind, Duration interval) : kind_(kind), interval_(interval) {}

  /// The next packet in decode order, delivered at `arrival`. `floor`: the pts of the last frame
  /// delivered, which no other may come before.
  [[nodiscard]] Place place(const PacketTimes& times, TimePoint arrival,
                            std::optional<Duration> floor);

  /// The next packet begins the file anew: time goes on one mean interval after the last frame.
  void begin_round();

  /// Mean time between frames so far; as announced, else 40 ms, where there were too few.
  [[nodiscard]] Duration interval() const;
  [[nodiscard]] bool is_by_arrival() const { return is_by_arrival_; }

 private:
  [[nodiscard]] Duration announced_interval() const;
  void note_jump(Place& place);
  [[nodiscard]] bool is_speed_credible(Duration pts, TimePoint arrival);

  const Kind kind_;
  const Duration interval_;
  Duration offset_{0};              ///< added to the stream's time stamps
  std::optional<Duration> newest_;  ///< the largest pts placed
  Duration decode_time_ = Duration::min();
  std::int64_t round_frames_ = 0;  ///< placed since time stamps last broke
  Duration round_begin_{0};
  bool is_round_new_ = false;
  std::optional<TimePoint> last_arrival_;
  // The window over which the speed of the time stamps is measured.
  std::optional<TimePoint> window_begin_;
  Duration window_pts_{0};
  int windows_wrong_ = 0;
  bool is_by_arrival_ = false;
  bool is_by_count_ = false;     ///< files: time stamps are worth nothing
  std::int64_t since_jump_ = 0;  ///< frames
  int quick_jumps_ = 0;
};

}  // namespace framemill
