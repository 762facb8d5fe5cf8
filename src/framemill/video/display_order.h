#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "framemill/base/clock.h"

namespace framemill {

/// What is known of a frame before it is seen: its packet has been demuxed.
struct PendingFrame {
  enum class State { kSent, kSkipped, kLost, kDecoded };
  std::int64_t packet_id = 0;  ///< counts packets in decode order
  Duration pts{0};             ///< continuous, see FrameClock
  TimePoint captured;          ///< when the packet was delivered
  State state = State::kSent;
  bool is_hidden = false;         ///< counts in the file, but is never delivered
  bool may_be_referenced = true;  ///< by a later frame, see ReferenceUse
  bool is_leading = false;  ///< shown before the stream's first key frame: delivered if decodable
  bool is_grid_start = false;  ///< time stamps jumped here
  bool is_loop_start = false;
  friend bool operator==(const PendingFrame&, const PendingFrame&) = default;
};

/// Puts the frames of packets, which come in decode order, into display order; also those that are
/// never decoded. A frame that comes out of the decoder settles all frames shown before it: a
/// packet that had been sent by then was lost.
///
/// That rests on time stamps in the decoder's order. Where they prove wrong, or are missing
/// (distrust()), frames are taken in the order in which the decoder hands them out, each with the
/// smallest pending time stamp, and nothing may be skipped.
/// Pure, not thread-safe; O(pending) a call, and at most kPendingMax are pending.
class DisplayOrder {
 public:
  static constexpr std::size_t kPendingMax = 64;  // four times what H.264 and H.265 may reorder

  /// A further packet in decode order. Appends to `settled` the frames whose turn has come.
  void add(const PendingFrame& frame, std::vector<PendingFrame>& settled);

  /// The decoder refused the packet. False if its frame is not pending: it came out all the same.
  bool mark_lost(std::int64_t packet_id);

  /// Appends lost frames whose turn has come.
  void settle_lost(std::vector<PendingFrame>& settled) { settle_ready(settled); }

  /// The frame of `packet_id` came out of the decoder. Appends what was shown before it, then the
  /// frame itself, state kDecoded. False if its turn is over or it was never added: nothing is
  /// appended, and the picture is to be dropped.
  bool settle(std::int64_t packet_id, std::vector<PendingFrame>& settled);

  /// The decoder has been drained: appends all that is left; what was sent is lost.
  void flush(std::vector<PendingFrame>& settled);

  /// Frames waiting, in display order.
  [[nodiscard]] const std::vector<PendingFrame>& pending() const { return pending_; }
  /// The pts of the last frame settled.
  [[nodiscard]] std::optional<Duration> last_settled() const { return last_settled_; }
  [[nodiscard]] bool is_trusted() const { return is_trusted_; }
  void distrust() { is_trusted_ = false; }
  /// A stream in which no frame is held back: a lost frame is settled at once.
  void set_in_order(bool is_in_order) { is_in_order_ = is_in_order; }

 private:
  void settle_front(std::vector<PendingFrame>& settled);
  void settle_ready(std::vector<PendingFrame>& settled);

  std::vector<PendingFrame> pending_;  // by (pts, packet_id)
  std::optional<Duration> last_settled_;
  bool is_trusted_ = true;
  bool is_in_order_ = false;
};

}  // namespace framemill
