#include "framemill/video/frame_clock.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = FrameClock::Kind;

constexpr Duration kInterval = milliseconds(40);

TimePoint at(Duration since) { return TimePoint(hours(5) + since); }

TEST(FrameClock, PassesGoodTimeStampsOn) {
  FrameClock clock(Kind::kFile, kInterval);
  for (const int i : {0, 3, 1, 2, 6, 4, 5}) {
    const auto place = clock.place({milliseconds(40 * i), milliseconds(40 * i - 80)}, at({}), {});
    EXPECT_EQ(place.pts, milliseconds(40 * i));
    EXPECT_TRUE(place.is_order_known);
    EXPECT_FALSE(place.is_jump);
  }
}

TEST(FrameClock, TimeGoesOnOverJumps) {
  for (const Duration jump :
       {Duration(-hours(1)), Duration(-milliseconds(500)), Duration(hours(1))}) {
    FrameClock clock(Kind::kFile, kInterval);
    std::optional<Duration> floor;
    Duration offset{0};
    for (int i = 0; i < 100; ++i) {
      if (i == 50) offset = jump;
      const Duration stamp = hours(2) + kInterval * i + offset;
      const auto place = clock.place({stamp, stamp}, at({}), floor);
      EXPECT_EQ(place.pts, hours(2) + kInterval * i) << i;
      EXPECT_EQ(place.decode_time, place.pts) << i;
      EXPECT_EQ(place.is_jump, i == 50) << i;
      floor = place.pts;
    }
  }
}

TEST(FrameClock, AGapThatALiveStreamReallyHadIsNoJump) {
  FrameClock clock(Kind::kLive, kInterval);
  (void)clock.place({seconds(1), {}}, at(seconds(0)), {});
  const auto place = clock.place({seconds(61), {}}, at(seconds(60)), seconds(1));
  EXPECT_FALSE(place.is_jump);
  EXPECT_EQ(place.pts, seconds(61));
}

TEST(FrameClock, MissingTimeStamps) {
  FrameClock file(Kind::kFile, kInterval);
  FrameClock live(Kind::kLive, kInterval);
  for (int i = 0; i < 10; ++i) {
    const auto counted = file.place({}, at({}), {});
    EXPECT_EQ(counted.pts, kInterval * i);
    EXPECT_EQ(counted.is_order_known, i == 0);
    const auto arrived = live.place({}, at(milliseconds(100 * i)), {});
    EXPECT_EQ(arrived.pts, milliseconds(100 * i));
  }
}

TEST(FrameClock, LiveTimeStampsAtTheWrongSpeedGiveWayToArrival) {
  for (const double speed : {0.0, 0.1, 10.0}) {
    FrameClock clock(Kind::kLive, kInterval);
    FrameClock::Place place;
    Duration before{0};
    for (int i = 0; i < 500; ++i) {  // 20 s
      const Duration arrival = kInterval * i;
      const Duration stamp = from_seconds(to_seconds(arrival) * speed);
      place = clock.place({stamp, {}}, at(arrival), before);
      EXPECT_GE(place.pts, before);
      before = place.pts;
    }
    EXPECT_TRUE(clock.is_by_arrival()) << speed;
    EXPECT_FALSE(place.is_order_known);
    const auto next = clock.place({seconds(1), {}}, at(kInterval * 500), before);
    EXPECT_EQ(next.pts - place.pts, kInterval) << speed;
  }
}

TEST(FrameClock, ConstantTimeStampsAreNoJumps) {
  for (const Kind kind : {Kind::kFile, Kind::kLive}) {
    FrameClock clock(kind, kInterval);
    std::optional<Duration> floor;
    int jumps = 0;
    FrameClock::Place place;
    for (int i = 0; i < 500; ++i) {
      place = clock.place({seconds(3), seconds(3)}, at(kInterval * i), floor);
      jumps += place.is_jump;
      floor = place.pts;
    }
    EXPECT_LE(jumps, 1);
    EXPECT_NEAR(to_seconds(place.pts), 3 + 20, 1);
  }
}

TEST(FrameClock, ARoundFollowsTheLast) {
  FrameClock clock(Kind::kFile, {});
  std::optional<Duration> floor;
  std::vector<Duration> times;
  for (int round = 0; round < 3; ++round) {
    if (round > 0) clock.begin_round();
    for (int i = 0; i < 25; ++i) {
      const Duration stamp = seconds(7) + milliseconds(50 * i);
      const auto place = clock.place({stamp, stamp - milliseconds(100)}, at({}), floor);
      EXPECT_FALSE(place.is_jump);
      EXPECT_EQ(place.pts - place.decode_time, milliseconds(100)) << round << " " << i;
      floor = place.pts;
      times.push_back(place.pts);
    }
  }
  for (std::size_t i = 1; i < times.size(); ++i)
    EXPECT_EQ(times[i] - times[i - 1], milliseconds(50));
}

TEST(FrameClock, NothingStallsOrFloods) {  // property: whatever a stream sends
  std::mt19937_64 rng(5);
  for (const Kind kind : {Kind::kFile, Kind::kLive}) {
    for (int round = 0; round < 200; ++round) {
      FrameClock clock(kind, kInterval);
      std::optional<Duration> floor;
      Duration before = Duration::min(), stamp{0};
      for (int i = 0; i < 200; ++i) {
        stamp +=
            rng() % 5 == 0
                ? Duration(static_cast<std::int64_t>(rng() % 4'000'000'000'000) - 2'000'000'000'000)
                : kInterval;
        PacketTimes times{stamp, stamp};
        if (rng() % 7 == 0) times.pts.reset();
        if (rng() % 3 == 0) times.dts.reset();
        const auto place = clock.place(times, at(kInterval * i), floor);
        if (floor) {
          EXPECT_GT(place.pts, *floor);
          EXPECT_LE(place.pts - *floor, seconds(12));
        }
        EXPECT_GE(place.decode_time, before);
        before = place.decode_time;
        floor = std::max(floor.value_or(place.pts), place.pts);
      }
    }
  }
}

}  // namespace
}  // namespace framemill
