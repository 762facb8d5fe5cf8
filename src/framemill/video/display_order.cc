#include "framemill/video/display_order.h"

#include <algorithm>
#include <tuple>

namespace framemill {
namespace {

using State = PendingFrame::State;

bool is_before(const PendingFrame& a, const PendingFrame& b) {
  return std::tie(a.pts, a.packet_id) < std::tie(b.pts, b.packet_id);
}

}  // namespace

void DisplayOrder::add(const PendingFrame& frame, std::vector<PendingFrame>& settled) {
  pending_.insert(std::ranges::upper_bound(pending_, frame, is_before), frame);
  if (pending_.size() > kPendingMax) settle_front(settled);
  settle_ready(settled);
}

bool DisplayOrder::mark_lost(std::int64_t packet_id) {
  const auto frame = std::ranges::find(pending_, packet_id, &PendingFrame::packet_id);
  if (frame == pending_.end() || frame->state != State::kSent) return false;
  frame->state = State::kLost;
  return true;
}

bool DisplayOrder::settle(std::int64_t packet_id, std::vector<PendingFrame>& settled) {
  auto frame = std::ranges::find(pending_, packet_id, &PendingFrame::packet_id);
  if (frame == pending_.end()) {
    // It was taken for lost because a later one came out first: the time stamps lie.
    is_trusted_ = false;
    return false;
  }
  if (is_trusted_) {
    const auto count = frame - pending_.begin();
    for (auto i = count; i > 0; --i) settle_front(settled);
    frame = pending_.begin();
  } else {
    while (!pending_.empty() && pending_.front().packet_id != packet_id &&
           pending_.front().state != State::kSent)
      settle_front(settled);
    frame = std::ranges::find(pending_, packet_id, &PendingFrame::packet_id);
    // The first frame out is the first shown: it gets the first time stamp, whoever brought it.
    std::swap(frame->pts, pending_.front().pts);
    std::iter_swap(frame, pending_.begin());
    std::ranges::sort(pending_.begin() + 1, pending_.end(), is_before);
    frame = pending_.begin();
  }
  frame->state = State::kDecoded;
  settle_front(settled);
  settle_ready(settled);
  return true;
}

void DisplayOrder::flush(std::vector<PendingFrame>& settled) {
  while (!pending_.empty()) settle_front(settled);
}

void DisplayOrder::settle_ready(std::vector<PendingFrame>& settled) {
  // Only a frame whose predecessors have all arrived is skipped, so at the front it need not wait.
  // A lost one may still have predecessors to come, unless the stream keeps its order.
  const auto is_ready = [this](State state) {
    return state == State::kSkipped || (state == State::kLost && is_in_order_);
  };
  while (!pending_.empty() && is_ready(pending_.front().state)) settle_front(settled);
}

void DisplayOrder::settle_front(std::vector<PendingFrame>& settled) {
  PendingFrame frame = pending_.front();
  pending_.erase(pending_.begin());
  if (frame.state == State::kSent) frame.state = State::kLost;
  last_settled_ = std::max(last_settled_.value_or(frame.pts), frame.pts);
  settled.push_back(frame);
}

}  // namespace framemill
