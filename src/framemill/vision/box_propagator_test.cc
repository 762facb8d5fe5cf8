#include "framemill/vision/box_propagator.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

/// Smooth noise without period, 40..215: something to hold on to everywhere.
class Texture {
 public:
  explicit Texture(unsigned seed) : lattice_(kSide * kSide) {
    std::minstd_rand random(seed);
    for (float& value : lattice_) value = static_cast<float>(random() % 1000) / 1000.0F;
  }
  [[nodiscard]] float at(float x, float y) const {
    return 40 + 175 * (0.65F * smooth(x / 11, y / 11) + 0.35F * smooth(x / 4 + 31, y / 4 + 17));
  }

 private:
  static constexpr int kSide = 64;
  [[nodiscard]] float value(int x, int y) const {
    return lattice_[static_cast<std::size_t>((y & (kSide - 1)) * kSide + (x & (kSide - 1)))];
  }
  [[nodiscard]] float smooth(float x, float y) const {
    const float column = std::floor(x);
    const float row = std::floor(y);
    const float u = ease(x - column);
    const float v = ease(y - row);
    const int i = static_cast<int>(column);
    const int j = static_cast<int>(row);
    return (1 - v) * ((1 - u) * value(i, j) + u * value(i + 1, j)) +
           v * ((1 - u) * value(i, j + 1) + u * value(i + 1, j + 1));
  }
  static float ease(float t) { return t * t * (3 - 2 * t); }
  std::vector<float> lattice_;
};

/// A grey picture drawn from a function of the place, each pixel the mean of four places in it.
Picture draw(Size size, const std::function<float(float, float)>& luma) {
  auto bytes = std::make_shared<std::vector<std::uint8_t>>();
  bytes->reserve(static_cast<std::size_t>(size.width * size.height));
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) {
      float sum = 0;
      for (const float u : {0.25F, 0.75F}) {
        for (const float v : {0.25F, 0.75F})
          sum += luma(static_cast<float>(x) + u, static_cast<float>(y) + v);
      }
      bytes->push_back(static_cast<std::uint8_t>(std::clamp(sum / 4 + 0.5F, 0.0F, 255.0F)));
    }
  }
  Picture picture;
  picture.format = PixelFormat::kGray;
  picture.size = size;
  picture.planes[0] = {bytes->data(), size.width};
  picture.owner = bytes;
  return picture;
}

std::shared_ptr<const MotionFrame> frame_of(Size size,
                                            const std::function<float(float, float)>& luma,
                                            std::shared_ptr<const MotionField> vectors = nullptr) {
  return make_motion_frame(draw(size, luma), std::move(vectors));
}

constexpr Size kSize{640, 360};

/// An object of its own texture in front of a still background.
struct Scene {
  Box object;
  bool is_background_textured = true;
  Texture background{1};
  Texture skin{2};

  /// The object shifted and grown round its centre.
  [[nodiscard]] Box at(float dx, float dy, float scale) const {
    const float x = 0.5F * (object.x1 + object.x2) + dx;
    const float y = 0.5F * (object.y1 + object.y2) + dy;
    const float w = 0.5F * (object.x2 - object.x1) * scale;
    const float h = 0.5F * (object.y2 - object.y1) * scale;
    return {x - w, y - h, x + w, y + h};
  }
  [[nodiscard]] std::shared_ptr<const MotionFrame> frame(
      float dx, float dy, float scale, std::shared_ptr<const MotionField> vectors = nullptr) const {
    const Box box = at(dx, dy, scale);
    return frame_of(
        kSize,
        [&](float x, float y) {
          if (x < box.x1 || x >= box.x2 || y < box.y1 || y >= box.y2)
            return is_background_textured ? background.at(x, y) : 90.0F;
          return skin.at((x - box.x1) / scale, (y - box.y1) / scale);
        },
        std::move(vectors));
  }
};

std::vector<Detection> one(const Box& box) {
  return {{.class_id = 3, .score = 0.8F, .box = box, .track = 5}};
}

bool lies_within(const Box& box, Size size) {
  return box.x1 >= 0 && box.y1 >= 0 && box.x1 <= box.x2 && box.y1 <= box.y2 &&
         box.x2 <= static_cast<float>(size.width) && box.y2 <= static_cast<float>(size.height);
}

constexpr MotionMethod kMethods[] = {MotionMethod::kAuto, MotionMethod::kVectors,
                                     MotionMethod::kFlow};

TEST(MakeMotionFrame, HalvesFromAtMost320Wide) {
  for (const Size size : {Size{640, 360}, Size{1920, 1080}, Size{352, 288}, Size{320, 240},
                          Size{641, 359}, Size{20, 2000}, Size{1, 1}, Size{4000, 1}}) {
    const auto frame = frame_of(size, [](float, float) { return 77.0F; });
    EXPECT_EQ(frame->picture_size, size);
    ASSERT_FALSE(frame->luma.empty());
    EXPECT_EQ(frame->luma[0].size.width, std::min(size.width, 320));
    for (std::size_t i = 0; i < frame->luma.size(); ++i) {
      const Thumbnail& level = frame->luma[i];
      EXPECT_EQ(level.luma.size(), static_cast<std::size_t>(level.size.width * level.size.height));
      for (const std::uint8_t luma : level.luma) ASSERT_EQ(luma, 77);
      if (i == 0) continue;
      EXPECT_EQ(level.size.width, frame->luma[i - 1].size.width / 2);
      EXPECT_EQ(level.size.height, frame->luma[i - 1].size.height / 2);
    }
  }
}

TEST(BoxPropagator, LeavesBoxesAloneToTheBitWhereNothingMoves) {
  const Texture texture(9);
  const auto luma = [&](float x, float y) { return texture.at(x, y); };
  const auto before = frame_of(kSize, luma);
  const auto now = frame_of(kSize, luma);
  for (const MotionMethod method : kMethods) {
    std::vector<Detection> boxes{{.class_id = 1, .score = 0.3F, .box = {10.1F, 20.7F, 300.3F, 199}},
                                 {.class_id = 2, .score = 0.9F, .box = {0, 0, 640, 360}},
                                 {.class_id = 2, .score = 0.9F, .box = {638, 358, 640, 360}}};
    const std::vector<Detection> old = boxes;
    BoxPropagator propagator(method);
    PropagationStep step;
    propagator.propagate(*before, *now, boxes, step);
    EXPECT_EQ(boxes, old);
    ASSERT_EQ(step.boxes.size(), boxes.size());
    for (const BoxMotion& box : step.boxes) {
      EXPECT_EQ(box.kind, BoxMotionKind::kStill);
      EXPECT_EQ(box.drift, 0);
    }
    EXPECT_EQ(step.unexplained, 0);
  }
}

TEST(BoxPropagator, LeavesAStillBoxAloneWhereOthersMove) {
  const Scene scene{.object = {100, 100, 180, 190}};
  const Box still{400, 100, 470, 180};
  std::vector<Detection> boxes = one(scene.object);
  boxes.push_back({.class_id = 3, .score = 0.8F, .box = still});
  BoxPropagator propagator(MotionMethod::kFlow);
  PropagationStep step;
  propagator.propagate(*scene.frame(0, 0, 1), *scene.frame(7, 3, 1), boxes, step);
  EXPECT_EQ(boxes[1].box, still);
  EXPECT_EQ(step.boxes[0].kind, BoxMotionKind::kFlow);
  EXPECT_EQ(step.boxes[1].kind, BoxMotionKind::kStill);
}

TEST(BoxPropagator, FollowsAShiftWithinHalfAPixel) {
  for (const bool is_textured : {false, true}) {
    for (const Box object :
         {Box{200, 100, 330, 240}, Box{300, 150, 350, 200}, Box{50, 40, 250, 300}}) {
      Scene scene{.object = object, .is_background_textured = is_textured};
      for (const auto& [dx, dy] :
           {std::pair{3.0F, 0.0F}, {-6.5F, 4.25F}, {0.7F, -0.6F}, {14, -9}}) {
        std::vector<Detection> boxes = one(object);
        BoxPropagator propagator(MotionMethod::kFlow);
        PropagationStep step;
        propagator.propagate(*scene.frame(0, 0, 1), *scene.frame(dx, dy, 1), boxes, step);
        SCOPED_TRACE(testing::Message() << object.x1 << " by " << dx << " " << dy);
        const Box wanted = scene.at(dx, dy, 1);
        const float tolerance = std::max(0.5F, 0.0025F * (object.y2 - object.y1));
        EXPECT_NEAR((boxes[0].box.x1 + boxes[0].box.x2) / 2, (wanted.x1 + wanted.x2) / 2,
                    tolerance);
        EXPECT_NEAR((boxes[0].box.y1 + boxes[0].box.y2) / 2, (wanted.y1 + wanted.y2) / 2,
                    tolerance);
        EXPECT_NEAR((boxes[0].box.x2 - boxes[0].box.x1) / (wanted.x2 - wanted.x1), 1, 0.02F);
        EXPECT_EQ(boxes[0].class_id, 3);
        EXPECT_EQ(boxes[0].score, 0.8F);
        EXPECT_EQ(boxes[0].track, 5);
      }
    }
  }
}

TEST(BoxPropagator, FollowsAScaleWithinTwoPercent) {
  for (const float scale : {1.04F, 0.95F, 1.1F}) {
    const Scene scene{.object = {220, 90, 400, 260}};
    std::vector<Detection> boxes = one(scene.object);
    BoxPropagator propagator(MotionMethod::kFlow);
    PropagationStep step;
    propagator.propagate(*scene.frame(0, 0, 1), *scene.frame(3, -2, scale), boxes, step);
    SCOPED_TRACE(scale);
    const Box wanted = scene.at(3, -2, scale);
    EXPECT_NEAR((boxes[0].box.x2 - boxes[0].box.x1) / (wanted.x2 - wanted.x1), 1, 0.02F);
    EXPECT_NEAR((boxes[0].box.y2 - boxes[0].box.y1) / (wanted.y2 - wanted.y1), 1, 0.02F);
  }
}

TEST(BoxPropagator, StillBackgroundInTheBoxDoesNotHoldItBack) {
  // The object fills a third of its box, as a person does with arms spread.
  const Scene scene{.object = {280, 100, 320, 240}};
  const Box box{240, 95, 360, 245};
  for (const auto& [dx, dy] : {std::pair{6.0F, 0.0F}, {-9.0F, 3.0F}}) {
    std::vector<Detection> boxes = one(box);
    BoxPropagator propagator(MotionMethod::kFlow);
    PropagationStep step;
    propagator.propagate(*scene.frame(0, 0, 1), *scene.frame(dx, dy, 1), boxes, step);
    EXPECT_NEAR((boxes[0].box.x1 + boxes[0].box.x2) / 2, 300 + dx, 1.5F);
    EXPECT_NEAR((boxes[0].box.y1 + boxes[0].box.y2) / 2, 170 + dy, 1.5F);
  }
}

/// The true vectors of a scene's step, or others where the object is.
std::shared_ptr<const MotionField> field_of(const Scene& scene, float dx, float dy, float claimed_x,
                                            float claimed_y) {
  auto field = std::make_shared<MotionField>();
  field->picture_size = kSize;
  field->cell_px = 8;
  field->columns = kSize.width / 8;
  field->rows = kSize.height / 8;
  const Box now = scene.at(dx, dy, 1);
  for (int row = 0; row < field->rows; ++row) {
    for (int column = 0; column < field->columns; ++column) {
      const float x = (static_cast<float>(column) + 0.5F) * 8;
      const float y = (static_cast<float>(row) + 0.5F) * 8;
      const bool is_inside = x > now.x1 && x < now.x2 && y > now.y1 && y < now.y2;
      field->cells.push_back(is_inside ? MotionCell{claimed_x, claimed_y, MotionCell::Kind::kMoved}
                                       : MotionCell{0, 0, MotionCell::Kind::kStill});
    }
  }
  return field;
}

TEST(BoxPropagator, FollowsTrueVectorsAndRefusesLyingOnes) {
  const Scene scene{.object = {240, 120, 330, 230}};
  const float dx = 10;
  const float dy = -5;
  const Box wanted = scene.at(dx, dy, 1);
  const auto before = scene.frame(0, 0, 1);
  const auto step_with = [&](MotionMethod method, std::shared_ptr<const MotionField> field,
                             Box& box) {
    std::vector<Detection> boxes = one(scene.object);
    PropagationStep step;
    BoxPropagator(method).propagate(*before, *scene.frame(dx, dy, 1, std::move(field)), boxes,
                                    step);
    box = boxes[0].box;
    return step.boxes[0];
  };
  Box box;
  for (const MotionMethod method : {MotionMethod::kAuto, MotionMethod::kVectors}) {
    EXPECT_EQ(step_with(method, field_of(scene, dx, dy, dx, dy), box).kind,
              BoxMotionKind::kVectors);
    EXPECT_GT(iou(box, wanted), 0.97F);
  }
  for (const auto& [x, y] : {std::pair{-14.0F, 9.0F}, {0, 0}, {30, 30}, {NAN, NAN}}) {
    const auto lie = field_of(scene, dx, dy, x, y);
    EXPECT_EQ(step_with(MotionMethod::kAuto, lie, box).kind, BoxMotionKind::kFlow);
    EXPECT_GT(iou(box, wanted), 0.95F);
    // Without flow, luma that gets worse keeps the box in place.
    const BoxMotion alone = step_with(MotionMethod::kVectors, lie, box);
    EXPECT_GT(iou(box, scene.object), 0.9F) << x;
    EXPECT_GT(alone.drift, 0.02F);
  }
  // No vectors: nothing to go by.
  EXPECT_EQ(step_with(MotionMethod::kVectors, nullptr, box).kind, BoxMotionKind::kLost);
  EXPECT_EQ(box, scene.object);
  EXPECT_EQ(step_with(MotionMethod::kAuto, nullptr, box).kind, BoxMotionKind::kFlow);
}

TEST(BoxPropagator, AnObjectThatEntersGrowsFromTheBorder) {
  const Scene scene{.object = {-60, 100, 60, 220}};
  const auto before = scene.frame(0, 0, 1);
  const auto now = scene.frame(12, 0, 1);
  std::vector<Detection> boxes = one({0, 100, 60, 220});
  BoxPropagator propagator(MotionMethod::kFlow);
  PropagationStep step;
  propagator.propagate(*before, *now, boxes, step);
  EXPECT_EQ(boxes[0].box.x1, 0);
  EXPECT_NEAR(boxes[0].box.x2, 72, 2);
}

TEST(BoxPropagator, AnObjectThatLeavesTakesItsBoxAlong) {
  const Scene scene{.object = {560, 100, 636, 220}};
  std::vector<Detection> boxes = one(scene.object);
  BoxPropagator propagator(MotionMethod::kFlow);
  PropagationStep step;
  auto before = scene.frame(0, 0, 1);
  for (int n = 1; n <= 6; ++n) {
    auto now = scene.frame(15.0F * static_cast<float>(n), 0, 1);
    propagator.propagate(*before, *now, boxes, step);
    EXPECT_TRUE(lies_within(boxes[0].box, kSize));
    before = now;
  }
  EXPECT_LT(boxes[0].box.x2 - boxes[0].box.x1, 24);  // of 76
}

TEST(BoxPropagator, SaysWhatNoBoxExplains) {
  const Scene scene{.object = {300, 150, 360, 210}};
  const Scene at_border{.object = {0, 150, 60, 210}};
  const auto unexplained = [](const Scene& s, std::vector<Detection> boxes) {
    PropagationStep step;
    BoxPropagator(MotionMethod::kFlow).propagate(*s.frame(0, 0, 1), *s.frame(9, 0, 1), boxes, step);
    return step.unexplained;
  };
  EXPECT_EQ(unexplained(scene, one(scene.object)), 0);
  const std::vector<Detection> elsewhere = one({500, 20, 560, 80});
  const float inland = unexplained(scene, elsewhere);
  const float border = unexplained(at_border, elsewhere);
  EXPECT_GT(inland, 0.1F);
  EXPECT_GT(border, 1.3F * inland);
  EXPECT_LT(border, 4);
  EXPECT_GT(unexplained(scene, {}), 0.1F);
}

TEST(BoxPropagator, DriftIsHigherWhereTheBoxShowsSomethingElse) {
  const Scene scene{.object = {240, 120, 330, 230}};
  const Texture other(77);
  const auto before = scene.frame(0, 0, 1);
  const auto replaced = frame_of(kSize, [&](float x, float y) { return other.at(x, y); });
  PropagationStep good;
  PropagationStep bad;
  BoxPropagator propagator(MotionMethod::kFlow);
  std::vector<Detection> boxes = one(scene.object);
  propagator.propagate(*before, *scene.frame(4, 0, 1), boxes, good);
  boxes = one(scene.object);
  propagator.propagate(*before, *replaced, boxes, bad);
  EXPECT_LT(good.boxes[0].drift, 0.03F);
  EXPECT_GT(bad.boxes[0].drift, 3 * good.boxes[0].drift);
}

TEST(BoxPropagator, KeepsBoxesInThePictureAndFinite) {
  std::mt19937 random(3);
  const auto pick = [&](float low, float high) {
    return std::uniform_real_distribution<float>(low, high)(random);
  };
  for (const Size size : {kSize, Size{64, 48}, Size{33, 700}, Size{9, 9}, Size{1, 1}}) {
    const Texture a(1);
    const Texture b(2);
    const auto before = frame_of(size, [&](float x, float y) { return a.at(x, y); });
    for (int n = 0; n < 20; ++n) {
      const float dx = pick(-40, 40);
      const float dy = pick(-40, 40);
      const auto now = frame_of(
          size, [&](float x, float y) { return n % 4 == 0 ? b.at(x, y) : a.at(x - dx, y - dy); });
      std::vector<Detection> boxes;
      for (int i = 0; i < 12; ++i) {
        const auto w = static_cast<float>(size.width);
        const auto h = static_cast<float>(size.height);
        Box box{pick(-0.2F * w, w), pick(-0.2F * h, h), 0, 0};
        const float side = i % 3 == 0 ? 4.0F : i % 3 == 1 ? 0.0F : pick(0, 1.5F * w);
        box.x2 = box.x1 + side;
        box.y2 = box.y1 + (i % 2 == 0 ? side : pick(0, h));
        boxes.push_back({.class_id = i, .score = 0.5F, .box = box});
      }
      BoxPropagator propagator(kMethods[n % 3]);
      PropagationStep step;
      propagator.propagate(*before, *now, boxes, step);
      ASSERT_EQ(step.boxes.size(), boxes.size());
      for (std::size_t i = 0; i < boxes.size(); ++i) {
        EXPECT_TRUE(step.boxes[i].kind == BoxMotionKind::kStill || lies_within(boxes[i].box, size));
        EXPECT_TRUE(step.boxes[i].drift >= 0 && step.boxes[i].drift <= 1);
      }
      EXPECT_TRUE(step.unexplained >= 0 && std::isfinite(step.unexplained));
    }
  }
}

TEST(BoxPropagator, GivesTheSameEachTime) {
  const Scene scene{.object = {200, 100, 330, 240}};
  const auto before = scene.frame(0, 0, 1);
  const auto now = scene.frame(5, -3, 1.02F);
  std::optional<Box> first;
  BoxPropagator used(MotionMethod::kFlow);
  for (int n = 0; n < 5; ++n) {
    std::vector<Detection> boxes = one(scene.object);
    PropagationStep step;
    if (n % 2 == 0) {
      used.propagate(*before, *now, boxes, step);
    } else {
      BoxPropagator(MotionMethod::kFlow).propagate(*before, *now, boxes, step);
    }
    if (!first) first = boxes[0].box;
    EXPECT_EQ(boxes[0].box, *first);
  }
}

TEST(BoxPropagator, WithThePictureBoxesChangeTheirSize) {
  const Texture texture(1);
  const auto luma = [&](float x, float y) { return texture.at(x, y); };
  std::vector<Detection> boxes = one({10, 20, 640, 90});
  BoxPropagator propagator(MotionMethod::kAuto);
  PropagationStep step;
  propagator.propagate(*frame_of({640, 360}, luma), *frame_of({320, 180}, luma), boxes, step);
  EXPECT_EQ(boxes, one({5, 10, 320, 45}));
  ASSERT_EQ(step.boxes.size(), 1U);
  EXPECT_EQ(step.boxes[0].drift, 1);
}

}  // namespace
}  // namespace framemill
