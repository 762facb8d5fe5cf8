#include "framemill/plan/scene_trace.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "framemill/sched/need_model.h"

namespace framemill {
namespace {

/// A wait of so many periods is a gap: the camera was away, and its grid begins anew.
constexpr double kGapPeriods = 3;
/// No camera is sampled more often.
constexpr Duration kPeriodMin = std::chrono::milliseconds(1);
/// Expected wrong detections until which a camera is believed to be like all others.
constexpr double kPriorWrong = 3;
/// Sure objects in view of a camera that shows next to none.
constexpr double kSureMin = .5;
/// How long the busiest stretch is, or as long as the trace.
constexpr double kBusiestSeconds = 10;

double growth(double from, double to, double frames) { return std::max(0.0, to - from) / frames; }

/// The median time between frames: what a gap is measured by.
double usual_period_s(const auto& frames) {
  std::vector<double> periods;
  for (std::size_t i = 1; i < frames.size(); ++i)
    periods.push_back(to_seconds(frames[i].arrived_at - frames[i - 1].arrived_at));
  const auto middle = periods.begin() + static_cast<std::ptrdiff_t>(periods.size() / 2);
  std::ranges::nth_element(periods, middle);
  return *middle;
}

}  // namespace

SceneTraceBuilder::SceneTraceBuilder(const DispatchTraceHeader& header) {
  for (std::size_t i = 0; i < header.options.cameras.size(); ++i) {
    cameras_.push_back({.id = header.cameras[i],
                        .is_adaptive = header.options.cameras[i].policy == PolicyKind::kAdaptive});
  }
}

void SceneTraceBuilder::add(const DispatchRecord& record) {
  if (const auto* const frame = std::get_if<FrameArrived>(&record)) {
    const SampledFrame& sampled = frame->frame.sampled;
    if (sampled.camera >= cameras_.size()) return;
    cameras_[sampled.camera].frames.push_back({.seq = frame->frame.seq,
                                               .captured_at = frame->frame.captured_at,
                                               .arrived_at = frame->at,
                                               .is_stream_start = sampled.is_stream_start,
                                               .is_scene_start = sampled.is_scene_start,
                                               .doubt = sampled.doubt});
  } else if (const auto* const renewed = std::get_if<DoubtRenewed>(&record)) {
    if (renewed->camera >= cameras_.size()) return;
    std::vector<Frame>& frames = cameras_[renewed->camera].frames;
    if (!frames.empty() && frames.back().seq == renewed->seq && frames.back().doubt.age == 0)
      frames.back().doubt = renewed->doubt;
  } else if (const auto* const learned = std::get_if<ErrorLearned>(&record)) {
    if (learned->camera >= cameras_.size() || learned->doubt.age <= 0) return;
    const AgreementCounts& counts = learned->counts;
    Camera& camera = cameras_[learned->camera];
    camera.wrong += static_cast<double>((counts.wanted - counts.found) +
                                        (counts.sure_given - counts.sure_right));
    camera.expected += expected_wrong(learned->doubt);
    camera.wanted += static_cast<double>(counts.wanted);
    camera.looks += 1;
  }
}

Result<SceneTrace> SceneTraceBuilder::finish() {
  double wrong = 0;
  double expected = 0;
  double wanted = 0;
  double looks = 0;
  for (const Camera& camera : cameras_) {
    wrong += camera.wrong;
    expected += camera.expected;
    wanted += camera.wanted;
    looks += camera.looks;
  }
  const double of_all = expected > 0 ? wrong / expected : 1;
  SceneTrace trace;
  for (Camera& camera : cameras_) {
    // Captures are not in order where the encoder's are not; arrivals are.
    const auto goes_back = [](const Frame& a, const Frame& b) {
      return b.arrived_at < a.arrived_at;
    };
    const auto end = std::ranges::adjacent_find(camera.frames, goes_back);
    if (end != camera.frames.end()) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("frame {} of {} came before the one before it: the trace was changed",
                              (end + 1)->seq, camera.id));
    }
    if (camera.frames.size() < 2) continue;
    TracedCamera traced{.id = camera.id};
    traced.frames.resize(camera.frames.size());
    trace.length = std::max(trace.length,
                            camera.frames.back().captured_at - camera.frames.front().captured_at);
    lay_on_grid(camera.frames, traced);
    if (camera.is_adaptive) {
      const double ratio = (camera.wrong + kPriorWrong * of_all) / (camera.expected + kPriorWrong);
      traced.sure_objects = camera.looks > 0 ? camera.wanted / camera.looks
                            : looks > 0      ? wanted / looks
                                             : 1;
      share_out_doubt(camera, ratio, traced);
    }
    trace.cameras.push_back(std::move(traced));
  }
  if (trace.cameras.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "no camera brought two frames; record for longer, with cameras that send");
  }
  find_busiest(trace);
  return trace;
}

void SceneTraceBuilder::lay_on_grid(const std::vector<Frame>& frames, TracedCamera& traced) {
  const double gap_s = kGapPeriods * usual_period_s(frames);
  double sum_s = 0;
  std::size_t periods = 0;
  for (std::size_t begin = 0; begin < frames.size();) {
    std::size_t end = begin + 1;
    while (end < frames.size() && !frames[end].is_stream_start &&
           to_seconds(frames[end].arrived_at - frames[end - 1].arrived_at) <= gap_s)
      ++end;
    const double length_s = to_seconds(frames[end - 1].arrived_at - frames[begin].arrived_at);
    const std::size_t steps = end - 1 - begin;
    const double period_s = steps > 0 ? length_s / static_cast<double>(steps) : 0;
    double earliest_s = 0;
    const auto behind_s = [&](std::size_t i) {
      return to_seconds(frames[i].arrived_at - frames[begin].arrived_at) -
             period_s * static_cast<double>(i - begin);
    };
    for (std::size_t i = begin; i < end; ++i) earliest_s = std::min(earliest_s, behind_s(i));
    for (std::size_t i = begin; i < end; ++i) {
      TracedFrame& frame = traced.frames[i];
      frame.offset = from_seconds(behind_s(i) - earliest_s);
      frame.delay = std::max(Duration::zero(), frames[i].arrived_at - frames[i].captured_at);
      frame.is_scene_start = frames[i].is_scene_start && !frames[i].is_stream_start;
    }
    sum_s += length_s;
    periods += steps;
    begin = end;
  }
  const double mean_s = periods > 0 ? sum_s / static_cast<double>(periods) : gap_s / kGapPeriods;
  traced.period = std::max(kPeriodMin, from_seconds(mean_s));
}

void SceneTraceBuilder::share_out_doubt(const Camera& camera, double wrong_of_expected,
                                        TracedCamera& traced) {
  const std::vector<Frame>& frames = camera.frames;
  std::size_t known = 0;  // the last frame that something is known of
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const ObjectDoubt& doubt = frames[i].doubt;
    if (doubt.age <= 0) continue;
    const ObjectDoubt& before = frames[known].doubt;
    const std::int64_t passed = frames[i].seq - frames[known].seq;
    const bool is_one_key = i > known && before.age > 0 && doubt.age == before.age + passed;
    const auto over = static_cast<double>(is_one_key ? passed : doubt.age);
    TracedFrame each{.objects = doubt.objects};
    each.drift = growth(is_one_key ? before.drift : 0, doubt.drift, over);
    each.unexplained = growth(is_one_key ? before.unexplained : 0, doubt.unexplained, over);
    const double expected = expected_wrong(
        {.age = 1, .objects = doubt.objects, .drift = each.drift, .unexplained = each.unexplained});
    // A wrong detection misses an object and gives another: half a loss each of one's fidelity.
    each.loss =
        std::min(1.0, wrong_of_expected * expected / (2 * std::max(kSureMin, traced.sure_objects)));
    for (std::size_t j = i > known ? known + 1 : i; j <= i; ++j) {
      TracedFrame& frame = traced.frames[j];
      frame.objects = each.objects;
      frame.drift = each.drift;
      frame.unexplained = each.unexplained;
      frame.loss = each.loss;
    }
    traced.has_motion = true;
    known = i;
  }
}

void SceneTraceBuilder::find_busiest(SceneTrace& trace) {
  double most_per_s = -1;
  for (std::size_t c = 0; c < trace.cameras.size(); ++c) {
    const TracedCamera& camera = trace.cameras[c];
    if (!camera.has_motion) continue;
    const auto wanted = static_cast<std::size_t>(
        std::max(1.0, std::round(kBusiestSeconds / to_seconds(camera.period))));
    const std::size_t window = std::min(wanted, camera.frames.size());
    double sum = 0;
    for (std::size_t end = 1; end <= camera.frames.size(); ++end) {
      sum += camera.frames[end - 1].loss;
      if (end > window) sum -= camera.frames[end - 1 - window].loss;
      if (end < window) continue;
      const double per_s = sum / (static_cast<double>(window) * to_seconds(camera.period));
      if (per_s <= most_per_s) continue;
      most_per_s = per_s;
      trace.busiest_camera = c;
      trace.busiest_begin = end - window;
      trace.busiest_end = end;
    }
  }
}

}  // namespace framemill
