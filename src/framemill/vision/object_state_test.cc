#include "framemill/vision/object_state.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

constexpr Size kSize{320, 180};
constexpr Box kHome{100, 60, 160, 110};

/// 40..215, without period, smooth over a few pixels.
float texture(unsigned seed, float x, float y) {
  const auto s = static_cast<float>(seed);
  return 127 + 44 * std::sin(.31F * x + 1.7F * s + 2.1F * std::sin(.057F * y + s)) +
         44 * std::sin(.27F * y + 2.3F * s + 1.9F * std::sin(.043F * x + s));
}

Box moved(const Box& box, float dx, float dy) {
  return {box.x1 + dx, box.y1 + dy, box.x2 + dx, box.y2 + dy};
}

/// Textured things on a still, textured ground.
std::shared_ptr<const MotionFrame> frame_with(const std::vector<Box>& things) {
  auto bytes = std::make_shared<std::vector<std::uint8_t>>();
  for (int row = 0; row < kSize.height; ++row) {
    for (int column = 0; column < kSize.width; ++column) {
      const float x = static_cast<float>(column) + .5F;
      const float y = static_cast<float>(row) + .5F;
      float luma = texture(0, x, y);
      for (std::size_t i = 0; i < things.size(); ++i) {
        const Box& b = things[i];
        if (x < b.x1 || x >= b.x2 || y < b.y1 || y >= b.y2) continue;
        luma = texture(static_cast<unsigned>(i) + 5, x - b.x1, y - b.y1);
      }
      bytes->push_back(static_cast<std::uint8_t>(luma));
    }
  }
  Picture picture;
  picture.format = PixelFormat::kGray;
  picture.size = kSize;
  picture.planes[0] = {bytes->data(), kSize.width};
  picture.owner = bytes;
  return make_motion_frame(picture, nullptr);
}

Detection detection(Box box, float score = .9F, int class_id = 0) {
  return {.class_id = class_id, .score = score, .box = box};
}

/// The state of a camera that samples ten times a second.
struct Watched {
  explicit Watched(ObjectStateOptions options = {.motion = MotionMethod::kFlow}) : state(options) {}
  void advance(std::shared_ptr<const MotionFrame> frame) {
    state.advance(.1 * static_cast<double>(frames++), std::move(frame));
  }
  std::optional<Correction> correct(std::size_t frames_ago, std::vector<Detection> detections) {
    found = std::move(detections);
    return state.correct(frames_ago, found);
  }
  [[nodiscard]] const Detection& only() const {
    EXPECT_EQ(state.objects().size(), 1U);
    return state.objects().at(0);
  }

  ObjectState state;
  int frames = 0;
  std::vector<Detection> found;  ///< of the last correct(), with the ids it gave
};

constexpr ObjectStateOptions kForgetful{.motion = MotionMethod::kFlow,
                                        .are_scores_remembered = false};

void expect_near(const Box& got, const Box& want, float within) {
  EXPECT_NEAR(got.x1, want.x1, within);
  EXPECT_NEAR(got.y1, want.y1, within);
  EXPECT_NEAR(got.x2, want.x2, within);
  EXPECT_NEAR(got.y2, want.y2, within);
}

TEST(ObjectState, KnowsNothingBeforeTheModelHasRun) {
  Watched watched;
  watched.advance(frame_with({kHome}));
  watched.advance(frame_with({moved(kHome, 4, 0)}));
  EXPECT_FALSE(watched.state.has_key());
  EXPECT_TRUE(watched.state.objects().empty());
}

TEST(ObjectState, AModelThatFindsNothingIsAnAnswer) {
  Watched watched;
  watched.advance(frame_with({}));
  const auto correction = watched.correct(0, {});
  ASSERT_TRUE(correction);
  EXPECT_TRUE(correction->is_state_changed);
  EXPECT_TRUE(watched.state.has_key());
}

TEST(ObjectState, ObjectsAreCarriedWithTheirMotion) {
  Watched watched;
  watched.advance(frame_with({kHome}));
  watched.correct(0, {detection(kHome)});
  for (int i = 1; i <= 6; ++i) {
    const auto shift = static_cast<float>(i);
    watched.advance(frame_with({moved(kHome, 3 * shift, -2 * shift)}));
    expect_near(watched.only().box, moved(kHome, 3 * shift, -2 * shift), 1.5F);
    EXPECT_FLOAT_EQ(watched.only().score, .9F);
    EXPECT_EQ(watched.only().track, watched.found[0].track);
  }
}

TEST(ObjectState, WithoutMotionBoxesStayToTheBit) {
  const Box odd{99.7F, 60.123F, 160.9F, 111.45F};
  Watched watched;
  for (int i = 0; i < 12; ++i) {
    watched.advance(frame_with({kHome}));
    if (i == 0) watched.correct(0, {detection(odd)});
    EXPECT_EQ(watched.only().box, odd) << "frame " << i;
  }
  EXPECT_EQ(watched.state.doubt().drift, 0);
  EXPECT_EQ(watched.state.doubt().unexplained, 0);
}

TEST(ObjectState, ALateResultEndsWhereATimelyOneWouldHave) {  // property
  std::mt19937 rng(3);
  for (std::size_t late = 1; late < 8; ++late) {
    const float dx = std::uniform_real_distribution<float>(-4, 4)(rng);
    const float dy = std::uniform_real_distribution<float>(-2, 2)(rng);
    const Box second{200, 100, 240, 150};
    Watched timely;
    Watched tardy;
    const std::vector<Detection> found{detection(kHome), detection(second, .3F, 2)};
    for (std::size_t i = 0; i <= late; ++i) {
      const auto n = static_cast<float>(i);
      const auto frame = frame_with({moved(kHome, n * dx, n * dy), second});
      timely.advance(frame);
      tardy.advance(frame);
      if (i == 0) timely.correct(0, found);
    }
    const auto correction = tardy.correct(late, found);
    ASSERT_TRUE(correction);
    EXPECT_TRUE(correction->is_state_changed);
    EXPECT_EQ(tardy.state.objects(), timely.state.objects()) << late;
    EXPECT_EQ(tardy.found, timely.found);
    EXPECT_EQ(tardy.state.doubt().age, static_cast<std::int64_t>(late));
    EXPECT_DOUBLE_EQ(tardy.state.doubt().drift, timely.state.doubt().drift);
    EXPECT_DOUBLE_EQ(tardy.state.doubt().unexplained, timely.state.doubt().unexplained);
    EXPECT_DOUBLE_EQ(tardy.state.doubt().objects, timely.state.doubt().objects);
  }
}

TEST(ObjectState, ALateResultReplacesWhatWasCarriedFromAnOlderKeyFrame) {
  Watched watched(kForgetful);
  watched.advance(frame_with({kHome}));
  watched.correct(0, {detection(kHome), detection({10, 10, 40, 40}, .8F, 1)});
  for (int i = 1; i <= 4; ++i)
    watched.advance(frame_with({moved(kHome, 3 * static_cast<float>(i), 0)}));
  const auto correction = watched.correct(2, {detection(moved(kHome, 6, 0), .7F)});
  ASSERT_TRUE(correction);
  EXPECT_TRUE(correction->is_state_changed);
  EXPECT_EQ(correction->doubt.age, 2);
  EXPECT_EQ(correction->counts.found, 1);
  EXPECT_EQ(correction->counts.sure_given, 2) << "the second was carried there, and is not";
  EXPECT_EQ(correction->counts.sure_right, 1);
  EXPECT_EQ(watched.state.doubt().age, 2);
  expect_near(watched.only().box, moved(kHome, 12, 0), 1.5F);
  EXPECT_FLOAT_EQ(watched.only().score, .7F);
}

TEST(ObjectState, AResultOlderThanTheRingIsRefused) {
  for (const std::size_t ring : {1U, 3U, 16U}) {
    Watched watched({.motion = MotionMethod::kFlow, .ring_frames = ring});
    const auto still = frame_with({kHome});
    for (int i = 0; i < 20; ++i) watched.advance(still);
    EXPECT_FALSE(watched.correct(ring, {detection(kHome)})) << ring;
    EXPECT_FALSE(watched.state.has_key());
    EXPECT_FALSE(watched.correct(1'000'000, {detection(kHome)}));
    EXPECT_TRUE(watched.correct(ring - 1, {detection(kHome)})) << ring;
    EXPECT_EQ(watched.state.doubt().age, static_cast<std::int64_t>(ring - 1));
  }
}

TEST(ObjectState, TheRingReachesBackToTheLatestResult) {
  using namespace std::chrono_literals;
  for (const auto& [latest, rate_hz, frames] :
       {std::tuple{220ms, 10.0, 8U}, std::tuple{900ms, 10.0, 10U}, std::tuple{910ms, 10.0, 11U},
        std::tuple{500ms, 25.0, 14U}, std::tuple{500ms, 30.0, 16U}, std::tuple{800ms, 30.0, 16U},
        std::tuple{0ms, 60.0, 8U}, std::tuple{3'600'000ms, 60.0, 16U}}) {
    EXPECT_EQ(ring_frames_for(latest, rate_hz), frames) << latest.count() << " at " << rate_hz;
  }
}

TEST(ObjectState, AResultOlderThanTheKeyFrameOnlyTellsHowGoodTheAnswerWas) {
  Watched watched;
  for (int i = 0; i < 4; ++i) watched.advance(frame_with({kHome}));
  watched.correct(0, {detection(kHome)});
  watched.advance(frame_with({kHome}));
  const std::vector<Detection> before = watched.state.objects();
  const auto correction = watched.correct(2, {detection(kHome), detection({10, 10, 40, 40})});
  ASSERT_TRUE(correction);
  EXPECT_FALSE(correction->is_state_changed);
  EXPECT_EQ(correction->counts.wanted, 2);
  EXPECT_EQ(correction->counts.found, 0) << "nothing was known on that frame";
  EXPECT_EQ(watched.state.objects(), before);
  EXPECT_EQ(watched.state.doubt().age, 1);
}

TEST(ObjectState, ASceneStartForgetsAndNoLateResultReachesOverIt) {
  Watched watched;
  watched.advance(frame_with({kHome}));
  watched.correct(0, {detection(kHome)});
  const std::int64_t id = watched.found[0].track;
  watched.advance(frame_with({kHome}));
  watched.state.begin_scene();
  EXPECT_FALSE(watched.state.has_key());
  EXPECT_TRUE(watched.state.objects().empty());
  EXPECT_FALSE(watched.correct(0, {detection(kHome)})) << "no frame of the new scene yet";
  watched.advance(frame_with({kHome}));
  EXPECT_FALSE(watched.state.has_key());
  EXPECT_TRUE(watched.state.objects().empty());
  EXPECT_FALSE(watched.correct(1, {detection(kHome)}));
  ASSERT_TRUE(watched.correct(0, {detection(kHome)}));
  EXPECT_NE(watched.found[0].track, id) << "tracks end";
  EXPECT_EQ(watched.state.doubt().age, 0);
}

TEST(ObjectState, IdsStayOverCarriedFrames) {
  const Box other{40, 20, 80, 50};
  Watched watched;
  std::vector<std::int64_t> ids;
  for (int i = 0; i <= 24; ++i) {
    // Turns round after each eight: constant velocity alone would look in the wrong place.
    const int phase = i % 16;
    const float dx = 5 * static_cast<float>(phase < 8 ? phase : 16 - phase);
    const Box home = moved(kHome, dx, 0);
    watched.advance(frame_with({home, other}));
    if (i % 8 != 0) continue;
    watched.correct(0, {detection(home), detection(other)});
    if (ids.empty()) ids = {watched.found[0].track, watched.found[1].track};
    EXPECT_GT(watched.found[0].track, 0);
    EXPECT_EQ(watched.found[0].track, ids[0]) << "frame " << i;
    EXPECT_EQ(watched.found[1].track, ids[1]) << "frame " << i;
  }
}

TEST(ObjectState, AWaveringScoreIsRemembered) {
  Watched watched;
  watched.advance(frame_with({kHome}));
  watched.correct(0, {detection(kHome, .8F)});
  EXPECT_FLOAT_EQ(watched.only().score, .8F) << "nothing to remember yet";
  watched.advance(frame_with({kHome}));
  watched.correct(0, {detection(moved(kHome, 2, 1), .3F)});
  EXPECT_FLOAT_EQ(watched.only().score, .45F);
  EXPECT_FLOAT_EQ(watched.found[0].score, .3F) << "what the model said stays as it was";
  EXPECT_EQ(watched.only().track, watched.found[0].track);

  // Another class, or another place: another object. What is new is hardly sure yet.
  watched.advance(frame_with({kHome}));
  watched.correct(0, {detection({200, 10, 240, 40}, .8F), detection(kHome, .4F, 3),
                      detection({10, 10, 40, 40}, .55F), detection({10, 120, 40, 160}, .05F)});
  ASSERT_EQ(watched.state.objects().size(), 4U);
  EXPECT_FLOAT_EQ(watched.state.objects()[0].score, .85F * .8F);
  EXPECT_FLOAT_EQ(watched.state.objects()[1].score, .5F) << "of .55";
  EXPECT_FLOAT_EQ(watched.state.objects()[2].score, .4F);
  EXPECT_FLOAT_EQ(watched.state.objects()[3].score, .05F);
  EXPECT_FLOAT_EQ(watched.found[0].score, .8F);
  EXPECT_FLOAT_EQ(watched.found[3].score, .05F);

  Watched forgetful(kForgetful);
  forgetful.advance(frame_with({kHome}));
  forgetful.correct(0, {detection(kHome, .8F)});
  forgetful.advance(frame_with({kHome}));
  forgetful.correct(0, {detection(kHome, .3F)});
  EXPECT_FLOAT_EQ(forgetful.only().score, .3F);
}

TEST(ObjectState, OnlyASureLookMakesAnObjectSure) {
  const std::tuple<const char*, float, float, float> cases[] = {
      {"a weak look at a sure object leaves it in view, but not sure", .95F, .4F, .5F},
      {"memory that stays below is memory", .6F, .2F, .32F},
      {"a look just sure keeps it sure", .9F, .51F, .627F},
      {"a sure look at a weak object counts for most of it", .2F, .8F, .62F},
      {"and not for all", .1F, .6F, .45F},
  };
  for (const auto& [name, before, now, want] : cases) {
    Watched watched;
    watched.advance(frame_with({kHome}));
    watched.correct(0, {detection(kHome, before)});
    watched.advance(frame_with({kHome}));
    watched.correct(0, {detection(kHome, now)});
    EXPECT_FLOAT_EQ(watched.only().score, want) << name;
    EXPECT_FLOAT_EQ(watched.found[0].score, now) << name;
  }
}

TEST(ObjectState, EachOldScoreIsRememberedOnce) {
  Watched watched;
  watched.advance(frame_with({kHome}));
  watched.correct(0, {detection(kHome, .9F)});
  watched.advance(frame_with({kHome}));
  // Two new boxes over one old one: the nearer takes its score over.
  watched.correct(0, {detection(moved(kHome, 8, 0), .45F), detection(moved(kHome, 1, 0), .3F)});
  std::vector<float> scores;
  for (const Detection& object : watched.state.objects()) scores.push_back(object.score);
  std::ranges::sort(scores);
  ASSERT_EQ(scores.size(), 2U);
  EXPECT_FLOAT_EQ(scores[0], .45F);
  EXPECT_FLOAT_EQ(scores[1], .48F);
}

TEST(ObjectState, ObjectsStandBestScoreFirstAfterACorrection) {
  const Box other{200, 100, 240, 150};
  Watched watched;
  watched.advance(frame_with({kHome, other}));
  watched.correct(0, {detection(other, .95F), detection(kHome, .2F)});
  watched.advance(frame_with({kHome, other}));
  watched.correct(0, {detection(kHome, .8F), detection(other, .7F)});
  EXPECT_TRUE(std::ranges::is_sorted(watched.state.objects(), std::greater<>{}, &Detection::score));
  EXPECT_EQ(watched.state.objects()[0].box, other);
}

TEST(ObjectState, FramesThatCouldNotBeDecodedLeaveObjectsWhereTheyAre) {
  Watched watched;
  watched.advance(frame_with({kHome}));
  watched.correct(0, {detection(kHome)});
  watched.advance(nullptr);
  watched.advance(nullptr);
  EXPECT_EQ(watched.only().box, kHome);
  EXPECT_EQ(watched.state.doubt().age, 2);
  watched.advance(frame_with({moved(kHome, 4, 2)}));
  expect_near(watched.only().box, moved(kHome, 4, 2), 1.5F);
  EXPECT_EQ(watched.state.doubt().age, 3);
  // A result of a frame before the gap still arrives.
  ASSERT_TRUE(watched.correct(3, {detection(kHome)}));
  expect_near(watched.only().box, moved(kHome, 4, 2), 1.5F);
}

TEST(ObjectState, AStreamThatBeginsWithFailedFramesWorks) {
  Watched watched;
  watched.advance(nullptr);
  ASSERT_TRUE(watched.correct(0, {detection(kHome)}));
  watched.advance(frame_with({kHome}));
  watched.advance(frame_with({moved(kHome, 3, 0)}));
  expect_near(watched.only().box, moved(kHome, 3, 0), 1.5F);
}

TEST(ObjectState, ObjectsThatLeaveThePictureAreLetGoOf) {
  Box box{270, 60, 316, 110};
  Watched watched;
  watched.advance(frame_with({box}));
  watched.correct(0, {detection(box), detection({20, 20, 60, 60}, .6F)});
  for (int i = 0; i < 15; ++i) {
    box = moved(box, 5, 0);
    watched.advance(frame_with({box}));
    for (const Detection& object : watched.state.objects()) {
      EXPECT_GT(area(object.box), 0);
      EXPECT_EQ(object.box, clip(object.box, kSize));
    }
  }
  EXPECT_LE(watched.state.doubt().objects, 2);
  EXPECT_TRUE(std::ranges::any_of(watched.state.objects(), [](const Detection& object) {
    return object.box == Box{20, 20, 60, 60};
  })) << "the still one stays";
}

TEST(ObjectState, DoubtGrowsUntilTheModelRuns) {
  Watched watched;
  watched.advance(frame_with({kHome}));
  watched.correct(0, {detection(kHome), detection({10, 10, 40, 40}, .15F)});
  const double objects = watched.state.doubt().objects;
  EXPECT_GT(objects, 1) << "a candidate counts a little";
  EXPECT_LT(objects, 2);
  ObjectDoubt last = watched.state.doubt();
  for (int i = 1; i <= 5; ++i) {
    watched.advance(frame_with({moved(kHome, 6 * static_cast<float>(i), 0)}));
    const ObjectDoubt& doubt = watched.state.doubt();
    EXPECT_EQ(doubt.age, last.age + 1);
    EXPECT_GE(doubt.drift, last.drift);
    EXPECT_GE(doubt.unexplained, last.unexplained);
    last = doubt;
  }
  EXPECT_GT(last.drift, 0);
  const auto correction = watched.correct(0, {detection(moved(kHome, 30, 0))});
  ASSERT_TRUE(correction);
  EXPECT_EQ(correction->doubt.age, 5);
  EXPECT_DOUBLE_EQ(correction->doubt.drift, last.drift);
  EXPECT_EQ(watched.state.doubt().age, 0);
  EXPECT_EQ(watched.state.doubt().drift, 0);
  EXPECT_EQ(watched.state.doubt().unexplained, 0);
}

TEST(ObjectState, AnythingMayComeInAnyOrder) {  // property: bounded, finite, the same again
  std::vector<std::shared_ptr<const MotionFrame>> frames;
  for (int i = 0; i < 6; ++i) {
    const auto shift = static_cast<float>(i);
    frames.push_back(frame_with({moved(kHome, 7 * shift, 3 * shift), {20, 20, 60, 60}}));
  }
  const auto play = [&](unsigned seed) {
    std::mt19937 rng(seed);
    Watched watched({.motion = MotionMethod::kAuto, .ring_frames = 1 + rng() % 16});
    std::vector<Detection> seen;
    for (int step = 0; step < 200; ++step) {
      const auto dice = rng() % 10;
      if (dice == 0 && rng() % 4 == 0) watched.state.begin_scene();
      if (dice < 6) watched.advance(dice == 1 ? nullptr : frames[rng() % frames.size()]);
      if (dice >= 6) {
        std::vector<Detection> found;
        for (auto n = rng() % 4; n > 0; --n) {
          const auto x = static_cast<float>(rng() % 280), y = static_cast<float>(rng() % 140);
          found.push_back(detection({x, y, x + 10 + static_cast<float>(rng() % 30), y + 40},
                                    static_cast<float>(rng() % 100) / 100, rng() % 2 == 0));
        }
        watched.correct(rng() % 17, found);
      }
      const ObjectDoubt& doubt = watched.state.doubt();
      EXPECT_TRUE(std::isfinite(doubt.drift) && doubt.drift >= 0);
      EXPECT_TRUE(std::isfinite(doubt.unexplained) && doubt.unexplained >= 0);
      EXPECT_LE(doubt.drift, doubt.objects + 1e-9);
      EXPECT_GE(doubt.age, 0);
      for (const Detection& object : watched.state.objects()) {
        EXPECT_GT(area(object.box), 0);
        EXPECT_EQ(object.box, clip(object.box, kSize));
        EXPECT_TRUE(object.score >= 0 && object.score <= 1);
        seen.push_back(object);
      }
    }
    return seen;
  };
  for (unsigned seed = 1; seed <= 10; ++seed) EXPECT_EQ(play(seed), play(seed)) << "seed " << seed;
}

}  // namespace
}  // namespace framemill
