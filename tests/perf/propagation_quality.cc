// How much of what full inference reports is still reported where only each Nth sampled frame is
// inferred and boxes are carried by motion in between, and what that costs. Figures as
// agreement.py's, over clips whose reference detections are known:
// propagation_quality TESTDATA [--by-clip] [--misses] [--method M]... [--only CLIP]
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "framemill/base/clock.h"
#include "framemill/video/source.h"
#include "framemill/vision/box_propagator.h"

namespace framemill {
namespace {

constexpr float kWantedMin = 0.5F;  ///< reference detections that have to be found
constexpr float kGivenMin = 0.25F;  ///< results that count as given
constexpr float kRightMin = 0.2F;   ///< reference detections that make a result right
constexpr std::array kSpacings{2, 3, 5, 10};

using Detections = std::vector<Detection>;

double thread_cpu_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
}

/// The sampled frames of a clip, as far as motion is concerned, and what the model finds in them.
struct Clip {
  std::string name;
  std::vector<std::shared_ptr<const MotionFrame>> frames;
  std::vector<Detections> reference;
  double frame_ms = 0;  ///< CPU time of all make_motion_frame()
};

using Reference = std::map<std::string, std::map<std::int64_t, Detections>>;

Reference read_reference(const std::string& path) {
  Reference reference;
  std::ifstream lines(path);
  std::string line;
  while (std::getline(lines, line)) {
    const auto json = nlohmann::json::parse(line);
    Detections& detections = reference[json["camera"]][json["frame_index"]];
    for (const auto& one : json["detections"]) {
      const auto& box = one["box"];
      detections.push_back({.class_id = one["class"],
                            .score = one["score"],
                            .box = {box[0], box[1], box[2], box[3]}});
    }
  }
  return reference;
}

/// The file of a clip, whatever its ending.
std::string path_of(const std::string& testdata, const std::string& name) {
  return testdata + "/clips/" + name + ".mp4";
}

std::optional<Clip> read_clip(const std::string& testdata, const std::string& name,
                              std::int64_t every, std::size_t answers,
                              const std::map<std::int64_t, Detections>& reference) {
  SourceOptions options;
  options.url = path_of(testdata, name);
  options.pace = Pace::kFast;
  options.sampling.every = every;
  options.is_motion_wanted = true;
  const SystemClock clock;
  auto source = create_source(options, clock);
  if (!source || !(*source)->open()) return std::nullopt;
  Clip clip;
  clip.name = name;
  while (clip.frames.size() < answers) {
    auto frame = (*source)->read();
    if (!frame || !*frame) break;
    SourceFrame& sample = **frame;
    if (!sample.is_sampled || sample.picture == nullptr) continue;
    const double before = thread_cpu_ms();
    clip.frames.push_back(make_motion_frame(*sample.picture, std::move(sample.motion)));
    clip.frame_ms += thread_cpu_ms() - before;
    const auto found = reference.find(sample.frame_index);
    clip.reference.push_back(found == reference.end() ? Detections{} : found->second);
  }
  return clip;
}

/// IoUs of the one-to-one matches of equal class, best first, and for each of `left` its own (or
/// 0).
std::vector<float> match(const Detections& left, float left_min, const Detections& right,
                         float right_min, float least) {
  std::vector<std::tuple<float, std::size_t, std::size_t>> pairs;
  for (std::size_t i = 0; i < left.size(); ++i) {
    for (std::size_t j = 0; j < right.size(); ++j) {
      if (left[i].score <= left_min || right[j].score <= right_min) continue;
      if (left[i].class_id != right[j].class_id) continue;
      const float overlap = iou(left[i].box, right[j].box);
      if (overlap >= least) pairs.emplace_back(overlap, i, j);
    }
  }
  std::sort(pairs.rbegin(), pairs.rend());
  std::vector<float> found(left.size(), 0);
  std::vector<bool> is_used(right.size(), false);
  for (const auto& [overlap, i, j] : pairs) {
    if (found[i] > 0 || is_used[j]) continue;
    found[i] = overlap;
    is_used[j] = true;
  }
  return found;
}

std::size_t count_found(const std::vector<float>& found) {
  return found.size() - static_cast<std::size_t>(std::count(found.begin(), found.end(), 0.0F));
}

std::size_t count_above(const Detections& detections, float score) {
  return static_cast<std::size_t>(std::count_if(
      detections.begin(), detections.end(), [&](const Detection& d) { return d.score > score; }));
}

/// What became of a method at one spacing of key frames.
struct Sums {
  std::size_t wanted = 0, found = 0, found_well = 0;
  std::size_t given = 0, right = 0, sure_given = 0, sure_right = 0;
  std::size_t absent = 0;   ///< of the misses: nothing of the class was near at the key frame
  std::size_t drifted = 0;  ///< of the misses: a box of the class overlaps by .1 or more
  std::size_t frames = 0;
  std::array<std::size_t, 4> kinds{};
  double cpu_ms = 0;

  void add(const Sums& other) {
    for (std::size_t i = 0; i < kinds.size(); ++i) kinds[i] += other.kinds[i];
    wanted += other.wanted, found += other.found, found_well += other.found_well;
    given += other.given, right += other.right;
    sure_given += other.sure_given, sure_right += other.sure_right;
    absent += other.absent, drifted += other.drifted;
    frames += other.frames, cpu_ms += other.cpu_ms;
  }
};

void compare(const Detections& wanted, const Detections& given, Sums& sums) {
  const auto found = match(wanted, kWantedMin, given, kGivenMin, 0.5F);
  sums.wanted += count_above(wanted, kWantedMin);
  sums.found += count_found(found);
  sums.found_well += count_found(match(wanted, kWantedMin, given, kGivenMin, 0.7F));
  sums.given += count_above(given, kGivenMin);
  sums.right += count_found(match(given, kGivenMin, wanted, kRightMin, 0.5F));
  sums.sure_given += count_above(given, kWantedMin);
  sums.sure_right += count_found(match(given, kWantedMin, wanted, kRightMin, 0.5F));
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i].score <= kWantedMin || found[i] > 0) continue;
    float best = 0;
    for (const Detection& d : given) {
      if (d.class_id == wanted[i].class_id) best = std::max(best, iou(d.box, wanted[i].box));
    }
    ++(best >= 0.1F ? sums.drifted : sums.absent);
  }
}

/// `method`: none holds boxes where they are.
Sums measure(const Clip& clip, std::optional<MotionMethod> method, int spacing) {
  Sums sums;
  BoxPropagator propagator(method.value_or(MotionMethod::kAuto));
  PropagationStep step;
  Detections boxes;
  for (std::size_t i = 0; i < clip.frames.size(); ++i) {
    if (i % static_cast<std::size_t>(spacing) == 0) {
      boxes = clip.reference[i];
    } else if (method) {
      const double before = thread_cpu_ms();
      propagator.propagate(*clip.frames[i - 1], *clip.frames[i], boxes, step);
      sums.cpu_ms += thread_cpu_ms() - before;
      ++sums.frames;
      for (const BoxMotion& box : step.boxes) ++sums.kinds[static_cast<std::size_t>(box.kind)];
    }
    compare(clip.reference[i], boxes, sums);
  }
  return sums;
}

double ratio(std::size_t a, std::size_t b) {
  return b == 0 ? 1.0 : static_cast<double>(a) / static_cast<double>(b);
}

struct Options {
  bool is_by_clip = false;
  bool shows_misses = false;
  std::vector<std::string> methods;
  std::string only;
};

void print_row(const std::string& name, std::string_view method, int spacing, const Sums& s,
               double frame_ms, const Options& options) {
  std::printf("%-42s %-8s %3d  %.4f %.4f %.4f %.4f  %.3f", name.c_str(),
              std::string(method).c_str(), spacing, ratio(s.found, s.wanted),
              ratio(s.sure_right, s.sure_given), ratio(s.right, s.given),
              ratio(s.found_well, s.wanted),
              s.frames == 0 ? 0.0 : frame_ms + s.cpu_ms / static_cast<double>(s.frames));
  if (options.shows_misses)
    std::printf("  %5zu wanted, %4zu drifted, %4zu absent; still %zu vectors %zu flow %zu lost %zu",
                s.wanted, s.drifted, s.absent, s.kinds[0], s.kinds[1], s.kinds[2], s.kinds[3]);
  std::printf("\n");
}

int run(const std::string& testdata, const Options& options) {
  std::ifstream file(testdata + "/reference/steps.json");
  const auto steps = nlohmann::json::parse(file, nullptr, false);
  if (steps.is_discarded()) {
    std::fprintf(stderr, "propagation_quality: no reference in %s\n", testdata.c_str());
    return 1;
  }
  const Reference reference = read_reference(testdata + "/reference/yolo11n_640_int8_10hz.jsonl");
  std::vector<Clip> clips;
  double frame_ms = 0;
  std::size_t frames = 0;
  for (const auto& [name, facts] : steps.items()) {
    if (!options.only.empty() && name.find(options.only) == std::string::npos) continue;
    const auto detections = reference.find(name);
    if (detections == reference.end()) continue;
    auto clip = read_clip(testdata, name, facts["every"], facts["answers"], detections->second);
    if (!clip) {
      std::fprintf(stderr, "propagation_quality: cannot read %s\n", name.c_str());
      return 1;
    }
    frame_ms += clip->frame_ms;
    frames += clip->frames.size();
    clips.push_back(*std::move(clip));
  }
  if (frames == 0) return 1;
  frame_ms /= static_cast<double>(frames);
  std::printf("motion frame: %.3f ms of CPU, %zu frames of %zu clips\n", frame_ms, frames,
              clips.size());
  std::printf("%-42s %-8s %3s  %-6s %-6s %-6s %-6s  %s\n", "clip", "method", "N", "recall", "sure",
              "precis", "r@.7", "ms/frame");
  const std::pair<std::string_view, std::optional<MotionMethod>> methods[] = {
      {"hold", std::nullopt},
      {"flow", MotionMethod::kFlow},
      {"vectors", MotionMethod::kVectors},
      {"auto", MotionMethod::kAuto}};
  for (const auto& [label, method] : methods) {
    if (!options.methods.empty() &&
        std::find(options.methods.begin(), options.methods.end(), label) == options.methods.end())
      continue;
    for (const int spacing : kSpacings) {
      Sums total;
      for (const Clip& clip : clips) {
        const Sums sums = measure(clip, method, spacing);
        total.add(sums);
        if (options.is_by_clip)
          print_row(clip.name, label, spacing, sums,
                    clip.frame_ms / static_cast<double>(clip.frames.size()), options);
      }
      print_row("all", label, spacing, total, frame_ms, options);
    }
  }
  return 0;
}

}  // namespace
}  // namespace framemill

int main(int argc, char** argv) {
  framemill::Options options;
  std::string testdata;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--by-clip") {
      options.is_by_clip = true;
    } else if (argument == "--misses") {
      options.shows_misses = true;
    } else if (argument == "--method" && i + 1 < argc) {
      options.methods.emplace_back(argv[++i]);
    } else if (argument == "--only" && i + 1 < argc) {
      options.only = argv[++i];
    } else if (testdata.empty() && !argument.starts_with("--")) {
      testdata = argument;
    } else {
      testdata.clear();
      break;
    }
  }
  if (testdata.empty()) {
    std::fprintf(stderr,
                 "usage: propagation_quality TESTDATA [--by-clip] [--misses] "
                 "[--method hold|flow|vectors|auto]... [--only CLIP]\n");
    return 2;
  }
  return framemill::run(testdata, options);
}
