#include "framemill/video/motion_composer.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

using Kind = MotionCell::Kind;
using Vectors = std::vector<AVMotionVector>;
using Field = std::shared_ptr<const MotionField>;

constexpr Size kPicture{160, 96};  // 20 x 12 cells of 8 px
constexpr Duration kInterval = std::chrono::milliseconds(40);

struct Motion {
  double dx = 0, dy = 0;
};

enum class List : std::int8_t { kPast = -1, kFuture = 1 };

/// A block of `side` at (x, y) whose content moved by `motion` from the frame of `list` to here.
AVMotionVector block(int x, int y, int side, Motion motion, List list = List::kPast) {
  AVMotionVector vector{};
  constexpr int kQuarter = 4;
  vector.source = static_cast<std::int32_t>(list);
  vector.w = vector.h = static_cast<std::uint8_t>(side);
  vector.dst_x = static_cast<std::int16_t>(x + side / 2);
  vector.dst_y = static_cast<std::int16_t>(y + side / 2);
  vector.motion_x = static_cast<int>(std::lround(-motion.dx * kQuarter));
  vector.motion_y = static_cast<int>(std::lround(-motion.dy * kQuarter));
  vector.motion_scale = kQuarter;
  vector.src_x = static_cast<std::int16_t>(vector.dst_x + vector.motion_x / kQuarter);
  vector.src_y = static_cast<std::int16_t>(vector.dst_y + vector.motion_y / kQuarter);
  return vector;
}

/// Blocks of `side` all over the picture; `motion_at(x, y)` is asked for their centres, in pixels.
Vectors blocks(const std::function<Motion(double, double)>& motion_at, int side = 8,
               List list = List::kPast, Size picture = kPicture) {
  Vectors vectors;
  for (int y = 0; y < picture.height; y += side)
    for (int x = 0; x < picture.width; x += side)
      vectors.push_back(block(x, y, side, motion_at(x + side / 2.0, y + side / 2.0), list));
  return vectors;
}
Vectors uniform(Motion motion, int side = 16, List list = List::kPast) {
  return blocks([motion](double, double) { return motion; }, side, list);
}

/// Feeds a composer with frames given in display order: `shown` counts frames, `coded` is the place
/// in decode order.
class Stream {
 public:
  struct Frame {
    std::int64_t shown = 0, coded = 0;
    bool is_sampled = true;
    bool is_referenced = true;
  };
  explicit Stream(Size picture = kPicture) : picture_(picture) {}
  /// `pending`: places in decode order of frames that have been demuxed and are shown later.
  Field add(Frame frame, const Vectors& vectors, std::vector<std::int64_t> pending = {},
            std::optional<std::int64_t> next_reference_shown = std::nullopt) {
    CodedMotion coded{.packet_id = frame.coded,
                      .pts = frame.shown * kInterval,
                      .picture_size = picture_,
                      .vectors = vectors,
                      .may_be_referenced = frame.is_referenced,
                      .is_sampled = frame.is_sampled};
    if (!pending.empty()) coded.oldest_pending_id = std::ranges::min(pending);
    if (next_reference_shown) coded.next_reference_pts = *next_reference_shown * kInterval;
    return composer_.add(coded);
  }
  /// A P chain without reordering.
  Field next(const Vectors& vectors, bool is_sampled = true) {
    const std::int64_t n = count_++;
    return add({.shown = n, .coded = n, .is_sampled = is_sampled}, vectors);
  }
  MotionComposer& composer() { return composer_; }

 private:
  Size picture_;
  MotionComposer composer_;
  std::int64_t count_ = 0;
};

void expect_all(const Field& field, Motion want, Kind kind, double within = 1e-4) {
  ASSERT_TRUE(field);
  for (const MotionCell& cell : field->cells) {
    ASSERT_EQ(cell.kind, kind);
    ASSERT_NEAR(cell.dx, want.dx, within);
    ASSERT_NEAR(cell.dy, want.dy, within);
  }
}

TEST(MotionComposer, CellsCoverThePicture) {
  struct Row {
    Size picture;
    int cell_px, columns, rows;
  };
  for (const Row& row :
       {Row{{640, 360}, 8, 80, 45}, Row{{704, 576}, 8, 88, 72}, Row{{720, 480}, 16, 45, 30},
        Row{{1920, 1080}, 16, 120, 68}, Row{{157, 91}, 8, 20, 12}, Row{{16, 16}, 8, 2, 2}}) {
    Stream stream(row.picture);
    EXPECT_FALSE(stream.next({}));
    const Field field =
        stream.next(blocks([](double, double) { return Motion{}; }, 16, List::kPast, row.picture));
    ASSERT_TRUE(field);
    EXPECT_EQ(field->picture_size, row.picture);
    EXPECT_EQ(field->cell_px, row.cell_px);
    EXPECT_EQ(field->columns, row.columns);
    EXPECT_EQ(field->rows, row.rows);
    ASSERT_EQ(field->cells.size(), static_cast<std::size_t>(row.columns * row.rows));
    expect_all(field, {}, Kind::kStill);
  }
}

TEST(MotionComposer, OneStepIsWhatTheVectorsSayToTheQuarterPixel) {
  Stream stream;
  EXPECT_FALSE(stream.next({}));
  expect_all(stream.next(uniform({2.25, -1.5})), {2.25, -1.5}, Kind::kMoved);
  expect_all(stream.next(uniform({0.25, 0}, 8)), {0.25, 0}, Kind::kMoved);
}

TEST(MotionComposer, StepsAddUpOverFramesThatAreNotSampled) {
  Stream stream;
  stream.next({});
  EXPECT_FALSE(stream.next(uniform({2, 0}), false));
  EXPECT_FALSE(stream.next(uniform({1.5, 1}), false));
  expect_all(stream.next(uniform({0.25, 1})), {3.75, 2}, Kind::kMoved);
  // Back to where it was: moved, since not all steps were still.
  stream.next(uniform({1, 0}), false);
  expect_all(stream.next(uniform({-1, 0})), {0, 0}, Kind::kMoved);
  stream.next(uniform({0, 0}), false);
  expect_all(stream.next(uniform({0, 0})), {0, 0}, Kind::kStill);
}

TEST(MotionComposer, AMovingObjectIsFollowedOverStillGround) {
  // An object of 32 x 32 px moves 5 px a frame to the right, from x = 20 on.
  Stream stream;
  stream.next({});
  const auto step = [](int n) {
    return blocks([n](double x, double y) {
      const double left = 20 + 5.0 * n;
      const bool is_object = x >= left && x < left + 32 && y >= 24 && y < 56;
      return is_object ? Motion{5, 0} : Motion{};
    });
  };
  for (int n = 1; n < 6; ++n) stream.next(step(n), false);
  const Field field = stream.next(step(6));
  ASSERT_TRUE(field);
  // The object's blocks tile to a cell's error at its edges; inside and outside are exact.
  for (int row = 4; row < 6; ++row)
    for (int column = 8; column < 9; ++column) EXPECT_NEAR(field->at(column, row).dx, 30, 1e-4);
  for (int row = 0; row < 2; ++row)
    for (int column = 0; column < 20; ++column)
      EXPECT_EQ(field->at(column, row).kind, Kind::kStill);
}

TEST(MotionComposer, AZoomGrowsOverThreeSteps) {
  // Scales by 1.02 a frame about the middle; three steps: content at c was at c / 1.02^3.
  constexpr double kScale = 1.02, kMiddleX = 80, kMiddleY = 48;
  const Vectors zoom = blocks([](double x, double y) {
    return Motion{(x - kMiddleX) * (1 - 1 / kScale), (y - kMiddleY) * (1 - 1 / kScale)};
  });
  Stream stream;
  stream.next({});
  stream.next(zoom, false);
  stream.next(zoom, false);
  const Field field = stream.next(zoom);
  ASSERT_TRUE(field);
  const double whole = 1 - 1 / (kScale * kScale * kScale);
  for (int row = 0; row < field->rows; ++row)
    for (int column = 0; column < field->columns; ++column) {
      const MotionCell& cell = field->at(column, row);
      ASSERT_NEAR(cell.dx, (8 * column + 4 - kMiddleX) * whole, 0.5);
      ASSERT_NEAR(cell.dy, (8 * row + 4 - kMiddleY) * whole, 0.5);
    }
}

TEST(MotionComposer, IntraBlocksAreUnknownAndSoIsWhatComesFromThem) {
  Vectors holed;
  for (const AVMotionVector& vector : uniform({8, 0}))
    if (vector.dst_x != 40 || vector.dst_y != 40) holed.push_back(vector);  // cells 4, 5 x 4, 5
  Stream stream;
  stream.next({});
  Field field = stream.next(holed, false);
  field = stream.next(uniform({8, 0}));
  ASSERT_TRUE(field);
  for (int row = 0; row < field->rows; ++row)
    for (int column = 0; column < field->columns; ++column) {
      const bool is_hole = (column == 5 || column == 6) && (row == 4 || row == 5);
      EXPECT_EQ(field->at(column, row).kind, is_hole ? Kind::kUnknown : Kind::kMoved)
          << column << " " << row;
    }
  // The next field starts afresh.
  expect_all(stream.next(uniform({8, 0})), {8, 0}, Kind::kMoved);
}

TEST(MotionComposer, AnIntraFrameBreaksOneStepOnly) {
  Stream stream;
  stream.next({});
  stream.next(uniform({1, 0}), false);
  EXPECT_FALSE(stream.next({}, false));
  EXPECT_FALSE(stream.next(uniform({1, 0}), false));
  EXPECT_FALSE(stream.next(uniform({1, 0})));  // sampled, but the chain broke since
  stream.next(uniform({1, 0}), false);
  expect_all(stream.next(uniform({2, 0})), {3, 0}, Kind::kMoved);
  EXPECT_FALSE(stream.next({}));  // a sampled intra frame
  expect_all(stream.next(uniform({2, 0})), {2, 0}, Kind::kMoved);
}

TEST(MotionComposer, ResetAndNewSizesBreakTheChain) {
  Stream stream;
  stream.next({});
  stream.composer().reset();
  EXPECT_FALSE(stream.next(uniform({1, 0})));
  expect_all(stream.next(uniform({1, 0})), {1, 0}, Kind::kMoved);
  const Vectors vectors = uniform({1, 0});
  EXPECT_FALSE(stream.composer().add({.packet_id = 50,
                                      .pts = 50 * kInterval,
                                      .picture_size = {kPicture.width, 80},
                                      .vectors = vectors,
                                      .is_sampled = true}));
}

TEST(MotionComposer, SourcesOutsideThePictureTakeTheBordersMotion) {
  Stream stream;
  stream.next({});
  stream.next(uniform({-30, 20}), false);
  expect_all(stream.next(uniform({-100, 60.5})), {-130, 80.5}, Kind::kMoved);
  // However far, and however broken.
  AVMotionVector wild = block(0, 0, 16, {0, 0});
  wild.motion_x = INT32_MAX;
  wild.motion_y = INT32_MIN;
  AVMotionVector unscaled = block(16, 0, 16, {0, 0});
  unscaled.motion_scale = 0;
  AVMotionVector outside = block(16, 16, 16, {0, 0});
  outside.dst_x = 32000;
  AVMotionVector before = outside;
  before.dst_x = before.dst_y = -500;
  stream.next({wild, unscaled, outside, before}, false);
  const Field field = stream.next(uniform({1, 1}));
  ASSERT_TRUE(field);
  for (const MotionCell& cell : field->cells) EXPECT_TRUE(std::isfinite(cell.dx + cell.dy));
}

TEST(MotionComposer, LargeCellsTakeTheMotionMostOfThemHas) {
  Stream stream({720, 480});
  stream.next({});
  const Field field =
      stream.next({block(0, 0, 8, {4, 0}), block(8, 0, 8, {40, 9}), block(0, 8, 8, {4.25, 0}),
                   block(8, 8, 8, {4, 0.25}), block(16, 0, 16, {7, 7})});
  ASSERT_TRUE(field);
  EXPECT_NEAR(field->at(0, 0).dx, 4, 0.3);
  EXPECT_NEAR(field->at(0, 0).dy, 0, 0.3);
  EXPECT_FLOAT_EQ(field->at(1, 0).dx, 7);
  EXPECT_EQ(field->at(2, 0).kind, Kind::kUnknown);
}

// Shown 0 1 2 3 4, content moving 2 px a frame; decoded I0 P4 B2 B1 B3 (a pyramid where B2 is
// referenced). Each frame's vectors lead to the frame it refers to.
struct PyramidFrame {
  Stream::Frame frame;
  Vectors vectors;
  std::vector<std::int64_t> pending;
  std::optional<std::int64_t> next_reference;
};
std::vector<PyramidFrame> pyramid(bool is_middle_referenced, double speed = 2) {
  const double middle_step = is_middle_referenced ? speed : 3 * speed;
  return {
      {{.shown = 0, .coded = 0}, {}, {1, 2, 3}, {}},
      {{.shown = 1, .coded = 3, .is_referenced = false}, uniform({speed, 0}), {1, 2, 4}, {}},
      {{.shown = 2, .coded = 2, .is_referenced = is_middle_referenced},
       uniform({2 * speed, 0}),
       {1, 4},
       {}},
      {{.shown = 3, .coded = 4, .is_referenced = false}, uniform({middle_step, 0}), {1}, {}},
      {{.shown = 4, .coded = 1}, uniform({4 * speed, 0}), {}, {}},
      {{.shown = 5, .coded = 5}, uniform({speed, 0}), {}, {}},
  };
}

TEST(MotionComposer, BFramesInAnyChoiceOfSamples) {
  for (const bool is_middle_referenced : {false, true}) {
    for (unsigned chosen = 0; chosen < 64; ++chosen) {
      Stream stream;
      std::int64_t last = -1;
      for (PyramidFrame& f : pyramid(is_middle_referenced)) {
        f.frame.is_sampled = (chosen >> f.frame.shown & 1) != 0;
        // Frames that nothing needs are not even decoded.
        if (!f.frame.is_sampled && !f.frame.is_referenced) continue;
        const Field field = stream.add(f.frame, f.vectors, f.pending, f.next_reference);
        if (!f.frame.is_sampled) {
          EXPECT_FALSE(field);
          continue;
        }
        if (last >= 0) {
          SCOPED_TRACE(testing::Message() << "samples " << chosen << ", frame " << f.frame.shown);
          expect_all(field, {2.0 * static_cast<double>(f.frame.shown - last), 0}, Kind::kMoved);
        }
        last = f.frame.shown;
      }
    }
  }
}

TEST(MotionComposer, AFutureVectorAloneMeansConstantVelocity) {
  // Shown 0 1 2 3: B frames 1 and 2 between the anchors 0 and 3, 3 px a frame.
  for (const std::int64_t shown : {1, 2}) {
    Stream stream;
    stream.add({.shown = 0, .coded = 0}, {}, {1, 2});
    const double to_future = -3.0 * static_cast<double>(3 - shown);
    const Field field = stream.add({.shown = shown, .coded = 2, .is_referenced = false},
                                   uniform({to_future, 0}, 16, List::kFuture), {1}, 3);
    expect_all(field, {3.0 * static_cast<double>(shown), 0}, Kind::kMoved);
    expect_all(stream.add({.shown = 3, .coded = 1}, uniform({9, 0})),
               {3.0 * static_cast<double>(3 - shown), 0}, Kind::kMoved);
  }
}

TEST(MotionComposer, AFutureVectorWithoutItsFrameIsUnknown) {
  Stream stream;
  stream.add({.shown = 0, .coded = 0}, {}, {1, 2});
  EXPECT_FALSE(stream.add({.shown = 1, .coded = 2, .is_referenced = false},
                          uniform({-3, 0}, 16, List::kFuture), {1}));
}

TEST(MotionComposer, ThePastVectorWinsUnlessItIsTheZeroOfAnUnusedList) {
  Stream stream;
  stream.add({.shown = 0, .coded = 0}, {}, {1, 2});
  Vectors vectors = {block(0, 0, 16, {2, 0}),  block(0, 0, 16, {-5, 0}, List::kFuture),
                     block(16, 0, 16, {0, 0}), block(16, 0, 16, {-4, 0}, List::kFuture),
                     block(32, 0, 16, {0, 0}), block(32, 0, 16, {0, 0}, List::kFuture)};
  const Field field = stream.add({.shown = 1, .coded = 2, .is_referenced = false}, vectors, {1}, 2);
  ASSERT_TRUE(field);
  EXPECT_FLOAT_EQ(field->at(0, 0).dx, 2);
  EXPECT_FLOAT_EQ(field->at(2, 0).dx, 4);
  EXPECT_EQ(field->at(4, 0).kind, Kind::kStill);
}

TEST(MotionComposer, FollowsAnObjectFromASampledBFrameOverItsAnchor) {
  // The object moves 6 px a frame. Sampled: B1 and P3, whose vectors both lead to P0.
  const auto object = [](double left, double step) {
    return blocks([left, step](double x, double y) {
      const bool is_object = x >= left && x < left + 48 && y >= 24 && y < 72;
      return is_object ? Motion{step, 0} : Motion{};
    });
  };
  Stream stream;
  stream.add({.shown = 0, .coded = 0}, {}, {1, 2});
  ASSERT_TRUE(
      stream.add({.shown = 1, .coded = 2, .is_referenced = false}, object(38, 6), {1, 3}, 3));
  const Field field = stream.add({.shown = 3, .coded = 1}, object(50, 18));
  ASSERT_TRUE(field);
  for (int row = 4; row < 8; ++row)
    for (int column = 7; column < 11; ++column)
      EXPECT_NEAR(field->at(column, row).dx, 12, 1e-4) << column << " " << row;
  EXPECT_EQ(field->at(1, 1).kind, Kind::kStill);
  EXPECT_EQ(field->at(19, 11).kind, Kind::kStill);
}

TEST(MotionComposer, TemporalLayersThatNothingRefersToCarryNoChain) {
  // P0, p1, P2, p3, P4: the odd ones are not referenced; P2 refers to P0.
  for (const bool is_odd_sampled : {false, true}) {
    Stream stream;
    stream.add({.shown = 0, .coded = 0}, {});
    for (std::int64_t n = 1; n < 9; ++n) {
      const bool is_odd = n % 2 != 0;
      if (is_odd && !is_odd_sampled) continue;
      const Field field = stream.add({.shown = n, .coded = n, .is_referenced = !is_odd},
                                     uniform({is_odd ? 3.0 : 6.0, 0}));
      expect_all(field, {is_odd_sampled ? 3.0 : 6.0, 0}, Kind::kMoved);
    }
  }
}

TEST(MotionComposer, AnyStreamGivesFiniteFieldsOfTheRightSize) {  // property
  std::mt19937 rng(11);
  const auto below = [&rng](int n) { return static_cast<int>(rng() % static_cast<unsigned>(n)); };
  for (int round = 0; round < 200; ++round) {
    Stream stream;
    for (std::int64_t shown = 0; shown < 30; ++shown) {
      Vectors vectors;
      for (int n = below(60); n > 0; --n)
        vectors.push_back(block(16 * below(12), 16 * below(8), below(2) == 0 ? 8 : 16,
                                {below(400) / 4.0 - 50, below(400) / 4.0 - 50},
                                below(2) == 0 ? List::kPast : List::kFuture));
      std::vector<std::int64_t> pending;
      for (int n = below(3); n > 0; --n) pending.push_back(shown + below(9) - 4);
      std::optional<std::int64_t> next_reference;
      if (below(2) == 0) next_reference = shown + below(4);
      const Field field = stream.add({.shown = shown,
                                      .coded = shown + below(9) - 4,
                                      .is_sampled = below(2) == 0,
                                      .is_referenced = below(2) == 0},
                                     vectors, pending, next_reference);
      if (!field) continue;
      ASSERT_EQ(field->cells.size(), 240U);
      for (const MotionCell& cell : field->cells) {
        ASSERT_TRUE(std::isfinite(cell.dx) && std::isfinite(cell.dy));
        if (cell.kind != Kind::kMoved) {
          ASSERT_EQ(cell.dx, 0);
          ASSERT_EQ(cell.dy, 0);
        }
      }
    }
  }
}

}  // namespace
}  // namespace framemill
