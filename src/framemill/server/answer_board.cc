#include "framemill/server/answer_board.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "framemill/base/check.h"

namespace framemill {

std::optional<Duration> p95_of(std::vector<Duration>& latencies) {
  if (latencies.empty()) return std::nullopt;
  const std::size_t place = (latencies.size() * 95 + 99) / 100 - 1;
  std::ranges::nth_element(latencies, latencies.begin() + static_cast<std::ptrdiff_t>(place));
  return latencies[place];
}

AnswerBoard::AnswerBoard(std::size_t answers_max, std::size_t per_camera_max)
    : answers_max_(answers_max), per_camera_max_(per_camera_max) {
  CHECK(answers_max >= 1 && per_camera_max >= 1);
}

BoardEntry AnswerBoard::take(const Answer& answer) {
  std::shared_ptr<const Answer> pictured;
  if (answer.picture) pictured = std::make_shared<const Answer>(answer);
  auto plain = std::make_shared<Answer>(answer);
  plain->picture.reset();
  std::shared_ptr<const Answer> dropped_picture;  // let go of outside the lock
  std::vector<BoardEntry> dropped;
  const MutexLock lock(mu_);
  Lane& lane = lanes_[answer.camera];
  const BoardEntry entry{next_number_++, std::move(plain)};
  lane.entries.push_back(entry);
  const std::size_t share = std::max<std::size_t>(1, answers_max_ / lanes_.size());
  while (lane.entries.size() > std::min(per_camera_max_, share)) {
    dropped.push_back(std::move(lane.entries.front()));
    lane.entries.pop_front();
  }
  if (pictured) dropped_picture = std::exchange(lane.pictured, std::move(pictured));
  return entry;
}

void AnswerBoard::forget(CameraIndex camera) {
  const MutexLock lock(mu_);
  lanes_.erase(camera);
}

std::vector<BoardEntry> AnswerBoard::newest(const BoardQuery& query) const {
  std::vector<BoardEntry> found;
  const auto look = [&](const Lane& lane) {
    std::size_t taken = 0;
    for (auto entry = lane.entries.rbegin(); entry != lane.entries.rend(); ++entry) {
      if (query.before && entry->number >= *query.before) continue;
      if (query.is_wanted && !query.is_wanted(*entry->answer)) continue;
      found.push_back(*entry);
      if (++taken == query.limit) break;
    }
  };
  {
    const MutexLock lock(mu_);
    for (const auto& [camera, lane] : lanes_) {
      if (!query.camera || *query.camera == camera) look(lane);
    }
  }
  std::ranges::sort(found, std::greater<>{}, &BoardEntry::number);
  if (found.size() > query.limit) found.resize(query.limit);
  return found;
}

void AnswerBoard::add_latencies(CameraIndex camera, TimePoint since,
                                std::vector<Duration>& latencies) const {
  const MutexLock lock(mu_);
  const auto lane = lanes_.find(camera);
  if (lane == lanes_.end()) return;
  const std::deque<BoardEntry>& entries = lane->second.entries;
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    const Answer& answer = *entry->answer;
    if (answer.stamp.captured_mono < since) break;
    if (answer.origin != Origin::kNone && answer.latency) latencies.push_back(*answer.latency);
  }
}

std::shared_ptr<const Answer> AnswerBoard::picture(CameraIndex camera) const {
  const MutexLock lock(mu_);
  const auto lane = lanes_.find(camera);
  return lane == lanes_.end() ? nullptr : lane->second.pictured;
}

void AnswerBoard::forget_pictures(TimePoint before) {
  std::vector<std::shared_ptr<const Answer>> dropped;
  const MutexLock lock(mu_);
  for (auto& [camera, lane] : lanes_) {
    if (lane.pictured && lane.pictured->stamp.captured_mono < before) {
      dropped.push_back(std::move(lane.pictured));
      lane.pictured.reset();
    }
  }
}

}  // namespace framemill
