#include "framemill/cli/compare_figures.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <tuple>

#include <gtest/gtest.h>

namespace framemill {
namespace {

using Answers = std::vector<ComparedAnswer>;

/// A sure object of 10 pixels, `x` pixels from the left.
Detection square(float x, float score = .9F) { return {.score = score, .box = {x, 0, x + 10, 10}}; }

ComparedAnswer answer(std::int64_t frame, std::vector<Detection> detections,
                      Origin origin = Origin::kInferred) {
  return {.frame_index = frame,
          .pts_s = static_cast<double>(frame) / 10,
          .origin = origin,
          .source_frame_index = frame,
          .detections = std::move(detections)};
}

/// `frames` frames with one sure object each.
Answers clip_of(std::int64_t frames) {
  Answers answers;
  for (std::int64_t i = 0; i < frames; ++i) answers.push_back(answer(i, {square(0)}));
  return answers;
}

/// The clip as answered by a run which misses the first `missed` objects and makes up `invented`.
Answers with_errors(Answers answers, std::size_t missed, std::size_t invented = 0) {
  for (std::size_t i = 0; i < missed; ++i) answers[i].detections.clear();
  for (std::size_t i = 0; i < invented; ++i) answers[i].detections.push_back(square(500));
  return answers;
}

/// A run over clips of 100 frames each, `inferences` on each, that misses `missed` on clip i.
ComparedRun run_of(std::string policy, std::int64_t inferences,
                   const std::vector<std::size_t>& missed, std::size_t invented = 0) {
  ComparedRun run{.policy = std::move(policy), .setting = std::to_string(inferences)};
  for (const std::size_t n : missed) {
    run.inferences.push_back(inferences);
    run.answers.push_back(with_errors(clip_of(100), n, invented));
  }
  return run;
}

std::vector<Answers> reference_of(std::size_t clips) {
  return std::vector<Answers>(clips, clip_of(100));
}

TEST(CompareRuns, CountsLikeAgreement) {
  const std::vector<Answers> reference{
      {answer(0, {square(0), square(50, .3F)}), answer(3, {square(0), square(100)}),
       answer(6, {square(0)}, Origin::kNone), answer(9, {square(0)})}};
  ComparedRun run{.policy = "adaptive", .inferences = {2}};
  // Frame 3: one found at IoU 8/12, one made up; 6 is not in the reference; 7 is only here; 9 got
  // no answer.
  run.answers = {{answer(0, {square(0), square(50, .3F)}), answer(3, {square(2), square(200)}),
                  answer(6, {square(77)}), answer(7, {square(77)}), answer(9, {}, Origin::kNone)}};
  const RunFigures figures = compare_runs(reference, {&run, 1}).front();
  EXPECT_EQ(figures.counts.wanted, 4);
  EXPECT_EQ(figures.counts.found, 2);
  EXPECT_EQ(figures.counts.given, 4);
  EXPECT_EQ(figures.counts.right, 3);
  EXPECT_EQ(figures.counts.sure_given, 3);
  EXPECT_EQ(figures.counts.sure_right, 2);
  EXPECT_EQ(figures.frames, 3);
  EXPECT_EQ(figures.missing, 1);
  EXPECT_DOUBLE_EQ(figures.pooled.recall, .5);
  EXPECT_DOUBLE_EQ(figures.pooled.strict_recall, .25);
  EXPECT_DOUBLE_EQ(figures.pooled.precision, .75);
  EXPECT_DOUBLE_EQ(figures.pooled.sure_precision, 2. / 3);
  EXPECT_DOUBLE_EQ(figures.pooled.mean_iou, (1 + 8. / 12) / 2);
  EXPECT_DOUBLE_EQ(figures.share_inferred, 2. / 5);
  EXPECT_FALSE(figures.macro.has_value()) << "four sure detections are too few";
}

TEST(CompareRuns, FramesThatTheRunLacksAreMisses) {
  ComparedRun run{.policy = "adaptive", .inferences = {1}, .answers = {{answer(5, {square(0)})}}};
  const RunFigures figures = compare_runs(std::vector<Answers>{clip_of(10)}, {&run, 1}).front();
  EXPECT_EQ(figures.missing, 9);
  EXPECT_DOUBLE_EQ(figures.pooled.recall, .1);
}

TEST(CompareRuns, NothingToCountIsNoError) {
  ComparedRun run{.policy = "adaptive", .inferences = {0}, .answers = {{}}};
  const std::vector<Answers> reference{{answer(0, {}), answer(1, {})}};
  const RunFigures figures = compare_runs(reference, {&run, 1}).front();
  EXPECT_EQ(figures.pooled, (AgreementFigures{1, 1, 1, 1, 1}));
  EXPECT_EQ(figures.share_inferred, 0);
  EXPECT_TRUE(compare_runs({}, {}).empty());
}

TEST(CompareRuns, PoolsDetectionsAndAveragesClips) {
  const std::vector<Answers> reference{clip_of(100), clip_of(20), clip_of(19)};
  ComparedRun run{.policy = "adaptive", .inferences = {10, 10, 10}};
  run.answers = {clip_of(100), with_errors(clip_of(20), 10), with_errors(clip_of(19), 19)};
  const RunFigures figures = compare_runs(reference, {&run, 1}).front();
  EXPECT_DOUBLE_EQ(figures.pooled.recall, 110. / 139);
  ASSERT_TRUE(figures.macro.has_value());
  EXPECT_EQ(figures.macro_clips, 2U) << "19 sure detections are too few";
  EXPECT_DOUBLE_EQ(figures.macro->recall, .75);
  EXPECT_DOUBLE_EQ(figures.clips[1].share_inferred, .5);
}

TEST(Baseline, AtTheSameShareIsThatRun) {
  const std::vector<ComparedRun> runs{run_of("hold", 20, {10, 30}), run_of("adaptive", 20, {2, 6}),
                                      run_of("hold", 10, {40, 40})};
  const std::vector<RunFigures> figures = compare_runs(reference_of(2), runs);
  EXPECT_FALSE(figures[0].against_baseline.has_value());
  ASSERT_TRUE(figures[1].against_baseline.has_value());
  const BaselineComparison& against = *figures[1].against_baseline;
  EXPECT_DOUBLE_EQ(against.recall, .8);
  EXPECT_NEAR(against.misses->ratio, .2, 1e-12);
  EXPECT_FALSE(against.misses->low.has_value()) << "two clips are too few for an interval";
  EXPECT_FALSE(against.sure_errors.has_value()) << "the baseline makes no such error";
}

TEST(Baseline, IsReadOffTheLineThroughItsRuns) {
  // Misses of hold: .4 at gap 10, .2 at gap 5, none at gap 1.
  const ComparedRun often = run_of("hold", 20, {20});
  const ComparedRun seldom = run_of("hold", 10, {40});
  const std::tuple<const char*, std::int64_t, std::optional<double>> cases[] = {
      {"between two runs, gap 8", 125, .2 + .2 * 3 / 5},
      {"between full inference and the first, gap 2", 500, .2 / 4},
      {"all inferred", 1000, std::nullopt},
      {"more than all", 1500, std::nullopt},
      {"a little beyond the last", 96, .4},
      {"beyond the last", 95, std::nullopt},
      {"nothing inferred", 0, std::nullopt},
  };
  for (const auto& [name, per_mille, baseline_misses] : cases) {
    ComparedRun run = run_of("adaptive", per_mille, {3});
    // Ten times the frames, without objects, give the share its digits.
    run.answers[0].resize(1000, answer(0, {}));
    for (std::size_t i = 100; i < 1000; ++i)
      run.answers[0][i].frame_index = static_cast<std::int64_t>(i);
    const std::vector<ComparedRun> runs{run, seldom, often};
    const auto against = compare_runs(reference_of(1), runs)[0].against_baseline;
    if (baseline_misses) {
      ASSERT_TRUE(against.has_value()) << name;
      EXPECT_NEAR(1 - against->recall, *baseline_misses, 1e-12) << name;
      EXPECT_NEAR(against->misses->ratio, .03 / *baseline_misses, 1e-12) << name;
    } else {
      EXPECT_FALSE(against.has_value() && against->misses.has_value()) << name;
    }
  }
}

TEST(Baseline, ThereIsNoneWithoutItsRuns) {
  const ComparedRun run = run_of("adaptive", 20, {3, 3});
  EXPECT_FALSE(compare_runs(reference_of(2), {&run, 1})[0].against_baseline.has_value());
}

TEST(Baseline, NamesLargeClipsWhereItIsAhead) {
  std::vector<ComparedRun> runs{run_of("hold", 20, {10, 10, 10, 10}),
                                run_of("adaptive", 20, {10, 11, 9, 50})};
  std::vector<Answers> reference = reference_of(4);
  reference[3].resize(99);  // a clip with too few sure detections to be named
  for (ComparedRun& run : runs) run.answers[3].resize(99);
  const auto against = compare_runs(reference, runs)[1].against_baseline;
  EXPECT_EQ(against->clips_behind, std::vector<CameraIndex>{1});
}

TEST(Baseline, IsAheadWhereSurePrecisionIsWorse) {
  std::vector<ComparedRun> runs{run_of("hold", 20, {10}, 1), run_of("adaptive", 20, {5}, 2)};
  const RunFigures figures = compare_runs(reference_of(1), runs)[1];
  EXPECT_EQ(figures.against_baseline->clips_behind, std::vector<CameraIndex>{0});
  EXPECT_GT(figures.clips[0].figures.recall, figures.clips[0].baseline->recall);
}

TEST(Interval, IsAPointWhereEachClipHasTheSameRatio) {
  const std::vector<ComparedRun> runs{run_of("hold", 20, {10, 20, 30, 40, 50, 60}),
                                      run_of("adaptive", 20, {1, 2, 3, 4, 5, 6})};
  const auto misses = compare_runs(reference_of(6), runs)[1].against_baseline->misses;
  EXPECT_NEAR(misses->ratio, .1, 1e-12);
  EXPECT_NEAR(misses->low.value(), .1, 1e-12);
  EXPECT_NEAR(misses->high.value(), .1, 1e-12);
}

TEST(Interval, HoldsTheRatioAndRepeats) {
  std::mt19937 rng(5);
  for (int round = 0; round < 10; ++round) {
    std::vector<std::size_t> hold;
    std::vector<std::size_t> adaptive;
    for (int clip = 0; clip < 12; ++clip) {
      hold.push_back(10 + rng() % 40);
      adaptive.push_back(rng() % 12);
    }
    const std::vector<ComparedRun> runs{run_of("hold", 20, hold), run_of("adaptive", 20, adaptive)};
    const std::vector<ComparedRun> turned{runs[1], run_of("similarity", 20, hold), runs[0]};
    const CompareOptions options{.resamples = 400, .seed = 9};
    const ErrorRatio once =
        compare_runs(reference_of(12), runs, options)[1].against_baseline->misses.value();
    const ErrorRatio again =
        compare_runs(reference_of(12), turned, options)[0].against_baseline->misses.value();
    EXPECT_LT(once.low.value(), once.ratio);
    EXPECT_GT(once.high.value(), once.ratio);
    EXPECT_EQ(once.low, again.low) << "other runs beside it must not change a run's interval";
    EXPECT_EQ(once.high, again.high);
    const ErrorRatio other = compare_runs(reference_of(12), runs, {.resamples = 400, .seed = 10})[1]
                                 .against_baseline->misses.value();
    EXPECT_NE(once.low, other.low) << "the seed must matter";
    EXPECT_NEAR(*once.low, *other.low, .1);
  }
}

TEST(Interval, IsOpenUpwardsWhereTheBaselineHardlyErrs) {
  // Only one clip of six has an error of hold: every third resample is without it.
  const std::vector<ComparedRun> runs{run_of("hold", 20, {10, 0, 0, 0, 0, 0}),
                                      run_of("adaptive", 20, {1, 1, 1, 1, 1, 1})};
  const auto misses = compare_runs(reference_of(6), runs)[1].against_baseline->misses;
  EXPECT_NEAR(misses->ratio, .6, 1e-12);
  EXPECT_TRUE(std::isfinite(misses->low.value()));
  EXPECT_TRUE(std::isinf(misses->high.value()));
}

TEST(ChooseHeadline, FollowsTheTable) {
  struct Run {
    const char* policy;
    double share, recall, sure;
  };
  const std::tuple<const char*, std::vector<Run>, std::optional<std::size_t>> cases[] = {
      {"no runs", {}, std::nullopt},
      {"the baseline alone", {{"hold", .5, .99, .99}}, std::nullopt},
      {"the cheapest that is true enough",
       {{"adaptive", .5, .999, .999}, {"adaptive", .2, .99, .98}, {"adaptive", .1, .97, .99}},
       1},
      {"both have to be true", {{"adaptive", .5, .99, .99}, {"adaptive", .2, .99, .9}}, 0},
      {"none is: the truest", {{"adaptive", .5, .9, .9}, {"adaptive", .2, .8, .99}}, 0},
      {"inferring all saves nothing", {{"adaptive", 1, 1, 1}, {"adaptive", .5, .9, .9}}, 1},
      {"any other policy counts", {{"hold", .1, 1, 1}, {"similarity", .3, .99, .99}}, 1},
  };
  for (const auto& [name, rows, want] : cases) {
    std::vector<RunFigures> runs;
    for (const Run& row : rows) {
      runs.push_back({.policy = row.policy,
                      .share_inferred = row.share,
                      .pooled = {.recall = row.recall, .sure_precision = row.sure}});
    }
    EXPECT_EQ(choose_headline(runs, .98), want) << name;
  }
}

}  // namespace
}  // namespace framemill
