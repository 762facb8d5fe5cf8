#include <cmath>
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include "framemill/vision/box_propagator.h"

namespace framemill {
namespace {

// Five objects that move, 640x360.
constexpr Box kObjects[] = {{40, 40, 110, 210},
                            {170, 120, 300, 210},
                            {330, 30, 380, 150},
                            {420, 200, 560, 330},
                            {560, 40, 620, 100}};
constexpr Size kSize{640, 360};

float texture(float x, float y) {
  return 128 + 35 * std::sin(0.21F * x + 0.13F * y) + 35 * std::sin(0.19F * y - 0.09F * x) +
         25 * std::sin(0.41F * x - 0.37F * y);
}

struct Luma {
  explicit Luma(float shift) : samples(static_cast<std::size_t>(kSize.width * kSize.height)) {
    for (int y = 0; y < kSize.height; ++y) {
      for (int x = 0; x < kSize.width; ++x) {
        auto u = static_cast<float>(x);
        const auto v = static_cast<float>(y);
        for (const Box& box : kObjects) {
          if (u >= box.x1 + shift && u < box.x2 + shift && v >= box.y1 && v < box.y2)
            u += 1000 - shift;
        }
        samples[static_cast<std::size_t>(y * kSize.width + x)] =
            static_cast<std::uint8_t>(texture(u, v));
      }
    }
    picture.format = PixelFormat::kGray;
    picture.size = kSize;
    picture.planes[0] = {samples.data(), kSize.width};
  }
  std::vector<std::uint8_t> samples;
  Picture picture;
};

std::shared_ptr<const MotionField> vectors(float shift) {
  auto field = std::make_shared<MotionField>();
  field->picture_size = kSize;
  field->cell_px = 8;
  field->columns = kSize.width / 8;
  field->rows = kSize.height / 8;
  field->cells.assign(static_cast<std::size_t>(field->columns * field->rows),
                      {0, 0, MotionCell::Kind::kStill});
  for (const Box& box : kObjects) {
    for (int row = static_cast<int>(box.y1) / 8; row < static_cast<int>(box.y2) / 8; ++row) {
      for (int column = static_cast<int>(box.x1 + shift) / 8;
           column < static_cast<int>(box.x2 + shift) / 8; ++column)
        field->cells[static_cast<std::size_t>(row * field->columns + column)] = {
            shift, 0, MotionCell::Kind::kMoved};
    }
  }
  return field;
}

void motion_frame_time(benchmark::State& state) {
  const Luma luma(0);
  for (auto _ : state) benchmark::DoNotOptimize(make_motion_frame(luma.picture, nullptr));
}
BENCHMARK(motion_frame_time)->Unit(benchmark::kMicrosecond);

void propagate_time(benchmark::State& state, MotionMethod method, float shift) {
  const auto before = make_motion_frame(Luma(0).picture, nullptr);
  const auto now = make_motion_frame(Luma(shift).picture, vectors(shift));
  BoxPropagator propagator(method);
  PropagationStep step;
  std::vector<Detection> boxes(std::size(kObjects));
  for (auto _ : state) {
    for (std::size_t i = 0; i < boxes.size(); ++i) boxes[i].box = kObjects[i];
    propagator.propagate(*before, *now, boxes, step);
    benchmark::DoNotOptimize(boxes.data());
  }
}
BENCHMARK_CAPTURE(propagate_time, five_still, MotionMethod::kAuto, 0.0F)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(propagate_time, five_by_vectors, MotionMethod::kAuto, 6.0F)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(propagate_time, five_by_flow, MotionMethod::kFlow, 6.0F)
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace framemill
