#include "framemill/engine/evaluation/consistency.h"

#include <algorithm>
#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

using Found = std::vector<std::vector<Detection>>;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;

Box square(float at, float side) { return {at, at, at + side, at + side}; }

/// 30 pictures with a large car (0), a small car and a person (1) each.
Found scene() {
  Found pictures(30);
  for (auto& each : pictures)
    each = {{.class_id = 0, .score = .9F, .box = square(10, 200)},
            {.class_id = 0, .score = .7F, .box = square(300, 20)},
            {.class_id = 1, .score = .8F, .box = square(400, 60)}};
  return pictures;
}

std::vector<std::vector<LabelledObject>> labels_of(const Found& pictures) {
  std::vector<std::vector<LabelledObject>> objects;
  for (const auto& each : pictures) {
    objects.emplace_back();
    for (const Detection& one : each)
      objects.back().push_back(
          {.class_id = one.class_id, .box = one.box, .area = static_cast<double>(area(one.box))});
  }
  return objects;
}

ApLoss loss_between(const Found& reference, const Found& given) {
  const auto objects = labels_of(scene());
  const MatchTable theirs = match_pictures(objects, reference, 2);
  const MatchTable ours = match_pictures(objects, given, 2);
  return compare_ap(average_precision(theirs), resample_quality(theirs, 100, 1),
                    average_precision(ours), resample_quality(ours, 100, 1));
}

std::vector<Violation> judge(const Found& reference, const Found& given) {
  return find_violations("clean", compare_detections(reference, given, 2),
                         loss_between(reference, given), {"car", "person"}, {});
}

auto is(const char* what) { return Field("what", &Violation::what, what); }

TEST(Consistency, OfAModelWithItselfIsWhole) {
  const AgreementReport report = compare_detections(scene(), scene(), 2);
  EXPECT_EQ(report.agreement(), 1);
  EXPECT_EQ(report.pairs, 90);
  EXPECT_EQ(report.score_shift_abs, 0);
  EXPECT_EQ(report.mean_iou, 1);
  EXPECT_EQ(report.by_size[1].counts.wanted, 30);
  EXPECT_EQ(report.by_class[1].counts.sure_given, 30);
  EXPECT_THAT(judge(scene(), scene()), testing::IsEmpty());
  const ApLoss loss = loss_between(scene(), scene());
  ASSERT_TRUE(loss.by_size[0]);
  EXPECT_EQ(loss.by_size[0]->value, 0);
  EXPECT_EQ(loss.by_size[0]->interval, (Interval{0, 0}));  // paired: the same draws on both sides
}

TEST(Consistency, CatchesSmallObjectsThatAreDropped) {
  Found given = scene();
  for (auto& each : given) each.erase(each.begin() + 1);
  const std::vector<Violation> violations = judge(scene(), given);
  EXPECT_THAT(violations, ElementsAre(is("ap_loss"), is("small_ap_loss"), is("agreement"),
                                      is("size_agreement"), is("class_agreement")));
  EXPECT_THAT(violations[3].words(), HasSubstr("small objects"));
  EXPECT_THAT(violations[4].words(), HasSubstr("\"car\""));
  EXPECT_NEAR(violations[1].value, 1, 1e-6);
}

TEST(Consistency, CatchesAClassWhoseScoresAreScaled) {
  // Average precision does not see it: the order of the scores is the same.
  Found given = scene();
  for (auto& each : given) each[2].score *= .3F;
  EXPECT_THAT(judge(scene(), given),
              ElementsAre(is("agreement"), is("size_agreement"), is("class_agreement")));
  const AgreementReport report = compare_detections(scene(), given, 2);
  EXPECT_EQ(report.by_class[1].agreement(), 0);
  EXPECT_EQ(report.by_class[0].agreement(), 1);
}

TEST(Consistency, CatchesDetectionsThatTheReferenceDoesNotHave) {
  Found given = scene();
  for (auto& each : given) each.push_back({.class_id = 1, .score = .9F, .box = square(600, 40)});
  const AgreementReport report = compare_detections(scene(), given, 2);
  EXPECT_EQ(report.counts.recall(), 1);
  EXPECT_EQ(report.counts.sure_precision(), .75);
  EXPECT_NEAR(report.agreement(), 2 * .75 / 1.75, 1e-12);
  EXPECT_THAT(judge(scene(), given), testing::Contains(is("agreement")));
}

TEST(Consistency, MeasuresShifts) {
  Found given = scene();
  for (auto& each : given) {
    each[0].score -= .1F;
    each[2].score += .1F;
    each[2].box.x1 += 6;  // 54 of 60
  }
  const AgreementReport report = compare_detections(scene(), given, 2);
  EXPECT_NEAR(report.score_shift, 0, 1e-6);
  EXPECT_NEAR(report.score_shift_abs, .2 / 3, 1e-6);
  EXPECT_NEAR(report.mean_iou, (1 + 1 + .9) / 3, 1e-6);
  EXPECT_NEAR(report.low_iou, .9, 1e-6);
}

TEST(Consistency, APairIsOfTheReferencesSize) {
  Found reference(5), given(5);
  for (std::size_t i = 0; i < 5; ++i) {
    reference[i] = {{.class_id = 0, .score = .9F, .box = square(10, 32)}};  // small, and medium
    given[i] = {{.class_id = 0, .score = .9F, .box = square(10, 33)},
                {.class_id = 0, .score = .8F, .box = square(200, 33)}};  // alone: its own size
  }
  reference[0][0].box = square(10, 31);
  const AgreementReport report = compare_detections(reference, given, 1);
  EXPECT_EQ(report.by_size[1].counts.wanted, 5);
  EXPECT_EQ(report.by_size[1].counts.sure_given, 5);
  EXPECT_EQ(report.by_size[1].agreement(), 1);
  EXPECT_EQ(report.by_size[2].counts.wanted, 4);
  EXPECT_EQ(report.by_size[2].counts.sure_given, 4 + 5);
  EXPECT_EQ(report.by_size[2].counts.sure_right, 4);
}

TEST(Consistency, JudgesNoPartOnAHandfulOfDetections) {
  Found reference = scene(), given = scene();
  for (std::size_t i = 19; i < 30; ++i) {  // 19 persons left
    reference[i].erase(reference[i].begin() + 2);
    given[i].erase(given[i].begin() + 2);
  }
  for (std::size_t i = 0; i < 19; ++i) given[i][2].score = .01F;
  const AgreementReport report = compare_detections(reference, given, 2);
  const auto violations = find_violations("clean", report, std::nullopt, {"car", "person"}, {});
  EXPECT_THAT(violations, ElementsAre(is("agreement")));
}

/// One sure detection in each of `pictures`, and pictures without one up to twelve.
Found sparse(std::size_t pictures) {
  Found found(std::max<std::size_t>(pictures, 12));
  for (std::size_t i = 0; i < pictures; ++i)
    found[i] = {{.class_id = 0, .score = .9F, .box = square(10, 200)}};
  return found;
}

std::vector<Violation> judge_without(std::size_t missed, std::size_t detections) {
  Found given = sparse(detections);
  for (std::size_t i = 0; i < missed; ++i) given[i].clear();
  return find_violations("low_light", compare_detections(sparse(detections), given, 1),
                         std::nullopt, {"car"}, {});
}

TEST(Consistency, AHandfulOfDetectionsDecidesOnlyBeyondChance) {
  EXPECT_THAT(judge_without(1, 5), testing::IsEmpty());
  EXPECT_THAT(judge_without(3, 5), ElementsAre(is("agreement")));
  EXPECT_THAT(judge_without(1, 1), testing::IsEmpty());
  EXPECT_THAT(judge_without(2, 2), ElementsAre(is("agreement")));
  EXPECT_THAT(judge_without(2, 25), ElementsAre(is("agreement")));  // enough: the figure decides
}

TEST(Consistency, ChanceIsThatOfABinomialDistribution) {
  EXPECT_FALSE(is_beyond_chance(0, 1, .97));  // 3 %
  EXPECT_TRUE(is_beyond_chance(0, 2, .97));
  EXPECT_FALSE(is_beyond_chance(8, 10, .97));  // 3.5 %
  EXPECT_TRUE(is_beyond_chance(7, 10, .97));
  EXPECT_FALSE(is_beyond_chance(9'680, 10'000, .97));
  EXPECT_TRUE(is_beyond_chance(9'600, 10'000, .97));
  EXPECT_FALSE(is_beyond_chance(5, 5, 1));
  EXPECT_TRUE(is_beyond_chance(4, 5, 1));
  EXPECT_FALSE(is_beyond_chance(0, 5, 0));
  EXPECT_FALSE(is_beyond_chance(0, 0, .97));
}

TEST(Consistency, AnAgreementHasAnIntervalOverPictures) {
  Found given = sparse(30);
  for (std::size_t i = 0; i < 6; ++i) given[i].clear();
  const AgreementReport report = compare_detections(sparse(30), given, 1);
  const auto interval = resample_agreement(report.by_picture, 500, 1);
  ASSERT_TRUE(interval);
  EXPECT_LT(interval->low, report.agreement() - .03);
  EXPECT_GT(interval->high, report.agreement() + .03);
  EXPECT_LE(interval->high, 1);
  EXPECT_EQ(interval, resample_agreement(report.by_picture, 500, 1));
  EXPECT_EQ(resample_agreement(std::span(report.by_picture).first(9), 500, 1), std::nullopt);
  const AgreementReport same = compare_detections(sparse(30), sparse(30), 1);
  EXPECT_EQ(resample_agreement(same.by_picture, 100, 1), (Interval{1, 1}));
  // Pictures with nothing on them say nothing.
  EXPECT_EQ(resample_agreement(std::vector<AgreementCounts>(20), 100, 1), std::nullopt);
}

TEST(Consistency, AHandfulOfObjectsDecidesOnlyByTheWholeInterval) {
  const auto judge_loss = [](std::int64_t objects, std::optional<Interval> interval) {
    ApLoss loss;
    loss.by_size[1] = Loss{.value = .3, .interval = interval};
    loss.objects[1] = objects;
    return find_violations("clean", AgreementReport{}, loss, {}, {});
  };
  EXPECT_THAT(judge_loss(3, Interval{0, .9}), testing::IsEmpty());
  EXPECT_THAT(judge_loss(3, std::nullopt), testing::IsEmpty());
  EXPECT_THAT(judge_loss(3, Interval{.05, .9}), ElementsAre(is("small_ap_loss")));
  EXPECT_THAT(judge_loss(20, Interval{0, .9}), ElementsAre(is("small_ap_loss")));
  EXPECT_EQ(loss_between(scene(), scene()).objects, (std::array<std::int64_t, 4>{90, 30, 30, 30}));
}

TEST(Violation, SaysWhenMorePicturesMayTell) {
  Violation violation{
      .what = "ap_loss", .value = .0143, .limit = .01, .interval = Interval{-.002, .031}};
  EXPECT_THAT(violation.words(), HasSubstr("AP loss 0.0143 [-0.0020, 0.0310] is above 0.0100"));
  EXPECT_THAT(violation.words(), HasSubstr("more pictures"));
  violation.interval = Interval{.011, .031};
  EXPECT_THAT(violation.words(), testing::Not(HasSubstr("more pictures")));
  violation = {.what = "agreement", .value = .96, .limit = .97, .interval = Interval{.94, .98}};
  EXPECT_THAT(violation.words(), HasSubstr("agreement 0.9600 [0.9400, 0.9800] is below 0.9700; the "
                                           "interval reaches above the limit"));
  violation.interval = Interval{.94, .965};
  EXPECT_THAT(violation.words(), testing::Not(HasSubstr("more pictures")));
}

}  // namespace
}  // namespace framemill
