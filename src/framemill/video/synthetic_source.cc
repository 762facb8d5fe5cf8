#include "framemill/video/synthetic_source.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "framemill/base/cpu_time.h"

namespace framemill {
namespace {

constexpr std::string_view kScheme = "synthetic://";

/// splitmix64 (Steele, Lea, Flood 2014): the same numbers on every machine and library.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15U);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }
  /// low..high, both included.
  int between(int low, int high) {
    if (high <= low) return low;
    return low + static_cast<int>(next() % static_cast<std::uint64_t>(high - low + 1));
  }

 private:
  std::uint64_t state_;
};

template <typename T>
bool parse_number(std::string_view text, T low, T high, T& out) {
  const char* const end = text.data() + text.size();
  T value{};
  const auto [rest, status] = std::from_chars(text.data(), end, value);
  if (status != std::errc{} || rest != end || !(value >= low && value <= high)) return false;
  out = value;
  return true;
}

bool parse_size(std::string_view text, Size& out) {
  constexpr int kSideMin = 16, kSideMax = 8192;
  const std::size_t x = text.find('x');
  return x != std::string_view::npos &&
         parse_number(text.substr(0, x), kSideMin, kSideMax, out.width) &&
         parse_number(text.substr(x + 1), kSideMin, kSideMax, out.height);
}

bool set_parameter(SyntheticScene& scene, std::string_view key, std::string_view value) {
  constexpr int kObjectsMax = 1000;
  constexpr double kRateMin = 0.01, kRateMax = 1000;
  constexpr std::int64_t kFramesMax = 1'000'000'000'000;
  if (key == "size") return parse_size(value, scene.size);
  if (key == "rate") return parse_number(value, kRateMin, kRateMax, scene.rate_hz);
  if (key == "objects") return parse_number(value, 0, kObjectsMax, scene.objects);
  if (key == "seed") return parse_number<std::uint32_t>(value, 0, UINT32_MAX, scene.seed);
  if (key == "frames") return parse_number<std::int64_t>(value, 0, kFramesMax, scene.frames);
  return false;
}

/// Where something is that runs to and fro over 0..range, `step` pixels a frame.
int bounce(int begin, int step, int range, std::int64_t frame_index) {
  if (range <= 0) return 0;
  const std::int64_t period = 2 * static_cast<std::int64_t>(range);
  const std::int64_t way = ((begin + step * (frame_index % period)) % period + period) % period;
  return static_cast<int>(way <= range ? way : period - way);
}

struct Rect {
  int x, y, width, height;
};

Rect place_object(const SyntheticScene& scene, int object, std::int64_t frame_index) {
  Random random(std::uint64_t{scene.seed} << 32 | static_cast<std::uint32_t>(object));
  const int side = std::min(scene.size.width, scene.size.height);
  Rect r{};
  // An eighth to a third of the shorter side: what people and cars are in such pictures.
  r.width = random.between(std::max(side / 8, 2), std::max(side / 3, 2));
  r.height = random.between(std::max(side / 8, 2), std::max(side / 3, 2));
  const int range_x = scene.size.width - r.width, range_y = scene.size.height - r.height;
  // Up to a 160th of the width a frame: across the picture in 6 s at 25 frames/s.
  const int step_max = std::max(scene.size.width / 160, 1);
  const int begin_x = random.between(0, 2 * range_x), begin_y = random.between(0, 2 * range_y);
  const int step_x = random.between(-step_max, step_max);
  const int step_y = random.between(-step_max, step_max);
  r.x = bounce(begin_x, step_x, range_x, frame_index);
  r.y = bounce(begin_y, step_y, range_y, frame_index);
  return r;
}

int half(int side) { return (side + 1) / 2; }

std::size_t bytes_of(Size size) {
  const auto luma = static_cast<std::size_t>(size.width) * static_cast<std::size_t>(size.height);
  return luma + 2 * static_cast<std::size_t>(half(size.width)) *
                    static_cast<std::size_t>(half(size.height));
}

/// The planes of an I420 buffer without padding.
std::array<std::uint8_t*, 3> planes_of(std::uint8_t* samples, Size size) {
  std::uint8_t* const u = samples + static_cast<std::ptrdiff_t>(size.width) * size.height;
  return {samples, u, u + static_cast<std::ptrdiff_t>(half(size.width)) * half(size.height)};
}

/// Luma: two tones in a checker of 8 pixels that moves with the object, which gives motion search
/// corners to hold on to. Chroma: one colour.
void draw(const std::array<std::uint8_t*, 3>& planes, Size size, Rect r, std::uint64_t look) {
  constexpr int kCell = 8;
  const auto tone = [look](int shift, int low, int span) {
    return static_cast<std::uint8_t>(low + static_cast<int>(look >> shift & 255) * span / 255);
  };
  const std::array<std::uint8_t, 2> tones{tone(0, 32, 80), tone(8, 140, 80)};
  for (int y = 0; y < r.height; ++y) {
    std::uint8_t* const row = planes[0] + static_cast<std::ptrdiff_t>(r.y + y) * size.width + r.x;
    for (int x = 0; x < r.width; x += kCell) {
      const auto which = static_cast<std::size_t>((x / kCell + y / kCell) % 2);
      std::memset(row + x, tones[which], static_cast<std::size_t>(std::min(kCell, r.width - x)));
    }
  }
  const int first_x = half(r.x), end_x = half(r.x + r.width);
  for (int y = half(r.y); y < half(r.y + r.height); ++y) {
    const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(y) * half(size.width) + first_x;
    const auto count = static_cast<std::size_t>(end_x - first_x);
    std::memset(planes[1] + at, tone(16, 48, 160), count);
    std::memset(planes[2] + at, tone(24, 48, 160), count);
  }
}

}  // namespace

Result<SyntheticScene> parse_synthetic_url(std::string_view url) {
  SyntheticScene scene;
  std::string_view rest = url;
  if (rest.starts_with(kScheme)) rest.remove_prefix(kScheme.size());
  const std::size_t mark = rest.find('?');
  rest = mark == std::string_view::npos ? std::string_view() : rest.substr(mark + 1);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view item = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::size_t equals = std::min(item.find('='), item.size());
    const std::string_view value = item.substr(std::min(equals + 1, item.size()));
    if (!set_parameter(scene, item.substr(0, equals), value))
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("{}: \"{}\" is no parameter of a synthetic source, or out of range; "
                              "write synthetic://?size=640x360&rate=25&objects=3&seed=1&frames=250",
                              url, item));
  }
  return scene;
}

std::vector<Detection> synthetic_truth(const SyntheticScene& scene, std::int64_t frame_index) {
  std::vector<Detection> truth;
  truth.reserve(static_cast<std::size_t>(scene.objects));
  for (int i = 0; i < scene.objects; ++i) {
    const Rect r = place_object(scene, i, frame_index);
    truth.push_back({.class_id = i,
                     .score = 1,
                     .box = {static_cast<float>(r.x), static_cast<float>(r.y),
                             static_cast<float>(r.x + r.width), static_cast<float>(r.y + r.height)},
                     .track = i});
  }
  return truth;
}

SyntheticPainter::SyntheticPainter(const SyntheticScene& scene)
    : scene_(scene), background_(bytes_of(scene.size), 128) {
  // A soft slope with a little grain: neither flat nor busy.
  Random random(scene.seed);
  const auto [width, height] = scene.size;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      background_[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) +
                  static_cast<std::size_t>(x)] =
          static_cast<std::uint8_t>(90 + 40 * x / width + 30 * y / height + random.between(0, 7));
}

std::shared_ptr<const Picture> SyntheticPainter::paint(std::int64_t frame_index) const {
  // Not make_shared<T[]>: that would zero what is overwritten at once.
  const std::shared_ptr<std::uint8_t[]> samples(new std::uint8_t[background_.size()]);
  std::memcpy(samples.get(), background_.data(), background_.size());
  const std::array<std::uint8_t*, 3> planes = planes_of(samples.get(), scene_.size);
  for (int i = 0; i < scene_.objects; ++i)
    draw(planes, scene_.size, place_object(scene_, i, frame_index),
         Random(~(std::uint64_t{scene_.seed} << 32 | static_cast<std::uint32_t>(i))).next());
  auto picture = std::make_shared<Picture>();
  picture->size = scene_.size;
  const int chroma_stride = half(scene_.size.width);
  picture->planes = {Plane{planes[0], scene_.size.width}, Plane{planes[1], chroma_stride},
                     Plane{planes[2], chroma_stride}};
  picture->owner = samples;
  return picture;
}

SyntheticSource::SyntheticSource(SourceOptions options, const Clock& clock)
    : options_(std::move(options)), clock_(clock), sampler_(options_.sampling) {}

Result<void> SyntheticSource::open() {
  if (guard_.is_interrupted()) return fail(ErrorCode::kCancelled, "synthetic: interrupted");
  const Result<SyntheticScene> scene = parse_synthetic_url(options_.url);
  if (!scene) return fail(scene.error());
  scene_ = *scene;
  scene_frame_ = static_cast<std::int64_t>(std::ceil(to_seconds(options_.start) * scene_.rate_hz));
  if (scene_.frames > 0 && scene_frame_ >= scene_.frames)
    return fail(ErrorCode::kInvalidArgument, fmt::format("{}: start {:.3f} s lies behind its end",
                                                         options_.url, to_seconds(options_.start)));
  painter_.emplace(scene_);
  facts_ = {.codec = "synthetic", .size = scene_.size, .frame_rate_hz = scene_.rate_hz};
  return {};
}

Result<std::optional<SourceFrame>> SyntheticSource::read() {
  if (guard_.is_interrupted()) return fail(ErrorCode::kCancelled, "synthetic: interrupted");
  if (scene_.frames > 0 && scene_frame_ >= scene_.frames) {
    if (!options_.is_looped) return std::optional<SourceFrame>();
    scene_frame_ = 0;
    is_loop_start_ = true;
  }
  if (frame_index_ == 0) {
    begin_ = clock_.now();
    begin_wall_ = clock_.wall_now();
  }
  SourceFrame frame;
  frame.frame_index = frame_index_++;
  if (options_.is_looped) frame.file_frame_index = scene_frame_;
  frame.pts_s = static_cast<double>(frame.frame_index) / scene_.rate_hz;
  const Duration since_begin = from_seconds(frame.pts_s);
  frame.captured_at = begin_wall_ + since_begin;
  frame.captured_mono = options_.pace == Pace::kLive ? begin_ + since_begin : clock_.now();
  if (options_.pace == Pace::kLive && !guard_.wait_until(frame.captured_mono, clock_))
    return fail(ErrorCode::kCancelled, "synthetic: interrupted");
  frame.is_loop_start = std::exchange(is_loop_start_, false);
  frame.is_sampled = sampler_.take(frame.pts_s);
  ++counts_.packets;
  if (frame.is_sampled) {
    const Duration before = thread_cpu_time();
    frame.picture = painter_->paint(scene_frame_);
    counts_.decode_cpu += thread_cpu_time() - before;
    ++counts_.frames_decoded;
  } else {
    ++counts_.packets_skipped;
  }
  ++scene_frame_;
  return std::optional<SourceFrame>(std::move(frame));
}

}  // namespace framemill
