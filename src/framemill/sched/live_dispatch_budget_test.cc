// A budget must not make answers late: what has no token coming is answered at once.

#include <algorithm>
#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "framemill/sched/live_dispatch.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;

struct Waits {
  std::vector<Duration> of_unserved;   ///< from arrival until given back
  std::vector<std::int64_t> inferred;  ///< by camera
  std::int64_t frames = 0;
};

/// Cameras of 10 frames/s in turn, a device that always has a free slot and takes 10 ms.
Waits run(std::size_t cameras, double share, Duration slo) {
  LiveDispatchOptions options;
  for (std::size_t i = 0; i < cameras; ++i) {
    options.cameras.push_back({.policy = PolicyKind::kAdaptive, .slo = slo, .period = 100ms});
    options.inference.cameras.push_back({.policy = PolicyKind::kAdaptive});
  }
  options.inference.share = share;
  options.batches_max = 2;
  LiveDispatch dispatch(std::move(options), TimePoint(0s));
  dispatch.add_lane(1);
  Waits waits{.inferred = std::vector<std::int64_t>(cameras)};
  std::map<std::pair<CameraIndex, std::int64_t>, TimePoint> arrived_at;
  DispatchDecision decision;
  std::vector<std::pair<TimePoint, CameraIndex>> running;
  const auto give_back = [&](CameraIndex camera, std::int64_t seq, TimePoint now) {
    if (seq < 10) return;  // all cameras start at once, and each first frame is inferred
    waits.of_unserved.push_back(now - arrived_at.at({camera, seq}));
  };
  std::vector<std::int64_t> seqs(cameras);
  std::vector<std::int64_t> last_seq(cameras);
  for (TimePoint now(0s); now < TimePoint(20s); now += 1ms) {
    for (std::size_t i = 0; i < cameras; ++i) {
      const Duration phase = 100ms * static_cast<int>(i) / static_cast<int>(cameras);
      if ((now.time_since_epoch() - phase) / 1ms % 100 != 0) continue;
      const auto camera = static_cast<CameraIndex>(i);
      const std::int64_t seq = seqs[i]++;
      arrived_at[{camera, seq}] = now;
      ++waits.frames;
      const ArrivedFrame frame{.sampled = {.camera = camera,
                                           .is_stream_start = seq == 0,
                                           .is_scene_start = seq == 0,
                                           .doubt = {.age = seq - last_seq[i], .objects = 2}},
                               .seq = seq,
                               .captured_at = now};
      if (const auto unserved = dispatch.arrive(frame, now)) give_back(camera, *unserved, now);
    }
    std::erase_if(running, [&](const auto& batch) {
      if (batch.first > now) return false;
      (void)dispatch.claim(batch.second, seqs[batch.second] - 1);
      dispatch.complete(now, 0, 1, std::vector{batch.second}, 10ms);
      return true;
    });
    do {
      dispatch.decide(now, std::nullopt, decision);
      for (const UnservedFrame& frame : decision.unserved) give_back(frame.camera, frame.seq, now);
      for (const SentFrame& frame : decision.batch) {
        ++waits.inferred[frame.camera];
        last_seq[frame.camera] = frame.seq;
        running.emplace_back(now + 10ms, frame.camera);
      }
    } while (!decision.batch.empty());
  }
  return waits;
}

TEST(LiveDispatchBudget, FramesWithoutATokenInSightAreAnsweredAtOnce) {
  for (const std::size_t cameras : {1U, 3U, 10U, 50U}) {
    for (const double share : {.05, .2, .5}) {
      Waits waits = run(cameras, share, 400ms);
      std::ranges::sort(waits.of_unserved);
      ASSERT_FALSE(waits.of_unserved.empty());
      const auto at = [&](double q) {
        return waits.of_unserved[static_cast<std::size_t>(
            q * static_cast<double>(waits.of_unserved.size() - 1))];
      };
      EXPECT_LE(at(.5), 1ms) << cameras << " cameras, share " << share;
      EXPECT_LE(at(1), 150ms) << cameras << " cameras, share " << share;
    }
  }
}

TEST(LiveDispatchBudget, TheShareIsStillUsed) {
  for (const std::size_t cameras : {1U, 3U, 10U, 50U}) {
    for (const double share : {.05, .2, .5}) {
      const Waits waits = run(cameras, share, 400ms);
      std::int64_t inferred = 0;
      for (const std::int64_t count : waits.inferred) inferred += count;
      EXPECT_GE(static_cast<double>(inferred), .8 * share * static_cast<double>(waits.frames))
          << cameras << " cameras, share " << share;
      const auto [least, most] = std::ranges::minmax(waits.inferred);
      EXPECT_LE(most, 2 * least + 2) << cameras << " cameras, share " << share;
    }
  }
}

}  // namespace
}  // namespace framemill
