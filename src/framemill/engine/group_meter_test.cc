#include "framemill/engine/group_meter.h"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;

Answer answer_of(CameraIndex camera, Duration captured, Origin origin, Duration latency = 20ms,
                 bool is_on_time = true) {
  Answer answer;
  answer.camera = camera;
  answer.stamp.captured_mono = TimePoint(captured);
  answer.origin = origin;
  answer.drop_reason = DropReason::kSuperseded;
  if (origin != Origin::kNone) answer.latency = latency;
  answer.is_on_time = is_on_time;
  return answer;
}

TEST(GroupMeter, CountsEachFrameOnceByOutcome) {
  GroupMeter meter({0, 0, 1}, 2);
  meter.set_window(TimePoint(0s), TimePoint(10s));
  meter.add(answer_of(0, 1s, Origin::kInferred, 30ms));
  meter.add(answer_of(1, 1s, Origin::kInferred, 300ms, false));
  meter.add(answer_of(0, 1100ms, Origin::kPropagated));
  meter.add(answer_of(1, 1100ms, Origin::kNone));
  meter.add(answer_of(2, 1s, Origin::kReused));
  const std::vector<GroupFigures> groups = meter.figures();
  EXPECT_EQ(groups[0].sampled(), 4);
  EXPECT_EQ(groups[0].answered(), 3);
  EXPECT_EQ(groups[0].inferred_in_time, 1);
  EXPECT_EQ(groups[0].overdue, 1);
  EXPECT_EQ(groups[0].inferred_latency.count(), 2);
  EXPECT_EQ(groups[0].outcomes[static_cast<std::size_t>(Outcome::kSuperseded)], 1);
  EXPECT_EQ(groups[1].sampled(), 1);
  EXPECT_EQ(groups[1].inferred_latency.count(), 0);
}

TEST(GroupMeter, LeavesOutBeginningAndEnd) {
  GroupMeter meter({0}, 1);
  meter.add(answer_of(0, 1s, Origin::kInferred));  // before a window is known
  meter.set_window(TimePoint(2s), TimePoint(4s));
  for (const Duration at : {1999ms, 2000ms, 3999ms, 4000ms}) {
    meter.add(answer_of(0, at, Origin::kInferred));
  }
  EXPECT_EQ(meter.figures()[0].sampled(), 2);
}

TEST(GroupMeter, GapsAreOfOneCameraAndOfAnswersInTime) {
  GroupMeter meter({0, 0}, 1);
  meter.set_window(TimePoint(0s), TimePoint(10s));
  meter.add(answer_of(0, 1000ms, Origin::kInferred));
  meter.add(answer_of(1, 1500ms, Origin::kInferred));
  meter.add(answer_of(0, 1100ms, Origin::kPropagated, 500ms, false));
  meter.add(answer_of(0, 1200ms, Origin::kNone));
  meter.add(answer_of(0, 1300ms, Origin::kPropagated));
  EXPECT_EQ(meter.figures()[0].worst_gap, 300ms);
}

TEST(GroupMeter, TakesAnswersFromManyThreads) {
  GroupMeter meter({0, 1, 0, 1}, 2);
  meter.set_window(TimePoint(0s), TimePoint(100s));
  {
    std::vector<std::jthread> cameras;
    for (CameraIndex camera = 0; camera < 4; ++camera) {
      cameras.emplace_back([&meter, camera] {
        for (int i = 0; i < 500; ++i) meter.add(answer_of(camera, i * 100ms, Origin::kInferred));
      });
    }
  }
  EXPECT_EQ(meter.figures()[0].sampled(), 1000);
  EXPECT_EQ(meter.figures()[1].worst_gap, 100ms);
}

}  // namespace
}  // namespace framemill
