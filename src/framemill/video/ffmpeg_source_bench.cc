#include <cstdlib>
#include <string>

#include <benchmark/benchmark.h>

#include "framemill/video/ffmpeg_source.h"
#include "framemill/video/synthetic_source.h"

// Frames per core-second. FRAMEMILL_CLIP names the clip; compare with the CPU time (user + sys) of
//   ffmpeg -threads 1 -i CLIP -fps_mode passthrough -f null -
namespace framemill {
namespace {

void read_clip(benchmark::State& state, FfmpegSource::Skipping skipping) {
  const char* const clip = std::getenv("FRAMEMILL_CLIP");
  if (clip == nullptr) return state.SkipWithError("set FRAMEMILL_CLIP to a video file");
  const SystemClock clock;
  SourceOptions options;
  options.url = clip;
  options.pace = Pace::kFast;
  options.sampling.every = 3;
  std::int64_t frames = 0;
  for (auto _ : state) {
    FfmpegSource source(options, clock, skipping);
    if (!source.open()) return state.SkipWithError("the clip cannot be opened");
    while (true) {
      auto frame = source.read();
      if (!frame || !*frame) break;
      ++frames;
    }
  }
  state.SetItemsProcessed(frames);
}

void BM_DecodeAll(benchmark::State& state) { read_clip(state, FfmpegSource::Skipping::kOff); }
BENCHMARK(BM_DecodeAll)->Unit(benchmark::kMillisecond);

void BM_SkipUnsampled(benchmark::State& state) { read_clip(state, FfmpegSource::Skipping::kOn); }
BENCHMARK(BM_SkipUnsampled)->Unit(benchmark::kMillisecond);

void BM_PaintSynthetic(benchmark::State& state) {
  const SyntheticPainter painter(SyntheticScene{});
  std::int64_t frame_index = 0;
  for (auto _ : state) benchmark::DoNotOptimize(painter.paint(frame_index++));
}
BENCHMARK(BM_PaintSynthetic);

}  // namespace
}  // namespace framemill
