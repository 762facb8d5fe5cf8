#include "framemill/sched/need_model.h"

#include <cmath>
#include <random>

#include <gtest/gtest.h>

namespace framemill {
namespace {

constexpr ObjectDoubt kDoubt{.age = 5, .objects = 4};

/// Of four objects so many were wrong: half of them missed, half of them no longer there.
AgreementCounts wrong_ones(std::int64_t pairs) {
  return {.found = 4 - pairs,
          .wanted = 4,
          .right = 4 - pairs,
          .given = 4,
          .sure_right = 4 - pairs,
          .sure_given = 4};
}

TEST(NeedModel, GrowsWithEachPartOfTheDoubt) {  // property
  std::mt19937 rng(17);
  const auto real = [&rng](double most) {
    return std::uniform_real_distribution<double>(0, most)(rng);
  };
  const auto whole = [&rng](std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(rng);
  };
  for (int round = 0; round < 2000; ++round) {
    NeedModel model(1);
    for (auto n = whole(0, 8); n > 0; --n)
      model.learn(0, {.age = whole(0, 20), .objects = real(10)}, wrong_ones(whole(0, 4)));
    const ObjectDoubt doubt{
        .age = whole(0, 50), .objects = real(20), .drift = real(5), .unexplained = real(5)};
    const double need = model.need(0, doubt);
    ASSERT_TRUE(std::isfinite(need) && need >= 0) << round;
    ObjectDoubt more = doubt;
    more.age += whole(1, 10);
    EXPECT_GT(model.need(0, more), need) << "age, round " << round;
    more = doubt;
    more.drift += real(1) + 1e-3;
    EXPECT_GT(model.need(0, more), need) << "drift, round " << round;
    more = doubt;
    more.unexplained += real(1) + 1e-3;
    EXPECT_GT(model.need(0, more), need) << "unexplained, round " << round;
  }
}

TEST(NeedModel, NothingIsNeededWhereTheModelHasJustRun) {
  NeedModel model(1);
  EXPECT_EQ(model.need(0, {.objects = 10}), 0);
  model.learn(0, kDoubt, wrong_ones(4));
  EXPECT_EQ(model.need(0, {.objects = 10}), 0);
}

TEST(NeedModel, LearnsWhichCameraErrs) {
  NeedModel model(3);
  for (int i = 0; i < 10; ++i) {
    model.learn(0, kDoubt, wrong_ones(0));
    model.learn(1, kDoubt, wrong_ones(2));
  }
  EXPECT_LT(model.need(0, kDoubt), model.need(2, kDoubt)) << "always right: it has time";
  EXPECT_GT(model.need(1, kDoubt), model.need(2, kDoubt));
  EXPECT_GT(model.need(0, kDoubt), 0) << "but not for ever";
}

TEST(NeedModel, LearnsForWhichCauseACameraErrs) {
  // Both move outside their boxes as much; one errs when its boxes drift, the other when it is
  // unexplained.
  const ObjectDoubt leaves{.age = 5, .objects = 4, .unexplained = 40};
  const ObjectDoubt fast{.age = 5, .objects = 4, .drift = 2, .unexplained = 40};
  NeedModel model(2);
  for (int i = 0; i < 20; ++i) {
    model.learn(0, leaves, wrong_ones(0));
    model.learn(0, fast, wrong_ones(2));
    model.learn(1, leaves, wrong_ones(2));
    model.learn(1, fast, wrong_ones(2));
  }
  EXPECT_LT(model.need(0, leaves), .2 * model.need(0, fast)) << "leaves in the wind";
  EXPECT_GT(model.need(1, leaves), .6 * model.need(1, fast)) << "an entrance";
  EXPECT_GT(model.need(1, leaves), 4 * model.need(0, leaves));
}

TEST(NeedModel, ErrorsFoundAreSharedOutWhole) {  // property
  // Each time half or twice as much is wrong as is expected: whatever the causes, so is the need.
  std::mt19937 rng(5);
  const auto real = [&rng](double most) {
    return std::uniform_real_distribution<double>(0, most)(rng);
  };
  for (const double factor : {.5, 2.0}) {
    NeedModel model(1);
    double expected = 0;
    std::int64_t told = 0;
    for (int i = 0; i < 400; ++i) {
      const ObjectDoubt doubt{
          .age = 3, .objects = real(8), .drift = real(2), .unexplained = real(20)};
      expected += factor * expected_wrong(doubt);
      const auto wrong = static_cast<std::int64_t>(expected) - told;
      told += wrong;
      model.learn(0, doubt, {.wanted = wrong});
    }
    const ObjectDoubt doubt{.age = 1, .objects = 4, .drift = 1, .unexplained = 10};
    const double want = factor * expected_wrong(doubt);
    EXPECT_NEAR(model.need(0, doubt), want, .2 * want) << factor;
  }
}

TEST(NeedModel, OfACameraNotLookedAtIsBelievedWhatAllOthersShow) {
  const ObjectDoubt moving{.age = 5, .objects = 4, .unexplained = 40};
  NeedModel model(8);
  for (int i = 0; i < 20; ++i) {
    for (CameraIndex camera = 0; camera < 7; ++camera) model.learn(camera, moving, wrong_ones(0));
  }
  EXPECT_LT(model.need(7, moving), .2 * NeedModel(8).need(7, moving));
  const double before = model.need(7, moving);
  model.add_camera();
  EXPECT_EQ(model.need(8, moving), before);
  for (int i = 0; i < 20; ++i) model.learn(7, moving, wrong_ones(3));
  EXPECT_GT(model.need(7, moving), 10 * model.need(0, moving)) << "its own history weighs more";
}

TEST(NeedModel, TheMoreWasWrongTheMoreIsNeeded) {
  double last = -1;
  for (std::int64_t wrong = 0; wrong <= 4; ++wrong) {
    NeedModel model(1);
    model.learn(0, kDoubt, wrong_ones(wrong));
    EXPECT_GT(model.need(0, kDoubt), last) << wrong;
    last = model.need(0, kDoubt);
  }
}

TEST(NeedModel, TheSameErrorsSoonerAreWorse) {
  NeedModel soon(1);
  NeedModel late(1);
  soon.learn(0, {.age = 2, .objects = 4}, wrong_ones(2));
  late.learn(0, {.age = 20, .objects = 4}, wrong_ones(2));
  EXPECT_GT(soon.need(0, kDoubt), late.need(0, kDoubt));
}

TEST(NeedModel, NewCorrectionsOutweighOldOnes) {
  NeedModel calmed(1);
  NeedModel roused(1);
  for (int i = 0; i < 60; ++i) {
    calmed.learn(0, kDoubt, wrong_ones(i < 30 ? 4 : 0));
    roused.learn(0, kDoubt, wrong_ones(i < 30 ? 0 : 4));
  }
  NeedModel always(1);
  NeedModel never(1);
  for (int i = 0; i < 60; ++i) {
    always.learn(0, kDoubt, wrong_ones(4));
    never.learn(0, kDoubt, wrong_ones(0));
  }
  EXPECT_NEAR(calmed.need(0, kDoubt), never.need(0, kDoubt), .05 * always.need(0, kDoubt));
  EXPECT_NEAR(roused.need(0, kDoubt), always.need(0, kDoubt), .05 * always.need(0, kDoubt));
}

TEST(NeedModel, FramesThatWereInferredAlreadyTeachNothing) {
  NeedModel model(1);
  model.learn(0, {.age = 0, .objects = 4}, wrong_ones(4));
  EXPECT_EQ(model.need(0, kDoubt), NeedModel(1).need(0, kDoubt));
}

}  // namespace
}  // namespace framemill
