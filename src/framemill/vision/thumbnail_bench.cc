#include <vector>

#include <benchmark/benchmark.h>

#include "framemill/vision/thumbnail.h"

namespace framemill {
namespace {

struct Luma {
  explicit Luma(Size size) : samples(static_cast<std::size_t>(size.width * size.height)) {
    for (std::size_t i = 0; i < samples.size(); ++i)
      samples[i] = static_cast<std::uint8_t>(i * 2654435761U >> 13U);
    picture.format = PixelFormat::kGray;
    picture.size = size;
    picture.planes[0] = {samples.data(), size.width};
  }
  std::vector<std::uint8_t> samples;
  Picture picture;
};

void thumbnail_time(benchmark::State& state) {
  const Luma source({static_cast<int>(state.range(0)), static_cast<int>(state.range(1))});
  Thumbnail thumbnail;
  for (auto _ : state) {
    write_thumbnail(source.picture, static_cast<int>(state.range(2)), thumbnail);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(thumbnail_time)
    ->Args({640, 360, 160})
    ->Args({640, 360, 320})
    ->Args({768, 432, 160})
    ->Args({352, 288, 160})
    ->Args({1280, 720, 160})
    ->Args({1920, 1080, 160})
    ->Args({1920, 1080, 320})
    ->Unit(benchmark::kMicrosecond);

void scene_cut_time(benchmark::State& state) {  // the slow case: everything is looked at
  const Luma source({640, 360});
  const Luma other({644, 363});
  Thumbnail before, now;
  write_thumbnail(source.picture, 160, before);
  write_thumbnail(other.picture, 160, now);
  now.size = before.size;
  now.luma.resize(before.luma.size());
  for (std::size_t i = 0; i < now.luma.size(); ++i)
    now.luma[i] = static_cast<std::uint8_t>(now.luma[i] / 2 + i % 97);
  for (auto _ : state) benchmark::DoNotOptimize(is_scene_cut(before, now));
}
BENCHMARK(scene_cut_time)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace framemill
