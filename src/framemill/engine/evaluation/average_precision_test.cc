#include "framemill/engine/evaluation/average_precision.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

using Objects = std::vector<std::vector<LabelledObject>>;
using Found = std::vector<std::vector<Detection>>;

LabelledObject object(int class_id, Box box, bool is_crowd = false) {
  return {.class_id = class_id,
          .box = box,
          .area = static_cast<double>(area(box)),
          .is_crowd = is_crowd,
          .is_ignored = is_crowd};
}
Detection found(int class_id, float score, Box box) {
  return {.class_id = class_id, .score = score, .box = box};
}

constexpr Box kHere{0, 0, 40, 40}, kThere{100, 100, 140, 140}, kTiny{200, 200, 210, 210};
constexpr Box kHuge{0, 0, 200, 200};

ApReport report(const Objects& objects, const Found& detections, std::size_t classes = 1) {
  return average_precision(match_pictures(objects, detections, classes));
}

TEST(MatchPictures, JudgesTheLastDigits) {
  // As floats, this 32 x 32 has an area of 1023.9999 and would not be of medium size.
  const ExactBox at_limit{.1, .2, 32, 32};
  const std::vector<std::vector<ExactDetection>> detections{
      {{.score = .5, .box = at_limit}, {.score = .5 + 1e-9, .box = {200.3, 200.1, 7, 7}}}};
  const MatchTable table = match_pictures(Objects(1), detections, 1);
  const ClassMatches& matches = table.classes[0];
  ASSERT_EQ(matches.detections.size(), 2U);
  EXPECT_EQ(matches.detections[0].score, .5 + 1e-9);  // no tie
  for (const SizeRange range : {SizeRange::kSmall, SizeRange::kMedium})
    EXPECT_EQ(matches.detections[1].is_ignored[static_cast<std::size_t>(range)], 0);
}

TEST(AveragePrecision, OfExactDetectionsIsOne) {
  const ApReport figures = report({{object(0, kHere), object(0, kTiny)}},
                                  {{found(0, .9F, kHere), found(0, .2F, kTiny)}});
  const auto is_one = testing::Optional(testing::DoubleNear(1, 1e-9));
  EXPECT_THAT(figures.by_size[0].ap, is_one);
  EXPECT_THAT(figures.by_size[0].ap50, is_one);
  EXPECT_THAT(figures.by_size[0].ap75, is_one);
  EXPECT_THAT(figures.by_size[0].recall, is_one);
  EXPECT_THAT(figures.by_size[1].ap, is_one);
  EXPECT_THAT(figures.by_size[2].ap, is_one);
  EXPECT_EQ(figures.by_size[3].ap, std::nullopt);  // there is no large object
  EXPECT_THAT(figures.objects, testing::ElementsAre(2, 1, 1, 0));
}

TEST(AveragePrecision, FallsWithAFalseDetectionOfAHigherScoreOnly) {
  const Objects objects{{object(0, kHere)}};
  EXPECT_THAT(report(objects, {{found(0, .9F, kThere), found(0, .5F, kHere)}}).by_size[0].ap,
              testing::Optional(testing::DoubleNear(.5, 1e-9)));
  EXPECT_THAT(report(objects, {{found(0, .3F, kThere), found(0, .5F, kHere)}}).by_size[0].ap,
              testing::Optional(testing::DoubleNear(1, 1e-9)));
}

TEST(AveragePrecision, CountsADoubleAsWrong) {
  const Objects objects{{object(0, kHere), object(0, kThere)}};
  // Right, double, right: precision 1 up to recall .5 (51 points), then 2/3 (50 points).
  const ApReport figures =
      report(objects, {{found(0, .9F, kHere), found(0, .8F, kHere), found(0, .7F, kThere)}});
  EXPECT_NEAR(*figures.by_size[0].ap, (51 + 50 * 2.0 / 3) / 101, 1e-9);
}

TEST(AveragePrecision, FollowsTheOverlap) {
  // 40 x 40 moved by 8: 32 x 40 / (2 x 1600 - 1280) = .667, right at .50, .55, .60 and .65.
  const ApReport figures = report({{object(0, kHere)}}, {{found(0, .9F, {8, 0, 48, 40})}});
  EXPECT_NEAR(*figures.by_size[0].ap, .4, 1e-9);
  EXPECT_NEAR(*figures.by_size[0].ap50, 1, 1e-9);
  EXPECT_NEAR(*figures.by_size[0].ap75, 0, 1e-9);
}

TEST(AveragePrecision, IsTheMeanOfTheClassesThatHaveObjects) {
  const ApReport figures =
      report({{object(0, kHere), object(2, kThere)}},
             {{found(0, .9F, kHere), found(1, .9F, kThere), found(7, .9F, kThere)}}, 4);
  EXPECT_NEAR(*figures.by_size[0].ap, .5, 1e-9);
  ASSERT_EQ(figures.classes.size(), 2U);
  EXPECT_EQ(figures.classes[1].class_id, 2);
  EXPECT_NEAR(*figures.classes[1].figures.ap, 0, 1e-9);
}

TEST(AveragePrecision, HasNoFigureWithoutObjects) {
  const ApReport figures = report({{}}, {{found(0, .9F, kHere)}});
  EXPECT_EQ(figures.by_size[0], ApFigures{});
  EXPECT_EQ(weighted_ap(match_pictures(Objects{{}}, Found{{}}, 1), SizeRange::kAll,
                        std::vector<std::uint32_t>{1}),
            std::nullopt);
}

TEST(AveragePrecision, LeavesOutWhatACrowdCovers) {
  // Three detections inside a crowd are neither right nor wrong; without the crowd they are wrong.
  const Found detections{{found(0, .9F, {10, 10, 30, 30}), found(0, .8F, {12, 12, 32, 32}),
                          found(0, .7F, {14, 14, 34, 34}), found(0, .5F, kThere)}};
  EXPECT_NEAR(
      *report({{object(0, {0, 0, 90, 90}, true), object(0, kThere)}}, detections).by_size[0].ap, 1,
      1e-9);
  EXPECT_NEAR(*report({{object(0, kThere)}}, detections).by_size[0].ap, .25, 1e-9);
}

TEST(AveragePrecision, LeavesADifficultObjectOutOnce) {
  LabelledObject difficult = object(0, kHere);
  difficult.is_ignored = true;
  const Objects objects{{difficult, object(0, kThere)}};
  EXPECT_NEAR(*report(objects, {{found(0, .9F, kHere), found(0, .8F, kThere)}}).by_size[0].ap, 1,
              1e-9);
  // The second one on it has no object left, unlike with a crowd.
  EXPECT_NEAR(
      *report(objects, {{found(0, .9F, kHere), found(0, .85F, kHere), found(0, .8F, kThere)}})
           .by_size[0]
           .ap,
      .5, 1e-9);
}

TEST(AveragePrecision, OfASizeIgnoresFalseDetectionsOfOthers) {
  const Objects objects{{object(0, kTiny)}};
  const ApReport figures = report(objects, {{found(0, .9F, kHuge), found(0, .5F, kTiny)}});
  EXPECT_NEAR(*figures.by_size[0].ap, .5, 1e-9);
  EXPECT_NEAR(*figures.by_size[1].ap, 1, 1e-9);  // the huge one is not small, so not wrong there
}

TEST(AveragePrecision, LooksAtTheBestHundredOfAClassInAPicture) {
  Found detections(1);
  for (int i = 0; i < 100; ++i) detections[0].push_back(found(0, .9F, kThere));
  detections[0].push_back(found(0, .1F, kHere));
  EXPECT_NEAR(*report({{object(0, kHere)}}, detections).by_size[0].recall, 0, 1e-9);
  detections[0].erase(detections[0].begin());
  EXPECT_NEAR(*report({{object(0, kHere)}}, detections).by_size[0].recall, 1, 1e-9);
}

/// Pictures with objects and detections around them, some wrong; no two of equal score.
std::pair<Objects, Found> random_world(std::mt19937& random, std::size_t pictures) {
  Objects objects(pictures);
  Found detections(pictures);
  const auto draw = [&](int most) {
    return static_cast<int>(random() % static_cast<unsigned>(most));
  };
  const auto score = [&] { return static_cast<float>(random()) / 4294967296.0F; };
  for (std::size_t i = 0; i < pictures; ++i) {
    for (int n = draw(6); n > 0; --n) {
      const auto x = static_cast<float>(draw(400)), y = static_cast<float>(draw(400));
      const auto side = static_cast<float>(8 + draw(120));
      const int class_id = draw(3);
      objects[i].push_back(object(class_id, {x, y, x + side, y + side}, draw(12) == 0));
      const auto moved = static_cast<float>(draw(20));
      if (draw(4) > 0)
        detections[i].push_back(
            found(class_id, score(), {x + moved, y, x + moved + side, y + side}));
    }
    for (int n = draw(4); n > 0; --n) {
      const auto x = static_cast<float>(draw(400));
      detections[i].push_back(found(draw(3), score(), {x, x, x + 50, x + 30}));
    }
  }
  return {objects, detections};
}

TEST(AveragePrecision, CountingAPictureTwiceIsHavingItTwice) {  // property, behind the bootstrap
  std::mt19937 random(3);
  for (int round = 0; round < 50; ++round) {
    const auto [objects, detections] = random_world(random, 6);
    const MatchTable table = match_pictures(objects, detections, 3);
    std::vector<std::uint32_t> weights;
    Objects repeated_objects;
    Found repeated;
    for (std::size_t i = 0; i < objects.size(); ++i) {
      weights.push_back(random() % 3);
      for (std::uint32_t n = 0; n < weights.back(); ++n) {
        repeated_objects.push_back(objects[i]);
        repeated.push_back(detections[i]);
      }
    }
    const ApReport wanted = report(repeated_objects, repeated, 3);
    for (const SizeRange range : {SizeRange::kAll, SizeRange::kSmall}) {
      const std::optional<double> got = weighted_ap(table, range, weights);
      const std::optional<double>& want = wanted.by_size[static_cast<std::size_t>(range)].ap;
      ASSERT_EQ(got.has_value(), want.has_value()) << "round " << round;
      if (got) {
        EXPECT_NEAR(*got, *want, 1e-9) << "round " << round;
      }
    }
    const std::vector<std::uint32_t> once(objects.size(), 1);
    EXPECT_EQ(weighted_ap(table, SizeRange::kAll, once), average_precision(table).by_size[0].ap);
  }
}

TEST(ResampleAp, DrawsTheSamePicturesForEveryTable) {
  std::mt19937 random(4);
  const auto [objects, detections] = random_world(random, 30);
  const MatchTable table = match_pictures(objects, detections, 3);
  const auto first = resample_ap(table, SizeRange::kAll, 50, 7);
  EXPECT_EQ(first, resample_ap(table, SizeRange::kAll, 50, 7));
  EXPECT_NE(first, resample_ap(table, SizeRange::kAll, 50, 8));
  EXPECT_EQ(first.size(), 50U);
}

TEST(Middle95, LiesBetweenTheTails) {
  std::vector<double> values;
  for (int i = 0; i <= 100; ++i) values.push_back(100 - i);
  const auto interval = middle_95(values);
  ASSERT_TRUE(interval);
  EXPECT_NEAR(interval->low, 2.5, 1e-9);
  EXPECT_NEAR(interval->high, 97.5, 1e-9);
  EXPECT_EQ(middle_95({1, 2, 3}), std::nullopt);
}

TEST(OperatingReport, CountsFromTheScoreOn) {
  const MatchTable table =
      match_pictures(Objects{{object(0, kHere), object(0, kThere), object(1, kTiny)}},
                     Found{{found(0, .5F, kHere), found(0, .4F, kThere), found(0, .6F, kTiny)}}, 2);
  const OperatingReport at_half = operating_report(table, .5);
  EXPECT_EQ(at_half.by_size[0].found, 1);
  EXPECT_EQ(at_half.by_size[0].wanted, 3);
  EXPECT_EQ(at_half.by_size[0].given, 2);
  EXPECT_THAT(at_half.by_size[0].precision(), testing::Optional(.5));
  EXPECT_EQ(operating_report(table, .4).by_size[0].found, 2);
  EXPECT_EQ(operating_report(table, .95).by_size[0].precision(), std::nullopt);
  ASSERT_EQ(at_half.classes.size(), 2U);
  EXPECT_EQ(at_half.classes[1].figures.found, 0);
}

TEST(BestScore, BalancesRecallAndPrecision) {
  const MatchTable table =
      match_pictures(Objects{{object(0, kHere), object(0, kThere)}},
                     Found{{found(0, .9F, kHere), found(0, .6F, kThere), found(0, .5F, kTiny),
                            found(0, .5F, {300, 300, 310, 310})}},
                     1);
  const auto best = best_score(table);
  ASSERT_TRUE(best);
  EXPECT_NEAR(best->score, .6, 1e-6);
  EXPECT_NEAR(best->f1, 1, 1e-9);
  EXPECT_EQ(best_score(match_pictures(Objects{{object(0, kHere)}}, Found{{}}, 1)), std::nullopt);
}

}  // namespace
}  // namespace framemill
