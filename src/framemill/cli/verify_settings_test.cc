#include "framemill/cli/verify_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

class PlanLoad : public ::testing::Test {
 protected:
  PlanLoad() {
    for (const char* name : {"a.onnx", "b.onnx"}) models_.write(name, "model");
    source_.run_for = 10s;
    group_.name = "gates";
    group_.count = 3;
    group_.resolution = {640, 360};
    group_.model = "a.onnx";
  }

  Workload workload_of(std::vector<CameraGroup> groups) const {
    Workload workload;
    workload.cameras = std::move(groups);
    return workload;
  }

  const TempFolder models_;
  LoadSource source_{.models_dir = models_.path()};
  CameraGroup group_;
};

TEST_F(PlanLoad, MakesEachCameraOfEachGroup) {
  CameraGroup docks = group_;
  docks.name = "docks";
  docks.count = 2;
  docks.model = "b.onnx";
  docks.priority = Priority::kCritical;
  docks.slo = 100ms;
  docks.rate_hz = 5;
  const Result<LoadPlan> plan = plan_load(workload_of({group_, docks}), source_);
  ASSERT_TRUE(plan) << plan.error().message();
  EXPECT_EQ(plan->group_of_camera, (std::vector<std::size_t>{0, 0, 0, 1, 1}));
  ASSERT_EQ(plan->settings.cameras.size(), 5U);
  ASSERT_EQ(plan->settings.models.size(), 2U);
  const CameraSettings& camera = plan->settings.cameras[4];
  EXPECT_EQ(camera.id, "docks-2");
  EXPECT_EQ(camera.model, "b");
  EXPECT_EQ(camera.slo, 100ms);
  EXPECT_EQ(camera.rate_hz, 5);
  EXPECT_EQ(camera.priority, Priority::kCritical);
  EXPECT_THAT(camera.url, HasSubstr("size=640x360&rate=25"));
  EXPECT_EQ(plan->settings.engine.pace, Pace::kLive);
  EXPECT_EQ(plan->settings.engine.run_for, 10s);
  EXPECT_FALSE(plan->settings.engine.budget.share);
}

TEST_F(PlanLoad, ClipsAreLoopedFromOffsetsOfTheSeed) {
  source_.clips = {"x.mp4", "y.mp4"};
  const Result<LoadPlan> plan = plan_load(workload_of({group_}), source_);
  const Result<LoadPlan> again = plan_load(workload_of({group_}), source_);
  source_.seed = 2;
  const Result<LoadPlan> other = plan_load(workload_of({group_}), source_);
  ASSERT_TRUE(plan && again && other);
  EXPECT_EQ(plan->settings.cameras[1].url, "y.mp4");
  EXPECT_EQ(plan->settings.cameras[2].url, "x.mp4");
  bool is_other = false;
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(plan->settings.cameras[i].is_looped);
    EXPECT_EQ(plan->settings.cameras[i].start, again->settings.cameras[i].start);
    is_other |= plan->settings.cameras[i].start != other->settings.cameras[i].start;
  }
  EXPECT_TRUE(is_other);
}

TEST_F(PlanLoad, TheBudgetIsWhatTheDutiesComeTo) {
  group_.policy = PolicyKind::kAdaptive;
  group_.duty = .2;
  const Result<LoadPlan> plan = plan_load(workload_of({group_}), source_);
  ASSERT_TRUE(plan);
  EXPECT_DOUBLE_EQ(plan->settings.engine.budget.share.value_or(1), .2);
}

// As it is simulated: `full` is the default, and whoever names a duty wants it saved.
TEST_F(PlanLoad, ADutyOfPolicyFullIsPlayedAsAdaptive) {
  group_.duty = .2;
  CameraGroup all = group_;
  all.name = "docks";
  all.duty = 1;
  const Result<LoadPlan> plan = plan_load(workload_of({group_, all}), source_);
  ASSERT_TRUE(plan) << plan.error().message();
  EXPECT_EQ(plan->settings.cameras.front().policy, PolicyKind::kAdaptive);
  EXPECT_EQ(plan->settings.cameras.back().policy, PolicyKind::kFull);
  EXPECT_DOUBLE_EQ(plan->settings.engine.budget.share.value_or(1), .2);
}

TEST_F(PlanLoad, WhoDecodesIsWhoTheGroupAsksFor) {
  CameraGroup docks = group_;
  docks.name = "docks";
  docks.decode = "auto";
  const Result<LoadPlan> plan = plan_load(workload_of({group_, docks}), source_);
  ASSERT_TRUE(plan) << plan.error().message();
  EXPECT_EQ(plan->settings.cameras.front().decode, "cpu");
  EXPECT_EQ(plan->settings.cameras.back().decode, "auto");
}

TEST_F(PlanLoad, SaysWhatCannotBePlayed) {
  CameraGroup other = group_;
  group_.policy = other.policy = PolicyKind::kAdaptive;
  group_.duty = .2;
  other.name = "docks";
  other.duty = .5;
  const auto message_of = [this](std::vector<CameraGroup> groups) {
    const Result<LoadPlan> plan = plan_load(workload_of(std::move(groups)), source_);
    return plan ? std::string("none") : plan.error().message();
  };
  EXPECT_THAT(message_of({group_, other}), HasSubstr("cameras[docks]: asks for 0.5"));
  other = group_;
  other.model = "missing.onnx";
  EXPECT_THAT(message_of({other}), HasSubstr("--models"));
  other = group_;
  other.count = 1'000'000'000;
  EXPECT_THAT(message_of({other}), HasSubstr("1000000000 cameras"));
}

}  // namespace
}  // namespace framemill
