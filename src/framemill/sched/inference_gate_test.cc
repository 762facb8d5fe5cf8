#include "framemill/sched/inference_gate.h"

#include <algorithm>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

constexpr auto kInfer = InferenceGate::Verdict::kInfer;

/// One letter a frame: i(nfer) or r(euse).
std::string verdicts(InferenceGate& gate, CameraIndex camera, int frames, int scene_start_at = -1) {
  std::string letters;
  for (int i = 0; i < frames; ++i)
    letters += gate.decide(camera, i == scene_start_at) == kInfer ? 'i' : 'r';
  return letters;
}

TEST(BudgetShare, FollowsTheTable) {
  const std::tuple<const char*, InferenceBudget, double, double> cases[] = {
      {"no budget", {}, 100, 1},
      {"share", {.share = .2}, 100, .2},
      {"share above one", {.share = 3}, 100, 1},
      {"per second", {.per_second = 30}, 120, .25},
      {"more a second than there are", {.per_second = 300}, 120, 1},
      {"no camera samples", {.per_second = 30}, 0, 1},
      {"share needs no rate", {.share = .5}, 0, .5},
  };
  for (const auto& [name, budget, rate, want] : cases)
    EXPECT_DOUBLE_EQ(budget_share(budget, rate), want) << name;
}

TEST(InferenceGate, FullInfersAll) {
  InferenceGate gate({PolicyKind::kFull}, .1);
  EXPECT_EQ(verdicts(gate, 0, 12), "iiiiiiiiiiii");
}

TEST(InferenceGate, HoldInfersEveryNth) {
  const std::tuple<double, const char*> cases[] = {
      {1.0, "iiiiiiiiiiii"}, {.5, "iriririririr"},  {1.0 / 3, "irrirrirrirr"},
      {.2, "irrrrirrrrir"},  {.75, "iriiiriiirii"}, {.0, "irrrrrrrrrrr"},
  };
  for (const auto& [share, want] : cases) {
    InferenceGate gate({PolicyKind::kHold}, share);
    EXPECT_EQ(verdicts(gate, 0, 12), want) << share;
  }
}

TEST(InferenceGate, SceneStartRestartsTheCount) {
  InferenceGate gate({PolicyKind::kHold}, .25);
  EXPECT_EQ(verdicts(gate, 0, 12, 6), "irrririrrrir");
}

TEST(InferenceGate, CamerasDoNotShareACount) {
  InferenceGate gate({PolicyKind::kHold, PolicyKind::kFull, PolicyKind::kHold}, .5);
  EXPECT_EQ(gate.decide(0, true), kInfer);
  EXPECT_EQ(gate.decide(2, true), kInfer);
  EXPECT_EQ(verdicts(gate, 1, 3), "iii");
  EXPECT_EQ(verdicts(gate, 0, 3), "rir");
  EXPECT_EQ(verdicts(gate, 2, 3), "rir");
}

TEST(InferenceGate, NeverExceedsTheShareInAnyWindow) {  // property
  std::mt19937 rng(11);
  for (int round = 0; round < 500; ++round) {
    const double share = std::uniform_real_distribution<double>(0, 1)(rng);
    const int scene_every = std::uniform_int_distribution<int>(1, 120)(rng);
    InferenceGate gate({PolicyKind::kHold}, share);
    // inferred[i], starts[i]: how many among the first i frames
    std::vector<int> inferred{0};
    std::vector<int> starts{0};
    for (int i = 0; i < 150; ++i) {
      const bool is_start = std::uniform_int_distribution<int>(1, scene_every)(rng) == 1;
      inferred.push_back(inferred.back() + (gate.decide(0, is_start) == kInfer ? 1 : 0));
      starts.push_back(starts.back() + (is_start ? 1 : 0));
    }
    for (std::size_t first = 0; first < 150; ++first) {
      for (std::size_t end = first + 1; end <= 150; ++end) {
        const double frames = static_cast<double>(end - first);
        ASSERT_LE(inferred[end] - inferred[first],
                  share * frames + 1 + (starts[end] - starts[first]) + 1e-3)
            << "round " << round << " frames " << first << ".." << end << " share " << share;
      }
    }
  }
}

TEST(InferenceGate, ARoundingErrorDoesNotDelayAnInference) {
  InferenceGate gate({PolicyKind::kHold}, .29);  // .29 * 100 is 28.999999999999996
  const std::string got = verdicts(gate, 0, 101);
  EXPECT_EQ(got.back(), 'i');
  EXPECT_EQ(std::count(got.begin(), got.end(), 'i'), 1 + 29);
}

TEST(InferenceGate, KeepsTheShareOverALongRun) {
  for (const double share : {.1, .2, .29, 1.0 / 3, .7}) {
    InferenceGate gate({PolicyKind::kHold}, share);
    int inferred = 0;
    constexpr int kFrames = 100'000;
    for (int i = 0; i < kFrames; ++i) inferred += gate.decide(0, false) == kInfer ? 1 : 0;
    EXPECT_NEAR(inferred, share * kFrames, 1.01) << share;
  }
}

}  // namespace
}  // namespace framemill
