#include <cstdint>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "framemill/vision/letterbox.h"
#include "framemill/vision/letterbox_rows.h"

namespace framemill {
namespace {

/// A picture of noise: the time does not depend on the content, the cache does on the size.
struct Noise {
  std::vector<std::uint8_t> samples;
  Picture picture;
};

Noise make_noise(Size size, PixelFormat format) {
  Noise noise;
  const int chroma_width = (size.width + 1) / 2;
  const int chroma_height = (size.height + 1) / 2;
  const auto luma_bytes =
      static_cast<std::size_t>(size.width) * static_cast<std::size_t>(size.height);
  const auto chroma_bytes =
      static_cast<std::size_t>(chroma_width) * static_cast<std::size_t>(chroma_height);
  noise.samples.resize(luma_bytes + 2 * chroma_bytes);
  std::uint32_t state = 1;
  for (std::uint8_t& sample : noise.samples) {
    state = state * 1664525 + 1013904223;
    sample = static_cast<std::uint8_t>(state >> 24);
  }
  noise.picture.format = format;
  noise.picture.size = size;
  noise.picture.planes[0] = {noise.samples.data(), size.width};
  if (format == PixelFormat::kNv12) {
    noise.picture.planes[1] = {noise.samples.data() + luma_bytes, 2 * chroma_width};
  } else {
    noise.picture.planes[1] = {noise.samples.data() + luma_bytes, chroma_width};
    noise.picture.planes[2] = {noise.samples.data() + luma_bytes + chroma_bytes, chroma_width};
  }
  return noise;
}

void letterbox_time(benchmark::State& state, const RowKernels* kernels, Size source, Size model,
                    PixelFormat format) {
  if (kernels == nullptr) {
    state.SkipWithError("not supported by this processor");
    return;
  }
  // Pictures come from a decoder that is pictures ahead, so they are seldom in the nearest cache.
  std::vector<Noise> pictures;
  for (int i = 0; i < 4; ++i) pictures.push_back(make_noise(source, format));
  const Letterbox plan = plan_letterbox(source, model, LetterboxPlace::kCenter).value();
  std::vector<float> tensor(3 * static_cast<std::size_t>(model.width) *
                            static_cast<std::size_t>(model.height));
  std::size_t next = 0;
  for (auto _ : state) {
    write_letterbox_with(*kernels, pictures[next].picture, plan, model, {}, tensor);
    benchmark::ClobberMemory();
    next = (next + 1) % pictures.size();
  }
}

void register_all() {
  struct Case {
    const char* name;
    Size source, model;
    PixelFormat format;
  };
  static constexpr Case kCases[] = {
      {"i420_640x360_to_640x384", {640, 360}, {640, 384}, PixelFormat::kI420},
      {"nv12_640x360_to_640x384", {640, 360}, {640, 384}, PixelFormat::kNv12},
      {"i420_640x360_to_640x640", {640, 360}, {640, 640}, PixelFormat::kI420},
      {"i420_640x360_to_512x288", {640, 360}, {512, 288}, PixelFormat::kI420},
      {"i420_352x288_to_640x640", {352, 288}, {640, 640}, PixelFormat::kI420},
      {"i420_1280x720_to_640x384", {1280, 720}, {640, 384}, PixelFormat::kI420},
      {"i420_1920x1080_to_640x640", {1920, 1080}, {640, 640}, PixelFormat::kI420},
      {"nv12_1920x1080_to_640x640", {1920, 1080}, {640, 640}, PixelFormat::kNv12},
      {"i420_2560x1440_to_640x384", {2560, 1440}, {640, 384}, PixelFormat::kI420},
  };
  for (const RowKernels* kernels : {&portable_kernels(), avx2_kernels()}) {
    for (const Case& c : kCases) {
      const std::string name = std::string(kernels ? kernels->name : "avx2") + "/" + c.name;
      benchmark::RegisterBenchmark(name.c_str(), letterbox_time, kernels, c.source, c.model,
                                   c.format)
          ->Unit(benchmark::kMillisecond);
    }
  }
}

const bool kIsRegistered = (register_all(), true);

}  // namespace
}  // namespace framemill
