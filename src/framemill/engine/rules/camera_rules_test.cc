#include "framemill/engine/rules/camera_rules.h"

#include <optional>
#include <random>
#include <set>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;

constexpr Size kPicture{100, 100};
const std::vector<std::string> kLabels{"person", "car", "crack"};

/// An object whose bottom centre is at (x, y) of 100.
Detection object(double x, double y, std::int64_t track = 1, int class_id = 0, float score = .9F) {
  return {.class_id = class_id,
          .score = score,
          .box = {static_cast<float>(x - 5), static_cast<float>(y - 20), static_cast<float>(x + 5),
                  static_cast<float>(y)},
          .track = track};
}

/// A camera with rules, and its time.
class World {
 public:
  explicit World(
      std::vector<RuleSettings> rules, std::vector<bool> is_raised = {},
      std::function<int(WallTime)> minute = [](WallTime) { return 0; })
      : rules_(*CameraRules::create(
            {.rules = std::move(rules),
             .zones = {{"right", {{.5, 0}, {1, 0}, {1, 1}, {.5, 1}}}},
             .lines = {{"gate", {.5, 1}, {.5, 0}}},  // upwards: its right side is the picture's
             .labels = kLabels,
             .is_raised = std::move(is_raised),
             .minute_of_week = std::move(minute)})) {}

  /// An answer `after` the last one. '+' raised, '-' cleared, by rule number: "+0 -1".
  std::string answer(Duration after, std::vector<Detection> detections,
                     Origin origin = Origin::kInferred) {
    now_ += after;
    Answer answer;
    answer.stamp.seq = seq_++;
    answer.stamp.captured_at = WallTime(now_);
    answer.picture_size = kPicture;
    answer.origin = origin;
    answer.detections = std::move(detections);
    return show(rules_.take(answer, TimePoint(now_)));
  }
  std::string repeat() {
    --seq_;
    return answer(0ms, {object(75, 50)});
  }
  std::string note(Duration after, const CameraCondition& condition) {
    now_ += after;
    return show(rules_.note(condition, TimePoint(now_), WallTime(now_)));
  }
  std::string message;  ///< of the last change
  CameraRules& rules() { return rules_; }

 private:
  std::string show(const std::vector<RuleChange>& changes) {
    std::string text;
    for (const RuleChange& change : changes) {
      text += (text.empty() ? "" : " ") + std::string(change.is_raised ? "+" : "-") +
              std::to_string(change.rule);
      message = change.message;
    }
    return text;
  }
  CameraRules rules_;
  Duration now_ = 100s;
  std::int64_t seq_ = 0;
};

RuleSettings rule(RuleKind kind) {
  RuleSettings settings;
  settings.id = "r";
  settings.kind = kind;
  settings.clear_after = 1s;
  return settings;
}
RuleSettings in_zone(RuleKind kind) {
  RuleSettings settings = rule(kind);
  settings.zone = "right";
  return settings;
}

TEST(CameraRules, PresenceIsRaisedAtOnceAndClearedLater) {
  World world({in_zone(RuleKind::kPresence)});
  EXPECT_EQ(world.answer(0s, {object(25, 50)}), "");
  EXPECT_EQ(world.answer(100ms, {object(75, 50)}), "+0");
  EXPECT_EQ(world.message, "1 person in zone right");
  EXPECT_EQ(world.answer(100ms, {object(75, 50)}), "") << "raised once";
  EXPECT_EQ(world.answer(100ms, {}), "");
  EXPECT_EQ(world.answer(900ms, {}), "");
  EXPECT_EQ(world.answer(100ms, {}), "-0");
}

TEST(CameraRules, AShortReturnKeepsTheAlarm) {
  World world({in_zone(RuleKind::kPresence)});
  EXPECT_EQ(world.answer(0s, {object(75, 50)}), "+0");
  EXPECT_EQ(world.answer(900ms, {}), "");
  EXPECT_EQ(world.answer(200ms, {object(75, 50)}), "");
  EXPECT_EQ(world.answer(900ms, {}), "") << "the time starts anew";
}

TEST(CameraRules, DebounceNeedsTheWholeTimeWithoutAGap) {
  RuleSettings settings = in_zone(RuleKind::kPresence);
  settings.hold_for = 500ms;
  World world({settings});
  EXPECT_EQ(world.answer(0s, {object(75, 50)}), "");
  EXPECT_EQ(world.answer(400ms, {object(75, 50)}), "");
  EXPECT_EQ(world.answer(50ms, {}), "");
  EXPECT_EQ(world.answer(50ms, {object(75, 50)}), "");
  EXPECT_EQ(world.answer(400ms, {object(75, 50)}), "");
  EXPECT_EQ(world.answer(100ms, {object(75, 50)}), "+0");
}

TEST(CameraRules, AnswersWithoutDetectionsChangeNothing) {
  RuleSettings absence = in_zone(RuleKind::kAbsence);
  absence.hold_for = 1s;
  World world({in_zone(RuleKind::kPresence), absence});
  EXPECT_EQ(world.answer(0s, {object(75, 50)}), "+0");
  for (int i = 0; i < 100; ++i) EXPECT_EQ(world.answer(100ms, {}, Origin::kNone), "");
  EXPECT_EQ(world.answer(100ms, {object(75, 50)}), "");
  EXPECT_EQ(world.answer(100ms, {}, Origin::kPropagated), "");
  EXPECT_EQ(world.answer(1s, {}, Origin::kReused), "-0 +1") << "carried boxes count";
}

TEST(CameraRules, APauseCountsLittle) {
  RuleSettings absence = in_zone(RuleKind::kAbsence);
  absence.hold_for = 10s;
  World world({absence});
  EXPECT_EQ(world.answer(0s, {}), "");
  EXPECT_EQ(world.answer(1h, {}), "") << "nobody watched that hour";
  EXPECT_EQ(world.answer(1s, {}), "");
  for (int i = 0; i < 6; ++i) EXPECT_EQ(world.answer(1s, {}), "");
  EXPECT_EQ(world.answer(1s, {}), "+0");
  EXPECT_EQ(world.message, "no object in zone right");
}

TEST(CameraRules, AFrameIsSeenOnce) {
  RuleSettings crossing = rule(RuleKind::kRate);
  crossing.zone = "right";
  crossing.over = 1000;
  World world({crossing});
  world.answer(0s, {object(75, 50)});
  EXPECT_EQ(world.rules().figure(0).events, 1);
  world.repeat();
  EXPECT_EQ(world.rules().figure(0).events, 1);
}

TEST(CameraRules, CountHasHysteresis) {
  RuleSettings over = in_zone(RuleKind::kCount);
  over.over = 2;
  over.hysteresis = 1;
  over.clear_after = 0s;
  RuleSettings under = in_zone(RuleKind::kCount);
  under.under = 1;
  under.clear_after = 0s;
  World world({over, under});
  const auto people = [](int n) {
    std::vector<Detection> list;
    for (int i = 0; i < n; ++i) list.push_back(object(60 + i * 5, 50, i + 1));
    return list;
  };
  EXPECT_EQ(world.answer(0s, people(2)), "");
  EXPECT_EQ(world.answer(100ms, people(3)), "+0");
  EXPECT_EQ(world.message, "3 persons in zone right, more than 2");
  EXPECT_EQ(world.answer(100ms, people(2)), "") << "within the hysteresis";
  EXPECT_EQ(world.answer(100ms, people(1)), "-0");
  EXPECT_EQ(world.answer(100ms, people(0)), "+1");
  EXPECT_EQ(world.message, "no object in zone right, fewer than 1");
  EXPECT_EQ(world.answer(100ms, people(1)), "-1");
}

TEST(CameraRules, DwellIsOfOneTrack) {
  RuleSettings settings = in_zone(RuleKind::kDwell);
  settings.hold_for = 5s;
  World world({settings});
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(world.answer(100ms, {object(75, 50, i / 10)}), "") << "never the same for 5 s";
  for (int i = 0; i < 50; ++i) EXPECT_EQ(world.answer(100ms, {object(75, 50, 77)}), "") << i;
  EXPECT_EQ(world.answer(100ms, {object(75, 50, 77)}, Origin::kPropagated), "+0");
  EXPECT_EQ(world.message, "person stays in zone right for 5 s");
}

TEST(CameraRules, DwellBeginsWithTheZoneAndSurvivesABlink) {
  RuleSettings settings = in_zone(RuleKind::kDwell);
  settings.hold_for = 3s;
  World world({settings});
  for (int i = 0; i < 50; ++i) EXPECT_EQ(world.answer(100ms, {object(25, 50)}), "") << "outside";
  for (int i = 0; i < 20; ++i) EXPECT_EQ(world.answer(100ms, {object(75, 50)}), "");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(world.answer(100ms, {}), "");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(world.answer(100ms, {object(75, 50)}), "") << i;
  EXPECT_EQ(world.answer(100ms, {object(75, 50)}), "+0");
}

TEST(CameraRules, CrossingHasADirection) {
  // Looking along the line (upwards), forward is from the left of the picture to the right.
  const std::tuple<LineDirection, double, double, bool> cases[] = {
      {LineDirection::kBoth, 40, 60, true},      {LineDirection::kBoth, 60, 40, true},
      {LineDirection::kForward, 40, 60, true},   {LineDirection::kForward, 60, 40, false},
      {LineDirection::kBackward, 40, 60, false}, {LineDirection::kBackward, 60, 40, true},
      {LineDirection::kBoth, 40, 45, false},
  };
  for (const auto& [direction, from, to, want] : cases) {
    RuleSettings settings = rule(RuleKind::kLineCrossing);
    settings.line = "gate";
    settings.direction = direction;
    World world({settings});
    EXPECT_EQ(world.answer(0s, {object(from, 50)}), "");
    EXPECT_EQ(world.answer(100ms, {object(50, 50)}), "") << "on the line is not across";
    EXPECT_EQ(world.answer(100ms, {object(to, 50)}), want ? "+0" : "") << from << " to " << to;
  }
}

TEST(CameraRules, TurningBackOnTheLineIsNoCrossing) {
  RuleSettings settings = rule(RuleKind::kLineCrossing);
  settings.line = "gate";
  World world({settings});
  world.answer(0s, {object(40, 50)});
  world.answer(100ms, {object(50, 50)});
  EXPECT_EQ(world.answer(100ms, {object(40, 50)}), "");
  EXPECT_EQ(world.answer(100ms, {object(60, 50, 2)}), "") << "another object";
  EXPECT_EQ(world.rules().figure(0).events, 0);
}

TEST(CameraRules, CrossingsAreCountedEach) {
  RuleSettings settings = rule(RuleKind::kLineCrossing);
  settings.line = "gate";
  World world({settings});
  world.answer(0s, {object(40, 50, 1), object(40, 80, 2), object(40, 20, -1)});
  EXPECT_EQ(world.answer(100ms, {object(60, 50, 1), object(60, 80, 2), object(60, 20, -1)}), "+0");
  EXPECT_EQ(world.rules().figure(0).events, 2);
  EXPECT_EQ(world.message, "line gate crossed by 2 at once");
}

TEST(CameraRules, DefectNeedsNOfM) {
  RuleSettings settings = rule(RuleKind::kDefect);
  settings.classes = {"crack"};
  settings.score = .5;
  settings.frames = 3;
  settings.of = 5;
  settings.clear_after = 0s;
  World world({settings});
  const std::vector<Detection> crack{object(50, 50, -1, 2, .6F)};
  const std::vector<Detection> unsure{object(50, 50, -1, 2, .4F)};
  const std::vector<Detection> person{object(50, 50, -1, 0, .9F)};
  EXPECT_EQ(world.answer(0s, crack), "");
  EXPECT_EQ(world.answer(100ms, unsure), "");
  EXPECT_EQ(world.answer(100ms, crack), "");
  EXPECT_EQ(world.answer(100ms, person), "");
  EXPECT_EQ(world.answer(100ms, crack), "+0") << "3 of the last 5";
  EXPECT_EQ(world.message, "1 crack in 3 of the last 5 answers");
  EXPECT_EQ(world.answer(100ms, {}), "-0") << "the first has left the five";
}

TEST(CameraRules, RateCountsArrivals) {
  RuleSettings over = in_zone(RuleKind::kRate);
  over.over = 3;
  over.hysteresis = 0;
  RuleSettings under = in_zone(RuleKind::kRate);
  under.under = 3;
  under.hysteresis = 0;
  World world({over, under});
  EXPECT_EQ(world.answer(0s, {object(75, 50, 1), object(75, 50, 2), object(75, 50, 3)}), "");
  EXPECT_EQ(world.answer(1s, {object(75, 50, 1)}), "") << "the same one again";
  EXPECT_EQ(world.answer(1s, {object(75, 50, 4)}), "+0");
  for (int i = 0; i < 57; ++i) EXPECT_EQ(world.answer(1s, {}), "") << i;
  EXPECT_EQ(world.answer(1s, {}), "+1") << "a window without enough of them";
  EXPECT_EQ(world.answer(1s, {}), "-0");
}

TEST(CameraRules, ConditionRules) {
  RuleSettings down = rule(RuleKind::kCameraDown);
  down.hold_for = 10s;
  RuleSettings fidelity = rule(RuleKind::kFidelity);
  fidelity.hold_for = 0s;
  World world({down, rule(RuleKind::kCameraFrozen), fidelity});
  EXPECT_EQ(world.note(0s, {.is_down = true, .is_frozen = false}), "");
  EXPECT_EQ(world.note(5s, {.is_down = true}), "");
  EXPECT_EQ(world.note(5s, {.is_down = true}), "+0");
  EXPECT_EQ(world.note(1s, {}), "") << "unknown changes nothing";
  EXPECT_EQ(world.note(1s, {.is_down = false, .is_frozen = true}), "+1");
  EXPECT_EQ(world.note(1s, {.is_down = false, .is_frozen = true}), "-0");
  EXPECT_EQ(world.note(1s, {.fidelity = .94}), "+2");
  EXPECT_EQ(world.note(1s, {.fidelity = .955}), "") << "hysteresis .01";
  EXPECT_EQ(world.note(1s, {.fidelity = .96}), "");
  EXPECT_EQ(world.note(1s, {.fidelity = .96}), "-2");
  EXPECT_EQ(world.answer(1s, {}), "");
}

TEST(CameraRules, DeviceBusyForAMinute) {
  RuleSettings busy = rule(RuleKind::kDeviceBusy);
  World world({busy});
  EXPECT_EQ(world.note(0s, {.device_busy = .95}), "");
  EXPECT_EQ(world.note(59s, {.device_busy = .87}), "") << "still busy by hysteresis";
  EXPECT_EQ(world.note(1s, {.device_busy = .91}), "+0");
  EXPECT_EQ(world.message, "a device is 91 % in use, more than 90 %");
}

TEST(CameraRules, ARaisedAlarmOfTheRunBeforeIsNotRaisedAgain) {
  World world({in_zone(RuleKind::kPresence)}, {true});
  EXPECT_EQ(world.answer(0s, {object(75, 50)}), "");
  EXPECT_EQ(world.answer(100ms, {}), "");
  EXPECT_EQ(world.answer(1s, {}), "-0");
}

TEST(CameraRules, DwellOfTheRunBeforeIsClearedWhenTheObjectGoes) {
  RuleSettings dwell = in_zone(RuleKind::kDwell);
  dwell.hold_for = 120s;
  World world({dwell}, {true});
  EXPECT_EQ(world.answer(0s, {}), "") << "not seen in the very first answer";
  for (int i = 0; i < 50; ++i) ASSERT_EQ(world.answer(100ms, {object(75, 50)}), "") << i;
  EXPECT_EQ(world.answer(100ms, {object(25, 50)}), "");
  EXPECT_EQ(world.answer(1s, {object(25, 50)}), "-0");
  EXPECT_EQ(world.answer(1s, {object(75, 50)}), "") << "the next stay begins anew";
}

TEST(CameraRules, DwellOfTheRunBeforeIsClearedWhereNobodyStays) {
  RuleSettings dwell = in_zone(RuleKind::kDwell);
  dwell.hold_for = 120s;
  World world({dwell}, {true});
  EXPECT_EQ(world.answer(0s, {}), "");
  EXPECT_EQ(world.answer(1s, {}), "");
  EXPECT_EQ(world.answer(100ms, {object(75, 50)}), "") << "came later: it has not dwelt";
  EXPECT_EQ(world.answer(1s, {object(75, 50)}), "-0");
}

TEST(CameraRules, CountOfTheRunBeforeKeepsItsHysteresis) {
  RuleSettings count = in_zone(RuleKind::kCount);
  count.over = 2;
  count.hysteresis = 1;
  World world({count}, {true});
  const std::vector<Detection> two{object(75, 50, 1), object(85, 50, 2)};
  EXPECT_EQ(world.answer(0s, two), "");
  EXPECT_EQ(world.answer(2s, two), "") << "gone at 1 only";
  EXPECT_EQ(world.answer(1s, {object(75, 50)}), "");
  EXPECT_EQ(world.answer(1s, {object(75, 50)}), "-0");
}

TEST(CameraRules, RateOfTheRunBeforeHoldsUntilAWindowIsSeen) {
  RuleSettings few = in_zone(RuleKind::kRate), many = few;
  few.window = many.window = 10s;
  few.under = 12;
  many.over = 12;
  World quiet({few, many}, {true, true});
  EXPECT_EQ(quiet.answer(0s, {}), "");
  for (int i = 1; i < 11; ++i) ASSERT_EQ(quiet.answer(1s, {}), "") << i;
  EXPECT_EQ(quiet.answer(1s, {}), "-1") << "too many no more; still too few";
  World busy({few, many}, {true, true});
  std::string changes;
  for (int i = 0; i < 30; ++i) changes += busy.answer(1s, {object(75, 50, i)});
  EXPECT_EQ(changes, "-0") << "enough have come before the window is over; still too many";
}

TEST(CameraRules, DefectOfTheRunBeforeHoldsUntilEnoughAnswersWereSeen) {
  RuleSettings defect = in_zone(RuleKind::kDefect);
  defect.frames = 2;
  defect.of = 10;
  defect.clear_after = 0s;
  World world({defect}, {true});
  for (int i = 0; i < 8; ++i) ASSERT_EQ(world.answer(100ms, {}), "") << i;
  EXPECT_EQ(world.answer(100ms, {}), "-0");
}

TEST(CameraRules, OutsideOfTheScheduleNothingHolds) {
  RuleSettings settings = in_zone(RuleKind::kPresence);
  settings.schedule = {"mon 06:00-22:00"};
  int minute = 5 * 60;
  World world({settings}, {}, [&](WallTime) { return minute; });
  EXPECT_EQ(world.answer(0s, {object(75, 50)}), "");
  minute = 6 * 60;
  EXPECT_EQ(world.answer(100ms, {object(75, 50)}), "+0");
  minute = 22 * 60;
  EXPECT_EQ(world.answer(100ms, {object(75, 50)}), "");
  EXPECT_EQ(world.answer(1s, {object(75, 50)}), "-0");
}

TEST(CameraRules, ARuleOfAnUnknownClassIsRefused) {
  RuleSettings settings = rule(RuleKind::kPresence);
  settings.classes = {"dragon"};
  const Result<CameraRules> rules = CameraRules::create({.rules = {settings}, .labels = kLabels});
  ASSERT_FALSE(rules);
  EXPECT_THAT(rules.error().message(), testing::HasSubstr("person, car, crack"));
}

TEST(CameraRules, RaisesAndClearsAlternateWhateverHappens) {  // property
  std::mt19937 rng(7);
  const auto below = [&](int n) { return static_cast<int>(rng() % static_cast<unsigned>(n)); };
  for (int round = 0; round < 200; ++round) {
    std::vector<RuleSettings> rules{in_zone(RuleKind::kPresence),  in_zone(RuleKind::kAbsence),
                                    in_zone(RuleKind::kCount),     in_zone(RuleKind::kDwell),
                                    rule(RuleKind::kLineCrossing), rule(RuleKind::kDefect),
                                    rule(RuleKind::kRate)};
    rules[2].over = below(3);
    rules[4].line = "gate";
    rules[6].over = below(30);
    for (RuleSettings& one : rules) {
      if (*one.kind != RuleKind::kLineCrossing) one.hold_for = from_seconds(below(30) * .1);
      one.clear_after = from_seconds(below(30) * .1);
    }
    World world(rules);
    std::set<std::string> raised;
    for (int i = 0; i < 300; ++i) {
      std::vector<Detection> detections;
      for (int n = below(4); n > 0; --n)
        detections.push_back(object(10 + below(80), 20 + below(80), below(4) - 1, below(3)));
      const std::string changes =
          world.answer(from_seconds(below(20) * .1), detections, static_cast<Origin>(below(4)));
      for (std::size_t at = 0; at < changes.size(); at += 3) {
        const std::string name = changes.substr(at + 1, 1);
        if (changes[at] == '+')
          EXPECT_TRUE(raised.insert(name).second) << "raised twice: " << name;
        else
          EXPECT_EQ(raised.erase(name), 1U) << "cleared without a raise: " << name;
      }
    }
  }
}

TEST(Area, AnchorsAndBorders) {
  const Box box{10, 20, 30, 60};
  EXPECT_EQ(anchor_point(box, BoxAnchor::kBottom, kPicture), (RelativePoint{.2, .6}));
  EXPECT_EQ(anchor_point(box, BoxAnchor::kCenter, kPicture), (RelativePoint{.2, .4}));
  EXPECT_EQ(anchor_point(box, BoxAnchor::kTop, kPicture), (RelativePoint{.2, .2}));
  const std::vector<RelativePoint> notch{{0, 0}, {1, 0}, {1, 1}, {.5, .5}, {0, 1}};
  EXPECT_TRUE(is_in_zone({.5, .25}, notch));
  EXPECT_FALSE(is_in_zone({.5, .75}, notch)) << "in the notch";
  EXPECT_TRUE(is_in_zone({.5, .5}, notch)) << "on a corner";
  EXPECT_TRUE(is_in_zone({0, .5}, notch)) << "on the border";
  EXPECT_FALSE(is_in_zone({1.01, .5}, notch));
}

}  // namespace
}  // namespace framemill
