#include "framemill/cli/compare_misses.h"

#include <gtest/gtest.h>

namespace framemill {
namespace {

using Answers = std::vector<ComparedAnswer>;

Detection square(float x, float score = .9F, int class_id = 0) {
  return {.class_id = class_id, .score = score, .box = {x, 0, x + 10, 10}};
}

ComparedAnswer answer(std::int64_t frame, std::vector<Detection> detections,
                      Origin origin = Origin::kPropagated) {
  return {.frame_index = frame,
          .pts_s = static_cast<double>(frame) / 10,
          .origin = origin,
          .source_frame_index = frame - 2,
          .detections = std::move(detections)};
}

/// `seen` shows, frame by frame, the squares that full inference reports; every second frame of the
/// clip is sampled.
Answers clip_of(const std::vector<std::vector<Detection>>& seen) {
  Answers answers;
  for (const std::vector<Detection>& detections : seen) {
    answers.push_back(answer(2 * static_cast<std::int64_t>(answers.size()), detections));
  }
  return answers;
}

/// A run that answers every frame with nothing.
ComparedRun blind(const std::vector<Answers>& reference) {
  ComparedRun run{.policy = "adaptive", .answers = reference};
  for (Answers& answers : run.answers) {
    for (ComparedAnswer& each : answers) each.detections.clear();
  }
  return run;
}

TEST(WorstMisses, ShowTheMiddleOfTheLongestRun) {
  // One object moves by 3 px a frame and is missed five times; another is missed once.
  const std::vector<Answers> reference{clip_of(
      {{square(0)}, {square(3)}, {square(6), square(80, .95F)}, {square(9)}, {square(12)}})};
  const std::vector<WorstMiss> worst = choose_worst_misses(reference, blind(reference), 10);
  ASSERT_EQ(worst.size(), 2U);
  EXPECT_EQ(worst[0].frame_index, 4);
  EXPECT_EQ(worst[0].frames_missed, 5);
  EXPECT_DOUBLE_EQ(worst[0].seconds_missed, .8);
  EXPECT_EQ(worst[0].reference[worst[0].missed], square(6));
  EXPECT_EQ(worst[0].reference.size(), 2U);
  EXPECT_EQ(worst[0].origin, Origin::kPropagated);
  EXPECT_EQ(worst[0].source_frame_index, 2);
  EXPECT_EQ(worst[1].frames_missed, 1);
  EXPECT_EQ(worst[1].reference[worst[1].missed], square(80, .95F));
}

TEST(WorstMisses, EachClipComesFirstOnce) {
  const std::vector<Answers> reference{
      clip_of({{square(0), square(50)}, {square(0), square(50)}, {square(0), square(50)}}),
      clip_of({{square(0)}}),
      clip_of({{square(0)}, {square(0)}}),
  };
  const std::vector<WorstMiss> worst = choose_worst_misses(reference, blind(reference), 10);
  std::vector<CameraIndex> cameras;
  for (const WorstMiss& miss : worst) cameras.push_back(miss.camera);
  EXPECT_EQ(cameras, (std::vector<CameraIndex>{0, 2, 1, 0}));
  EXPECT_EQ(choose_worst_misses(reference, blind(reference), 2).size(), 2U);
  EXPECT_TRUE(choose_worst_misses(reference, blind(reference), 0).empty());
}

TEST(WorstMisses, EndARunWhereTheObjectWasFoundOrIsAnother) {
  const auto longest = [](const std::vector<Answers>& reference, const ComparedRun& run) {
    return choose_worst_misses(reference, run, 1).at(0).frames_missed;
  };
  const std::vector<Answers> still{
      clip_of({{square(0)}, {square(0)}, {square(0)}, {square(0)}, {square(0)}})};
  ComparedRun run = blind(still);
  run.answers[0][2].detections = {square(1)};
  EXPECT_EQ(longest(still, run), 2) << "found in between";

  const std::vector<Answers> jump{clip_of({{square(0)}, {square(40)}, {square(80)}})};
  EXPECT_EQ(longest(jump, blind(jump)), 1) << "no overlap";

  const std::vector<Answers> other{clip_of({{square(0)}, {square(0, .9F, 1)}})};
  EXPECT_EQ(longest(other, blind(other)), 1) << "another class";

  std::vector<Answers> gap{clip_of({{square(0)}, {square(0)}, {square(0)}})};
  gap[0][1].detections.clear();
  EXPECT_EQ(longest(gap, blind(gap)), 1) << "full inference lost it in between";
}

TEST(WorstMisses, TwoRunsDoNotShareAnObject) {
  // Both squares of the second frame overlap the one of the first: the nearer continues it.
  const std::vector<Answers> reference{clip_of({{square(0)}, {square(2), square(1)}})};
  const std::vector<WorstMiss> worst = choose_worst_misses(reference, blind(reference), 10);
  ASSERT_EQ(worst.size(), 2U);
  EXPECT_EQ(worst[0].frames_missed + worst[1].frames_missed, 3);
}

TEST(WorstMisses, ShowBothSidesAboveTheThresholds) {
  const std::vector<Answers> reference{
      clip_of({{square(0, .1F), square(20, .3F), square(40), square(60)}})};
  ComparedRun run = blind(reference);
  run.answers[0][0].detections = {square(0, .25F), square(60, .26F)};
  const std::vector<WorstMiss> worst = choose_worst_misses(reference, run, 10);
  ASSERT_EQ(worst.size(), 1U);
  EXPECT_EQ(worst[0].reference, (std::vector{square(20, .3F), square(40), square(60)}));
  EXPECT_EQ(worst[0].missed, 1U);
  EXPECT_EQ(worst[0].given, std::vector{square(60, .26F)});
}

TEST(WorstMisses, SeeFramesWithoutAnswerAndSkipThoseWithoutReference) {
  std::vector<Answers> reference{clip_of({{square(0)}, {square(0)}, {square(0)}})};
  ComparedRun run = blind(reference);
  reference[0][2] = answer(4, {}, Origin::kNone);
  run.answers[0].erase(run.answers[0].begin());
  run.answers[0][0].origin = Origin::kNone;
  const std::vector<WorstMiss> worst = choose_worst_misses(reference, run, 10);
  ASSERT_EQ(worst.size(), 1U);
  EXPECT_EQ(worst[0].frames_missed, 2);
  EXPECT_EQ(worst[0].origin, Origin::kNone);
  EXPECT_TRUE(choose_worst_misses(reference, {.answers = reference}, 10).empty());
}

}  // namespace
}  // namespace framemill
