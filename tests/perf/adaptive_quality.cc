// What policy adaptive loses, and why, without inferring or decoding again: replays the decisions
// of pace fast over clips whose detections are known, budget by budget. Figures as `framemill
// compare`'s.
// adaptive_quality TESTDATA DETECTIONS.jsonl [--budgets .2,.1] [--method auto|flow|vectors|hold]
//                  [--delay S] [--clips] [--errors] [--only SUBSTRING] [--half 0|1]
//                  [--keep FILE] [--save FILE.csv] [--start SEED] [--foresee REASON,...]
// DETECTIONS: `framemill run --policy full --pace fast --score .1 --results` over the clips.
// --keep: what decoding gives is kept there, and read from there the next time.
// --start: each clip begins up to 15 samples later, and up to a tick beside the ticks, drawn from
// the seed: several seeds tell what is luck of one run.
// --foresee: need knows the misses of these reasons (as --errors names them; with `sure-` before
// it: the sure errors), each as one more box lost: what better foresight of them could bring.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <deque>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "framemill/base/clock.h"
#include "framemill/cli/compare_figures.h"
#include "framemill/sched/inference_policy.h"
#include "framemill/video/source.h"
#include "framemill/vision/object_state.h"

namespace framemill {
namespace {

constexpr float kPublished = .2F;
constexpr double kTickS = .1;
constexpr int kSceneWidth = 80;  ///< as in CameraSession
constexpr double kGiveUpS = .195;

using Detections = std::vector<Detection>;
using Reference = std::map<std::string, std::map<std::int64_t, Detections>>;

double thread_cpu_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
}

/// A sampled frame as the policy and the state see it.
struct Sample {
  std::int64_t frame_index = 0;
  double pts_s = 0;
  bool is_scene_start = false;
  std::shared_ptr<const MotionFrame> motion;
  Detections found;  ///< by the model, candidates included
};

struct Clip {
  std::string name;
  std::vector<Sample> samples;
};

Reference read_detections(const std::string& path) {
  Reference reference;
  std::ifstream lines(path);
  std::string line;
  while (std::getline(lines, line)) {
    const auto json = nlohmann::json::parse(line);
    if (!json.contains("detections")) continue;
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

const Thumbnail& scene_thumbnail(const MotionFrame& frame) {
  for (std::size_t i = frame.luma.size(); i-- > 1;)
    if (frame.luma[i].size.width >= kSceneWidth) return frame.luma[i];
  return frame.luma.front();
}

std::optional<std::vector<Sample>> decode(const std::string& url, std::int64_t every,
                                          std::size_t answers) {
  SourceOptions options;
  options.url = url;
  options.pace = Pace::kFast;
  options.sampling.every = every;
  options.is_motion_wanted = true;
  const SystemClock clock;
  auto source = create_source(options, clock);
  if (!source || !(*source)->open()) return std::nullopt;
  std::vector<Sample> samples;
  while (samples.size() < answers) {
    auto frame = (*source)->read();
    if (!frame || !*frame) break;
    SourceFrame& sampled = **frame;
    if (!sampled.is_sampled || sampled.picture == nullptr) continue;
    Sample sample{.frame_index = sampled.frame_index, .pts_s = sampled.pts_s};
    sample.motion = make_motion_frame(*sampled.picture, std::move(sampled.motion));
    sample.is_scene_start = samples.empty() || is_scene_cut(scene_thumbnail(*samples.back().motion),
                                                            scene_thumbnail(*sample.motion));
    samples.push_back(std::move(sample));
  }
  return samples;
}

/// Plain values, as they lie in memory: the file is for this machine only.
class Keeper {
 public:
  static void write(std::ofstream& out, const std::vector<Clip>& clips) {
    put(out, clips.size());
    for (const Clip& clip : clips) {
      put(out, clip.name.size());
      out.write(clip.name.data(), static_cast<std::streamsize>(clip.name.size()));
      put(out, clip.samples.size());
      for (const Sample& sample : clip.samples) write(out, sample);
    }
  }

  static std::vector<Clip> read(std::ifstream& in) {
    std::vector<Clip> clips(get<std::size_t>(in));
    for (Clip& clip : clips) {
      clip.name.resize(get<std::size_t>(in));
      in.read(clip.name.data(), static_cast<std::streamsize>(clip.name.size()));
      clip.samples.resize(get<std::size_t>(in));
      for (Sample& sample : clip.samples) sample = read_sample(in);
    }
    return clips;
  }

 private:
  template <typename T>
  static void put(std::ofstream& out, const T& value) {
    out.write(reinterpret_cast<const char*>(&value), sizeof value);
  }
  template <typename T>
  static T get(std::ifstream& in) {
    T value{};
    in.read(reinterpret_cast<char*>(&value), sizeof value);
    return value;
  }
  template <typename T>
  static void put_all(std::ofstream& out, const std::vector<T>& values) {
    put(out, values.size());
    out.write(reinterpret_cast<const char*>(values.data()),
              static_cast<std::streamsize>(values.size() * sizeof(T)));
  }
  template <typename T>
  static std::vector<T> get_all(std::ifstream& in) {
    std::vector<T> values(get<std::size_t>(in));
    in.read(reinterpret_cast<char*>(values.data()),
            static_cast<std::streamsize>(values.size() * sizeof(T)));
    return values;
  }

  static void write(std::ofstream& out, const Sample& sample) {
    put(out, sample.frame_index);
    put(out, sample.pts_s);
    put(out, sample.is_scene_start);
    put(out, sample.motion->picture_size);
    put(out, sample.motion->luma.size());
    for (const Thumbnail& luma : sample.motion->luma) {
      put(out, luma.size);
      put_all(out, luma.luma);
    }
    const MotionField* const field = sample.motion->vectors.get();
    put(out, field != nullptr);
    if (field == nullptr) return;
    put(out, field->picture_size);
    put(out, field->cell_px);
    put(out, field->columns);
    put(out, field->rows);
    put_all(out, field->cells);
  }

  static Sample read_sample(std::ifstream& in) {
    Sample sample;
    sample.frame_index = get<std::int64_t>(in);
    sample.pts_s = get<double>(in);
    sample.is_scene_start = get<bool>(in);
    auto motion = std::make_shared<MotionFrame>();
    motion->picture_size = get<Size>(in);
    motion->luma.resize(get<std::size_t>(in));
    for (Thumbnail& luma : motion->luma) {
      luma.size = get<Size>(in);
      luma.luma = get_all<std::uint8_t>(in);
    }
    if (get<bool>(in)) {
      auto field = std::make_shared<MotionField>();
      field->picture_size = get<Size>(in);
      field->cell_px = get<int>(in);
      field->columns = get<int>(in);
      field->rows = get<int>(in);
      field->cells = get_all<MotionCell>(in);
      motion->vectors = std::move(field);
    }
    sample.motion = std::move(motion);
    return sample;
  }
};

/// Why answers differ from the reference; the first that applies.
enum class Reason : std::uint8_t {
  kScore,   ///< the object is there, with a score below what counts
  kClass,   ///< another class lies there
  kDouble,  ///< the box is there, but taken by another object
  kDrift,   ///< a box of the class overlaps by .1 to .5
  kBorder,  ///< nothing there, near the picture's border
  kInland,  ///< nothing there, elsewhere
};
constexpr std::array<std::string_view, 6> kReasons{"score", "class",  "double",
                                                   "drift", "border", "inland"};
using Reasons = std::array<std::size_t, kReasons.size()>;

Reason reason_of(const Detection& wanted, const Detections& given, float counts_from, Size size) {
  float own = 0, own_counted = 0, other = 0;
  for (const Detection& d : given) {
    const float overlap = iou(d.box, wanted.box);
    if (d.class_id != wanted.class_id) {
      if (d.score > counts_from) other = std::max(other, overlap);
      continue;
    }
    own = std::max(own, overlap);
    if (d.score > counts_from) own_counted = std::max(own_counted, overlap);
  }
  if (own_counted >= .5F) return Reason::kDouble;
  if (own >= .5F) return Reason::kScore;
  if (other >= .5F) return Reason::kClass;
  if (own >= .1F) return Reason::kDrift;
  const auto w = static_cast<float>(size.width);
  const auto h = static_cast<float>(size.height);
  const float rim = .03F * std::min(w, h);
  const Box& b = wanted.box;
  return b.x1 < rim || b.y1 < rim || b.x2 > w - rim || b.y2 > h - rim ? Reason::kBorder
                                                                      : Reason::kInland;
}

/// Which errors the need knows, by Reason.
struct Foresight {
  std::array<bool, kReasons.size()> misses{}, sure_errors{};
};

/// What one run gives beyond the answers.
struct Replay {
  ComparedRun run;
  std::vector<Reasons> misses, sure_errors;  ///< by clip
  std::array<std::size_t, 4> miss_ages{};    ///< ages 1-2, 3-5, 6-10, more
};

class Replayer {
 public:
  Replayer(const std::vector<Clip>& clips, std::optional<MotionMethod> method, double delay_s,
           const Foresight& foresight)
      : clips_(clips), method_(method), delay_s_(delay_s), foresight_(foresight) {}

  Replay replay(PolicyKind policy, double budget);

 private:
  struct Camera {
    std::unique_ptr<ObjectState> state;
    std::size_t next = 0;              ///< sample not yet offered
    std::optional<std::size_t> asked;  ///< sample at the model
    std::size_t reached = 0;           ///< samples that the state has seen
    std::size_t answered = 0;
    bool is_cut_owed = false;
    bool has_hold = false;
    std::int64_t key = 0;
  };

  void use_results(double media_s);
  void decide(const std::vector<std::size_t>& cameras, double media_s);
  void answer_waiting(std::size_t camera);
  void answer(std::size_t camera, std::size_t sample, const Detections& detections, Origin origin);
  void reach(std::size_t camera, std::size_t sample);
  [[nodiscard]] double foreseen_errors(const Sample& sample, const Detections& given) const;

  const std::vector<Clip>& clips_;
  const std::optional<MotionMethod> method_;
  const double delay_s_;
  const Foresight foresight_;
  std::vector<Camera> cameras_;
  std::unique_ptr<InferencePolicy> policy_;
  PolicyKind kind_ = PolicyKind::kAdaptive;
  Replay out_;
  double motion_ms_ = 0;
};

void Replayer::reach(std::size_t camera, std::size_t sample) {
  Camera& c = cameras_[camera];
  if (c.reached > sample) return;
  const Sample& s = clips_[camera].samples[sample];
  if (s.is_scene_start) c.state->begin_scene();
  const bool is_moving = kind_ == PolicyKind::kAdaptive && method_;
  const double begin = thread_cpu_ms();
  c.state->advance(s.pts_s, is_moving ? s.motion : nullptr);
  motion_ms_ += thread_cpu_ms() - begin;
  c.reached = sample + 1;
}

double Replayer::foreseen_errors(const Sample& sample, const Detections& given) const {
  const Size size = sample.motion->picture_size;
  double errors = 0;
  for (const std::size_t i : find_missed(sample.found, given)) {
    const Reason reason = reason_of(sample.found[i], given, .25F, size);
    errors += foresight_.misses[static_cast<std::size_t>(reason)] ? 1 : 0;
  }
  for (const std::size_t i : find_unconfirmed(sample.found, given)) {
    const Reason reason = reason_of(given[i], sample.found, .2F, size);
    errors += foresight_.sure_errors[static_cast<std::size_t>(reason)] ? 1 : 0;
  }
  return errors;
}

void Replayer::answer(std::size_t camera, std::size_t sample, const Detections& detections,
                      Origin origin) {
  const Sample& s = clips_[camera].samples[sample];
  ComparedAnswer answer{.frame_index = s.frame_index, .pts_s = s.pts_s, .origin = origin};
  std::ranges::copy_if(detections, std::back_inserter(answer.detections),
                       [](const Detection& d) { return d.score >= kPublished; });
  std::ranges::stable_sort(answer.detections, std::greater<>{}, &Detection::score);
  const Size size = s.motion->picture_size;
  for (const std::size_t i : find_missed(s.found, answer.detections)) {
    ++out_.misses[camera][static_cast<std::size_t>(reason_of(s.found[i], detections, .25F, size))];
    const std::int64_t age = cameras_[camera].state->doubt().age;
    ++out_.miss_ages[age <= 2 ? 0 : age <= 5 ? 1 : age <= 10 ? 2 : 3];
  }
  // What the reference does not confirm: as if the answer were the reference.
  Detections confirming;
  for (const Detection& d : s.found)
    if (d.score > .2F) confirming.push_back(d);
  AgreementThresholds mirrored;
  mirrored.lo = .2F;
  for (const std::size_t i : find_missed(answer.detections, confirming, mirrored)) {
    const Detection& d = answer.detections[i];
    ++out_.sure_errors[camera][static_cast<std::size_t>(reason_of(d, s.found, .2F, size))];
  }
  out_.run.answers[camera].push_back(std::move(answer));
}

/// Answers the samples behind the last answered one from the state, in order.
void Replayer::answer_waiting(std::size_t camera) {
  Camera& c = cameras_[camera];
  while (c.answered < c.next && (!c.asked || c.answered != *c.asked)) {
    reach(camera, c.answered);
    if (c.state->has_key()) answer(camera, c.answered, c.state->objects(), Origin::kPropagated);
    ++c.answered;
  }
}

void Replayer::use_results(double media_s) {
  std::vector<std::pair<double, std::size_t>> due;
  for (std::size_t i = 0; i < cameras_.size(); ++i) {
    if (!cameras_[i].asked) continue;
    const double at = clips_[i].samples[*cameras_[i].asked].pts_s + delay_s_;
    if (at <= media_s) due.emplace_back(at, i);
  }
  std::ranges::stable_sort(due, {}, &std::pair<double, std::size_t>::first);
  for (const auto& [at, i] : due) {
    Camera& c = cameras_[i];
    const std::size_t sample = *std::exchange(c.asked, std::nullopt);
    reach(i, sample);
    Detections found = clips_[i].samples[sample].found;
    const auto correction = c.state->correct(c.reached - 1 - sample, found);
    if (c.answered == sample) {
      answer(i, sample, found, Origin::kInferred);
      ++c.answered;
    }
    if (correction)
      policy_->learn(static_cast<CameraIndex>(i), correction->doubt, correction->counts);
    answer_waiting(i);
  }
}

void Replayer::decide(const std::vector<std::size_t>& cameras, double media_s) {
  (void)media_s;
  std::vector<SampledFrame> frames;
  for (const std::size_t i : cameras) {
    Camera& c = cameras_[i];
    const Sample& s = clips_[i].samples[c.next];
    SampledFrame& frame = frames.emplace_back();
    frame.camera = static_cast<CameraIndex>(i);
    frame.is_stream_start = c.next == 0;
    frame.is_scene_start = s.is_scene_start || c.is_cut_owed;
    frame.is_choosable = !c.asked;
    if (frame.is_choosable) {
      reach(i, c.next);
      frame.doubt = c.state->doubt();
      if (c.state->has_key()) frame.doubt.drift += foreseen_errors(s, c.state->objects());
    }
  }
  std::vector<bool> is_inferred;
  policy_->choose(frames, 0, 0, is_inferred);
  for (std::size_t k = 0; k < cameras.size(); ++k) {
    const std::size_t i = cameras[k];
    Camera& c = cameras_[i];
    c.is_cut_owed = frames[k].is_scene_start && !is_inferred[k];
    const std::size_t sample = c.next++;
    if (is_inferred[k]) {
      ++out_.run.inferences[i];
      c.asked = sample;
    } else if (!c.asked) {
      answer_waiting(i);
    }
  }
}

Replay Replayer::replay(PolicyKind policy, double budget) {
  const std::size_t n = clips_.size();
  kind_ = policy;
  out_ = {};
  motion_ms_ = 0;
  out_.run.policy = policy == PolicyKind::kHold ? kBaselinePolicy : "adaptive";
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", budget);
  out_.run.setting = text;
  out_.run.inferences.resize(n);
  out_.run.answers.resize(n);
  out_.misses.resize(n);
  out_.sure_errors.resize(n);
  cameras_.clear();
  ObjectStateOptions state{.motion = method_.value_or(MotionMethod::kAuto)};
  if (policy != PolicyKind::kAdaptive) state = {.ring_frames = 1, .are_scores_remembered = false};
  for (std::size_t i = 0; i < n; ++i)
    cameras_.emplace_back().state = std::make_unique<ObjectState>(state);
  policy_ = std::make_unique<InferencePolicy>(InferencePolicyOptions{
      .cameras = std::vector<PolicyCamera>(n, {.policy = policy}), .share = budget});
  const auto tick_of = [](double pts_s) {
    return static_cast<std::int64_t>(std::floor(pts_s / kTickS + 1e-6));
  };
  for (std::int64_t tick = 0;; ++tick) {
    bool is_over = true;
    std::vector<std::pair<double, std::size_t>> taken;
    for (std::size_t i = 0; i < n; ++i) {
      const auto& samples = clips_[i].samples;
      is_over &= cameras_[i].next >= samples.size();
      for (std::size_t k = cameras_[i].next;
           k < samples.size() && tick_of(samples[k].pts_s) <= tick; ++k)
        taken.emplace_back(samples[k].pts_s, i);
    }
    if (is_over) break;
    std::ranges::stable_sort(taken);
    double media_s = static_cast<double>(tick) * kTickS;
    for (std::size_t begin = 0; begin < taken.size();) {
      std::vector<bool> is_in_step(n);
      std::vector<std::size_t> step;
      std::size_t end = begin;
      while (end < taken.size() && !is_in_step[taken[end].second]) {
        is_in_step[taken[end].second] = true;
        step.push_back(taken[end++].second);
      }
      if (begin > 0) media_s = std::max(media_s, taken[begin].first);
      use_results(media_s);
      decide(step, media_s);
      begin = end;
    }
  }
  use_results(1e18);
  std::size_t frames = 0;
  for (const Clip& clip : clips_) frames += clip.samples.size();
  out_.run.motion_ms_per_frame = motion_ms_ / static_cast<double>(frames);
  return std::move(out_);
}

struct Options {
  std::string testdata, detections, keep, save, only;
  std::vector<double> budgets{.24, .22, .2, .18, .16, .12, .11, .1, .09, .08};
  std::optional<MotionMethod> method = MotionMethod::kAuto;
  double delay_s = 0;
  bool shows_clips = false, shows_errors = false;
  int half = -1;
  unsigned start = 0;
  Foresight foresight;
};

/// See --start.
void start_later(std::vector<Clip>& clips, unsigned seed) {
  constexpr unsigned kSamplesMax = 15;
  std::mt19937 rng(seed);
  for (Clip& clip : clips) {
    const auto skipped = static_cast<std::ptrdiff_t>(rng() % (kSamplesMax + 1));
    const double beside_s = kTickS * static_cast<double>(rng() % 100) / 100;
    clip.samples.erase(clip.samples.begin(), clip.samples.begin() + skipped);
    const double begin_s = clip.samples.front().pts_s - beside_s;
    for (Sample& sample : clip.samples) sample.pts_s -= begin_s;
    clip.samples.front().is_scene_start = true;
  }
}

std::optional<std::vector<Clip>> read_clips(const Options& options) {
  std::ifstream file(options.testdata + "/reference/steps.json");
  const auto steps = nlohmann::json::parse(file, nullptr, false);
  if (steps.is_discarded()) return std::nullopt;
  std::vector<Clip> clips;
  if (std::ifstream kept(options.keep, std::ios::binary); !options.keep.empty() && kept) {
    clips = Keeper::read(kept);
  } else {
    for (const auto& [name, facts] : steps.items()) {
      auto samples =
          decode(options.testdata + "/clips/" + name + ".mp4", facts["every"], facts["answers"]);
      if (!samples) {
        std::fprintf(stderr, "adaptive_quality: cannot read %s\n", name.c_str());
        return std::nullopt;
      }
      clips.push_back({name, *std::move(samples)});
    }
    if (!options.keep.empty()) {
      std::ofstream out(options.keep, std::ios::binary);
      Keeper::write(out, clips);
    }
  }
  const Reference reference = read_detections(options.detections);
  for (Clip& clip : clips) {
    const auto found = reference.find(clip.name);
    if (found == reference.end()) return std::nullopt;
    for (Sample& sample : clip.samples) {
      const auto frame = found->second.find(sample.frame_index);
      if (frame != found->second.end()) sample.found = frame->second;
    }
  }
  if (options.start > 0) start_later(clips, options.start);
  std::size_t index = 0;
  std::erase_if(clips, [&](const Clip& clip) {
    const int half = static_cast<int>(index++ % 2);
    return (options.half >= 0 && half != options.half) ||
           clip.name.find(options.only) == std::string::npos;
  });
  return clips;
}

std::vector<std::vector<ComparedAnswer>> reference_of(const std::vector<Clip>& clips) {
  std::vector<std::vector<ComparedAnswer>> reference;
  for (const Clip& clip : clips) {
    auto& answers = reference.emplace_back();
    for (const Sample& s : clip.samples) {
      ComparedAnswer& answer = answers.emplace_back(ComparedAnswer{
          .frame_index = s.frame_index, .pts_s = s.pts_s, .origin = Origin::kInferred});
      std::ranges::copy_if(s.found, std::back_inserter(answer.detections),
                           [](const Detection& d) { return d.score >= kPublished; });
    }
  }
  return reference;
}

void print_reasons(const char* what, const std::vector<Reasons>& by_clip) {
  Reasons sum{};
  for (const Reasons& reasons : by_clip)
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += reasons[i];
  std::printf("    %s:", what);
  for (std::size_t i = 0; i < sum.size(); ++i)
    std::printf(" %s %zu", std::string(kReasons[i]).c_str(), sum[i]);
  std::printf("\n");
}

void print_clips(const RunFigures& run, const Replay& replay, const std::vector<Clip>& clips) {
  for (std::size_t i = 0; i < clips.size(); ++i) {
    const ClipFigures& c = run.clips[i];
    std::printf("    %-41s %.3f %5lld  %.4f %.4f | %.4f %.4f %s ", clips[i].name.c_str(),
                c.share_inferred, static_cast<long long>(c.counts.wanted), c.figures.recall,
                c.figures.sure_precision, c.baseline ? c.baseline->recall : 0,
                c.baseline ? c.baseline->sure_precision : 0,
                c.baseline && c.baseline->is_ahead ? "BEHIND" : "      ");
    for (const auto* reasons : {&replay.misses[i], &replay.sure_errors[i]}) {
      std::printf(" |");
      for (const std::size_t count : *reasons) std::printf(" %zu", count);
    }
    std::printf("\n");
  }
}

int run(const Options& options) {
  const auto clips = read_clips(options);
  if (!clips || clips->empty()) {
    std::fprintf(stderr, "adaptive_quality: clips or detections cannot be read\n");
    return 1;
  }
  Replayer replayer(*clips, options.method, options.delay_s, options.foresight);
  std::vector<ComparedRun> runs;
  std::vector<Replay> replays;
  for (const double budget : {.5, .33, .2, .1, .05})
    runs.push_back(std::move(replayer.replay(PolicyKind::kHold, budget).run));
  const std::size_t first = runs.size();
  for (const double budget : options.budgets) {
    replays.push_back(replayer.replay(PolicyKind::kAdaptive, budget));
    runs.push_back(replays.back().run);
  }
  const auto figures = compare_runs(reference_of(*clips), runs);
  std::ofstream save;
  if (!options.save.empty()) save.open(options.save);
  std::printf(
      "budget  share  recall sure   prec   r@.7   macro  macro sure  misses/hold      "
      "sure errors/hold  ms    behind\n");
  for (std::size_t k = first; k < figures.size(); ++k) {
    const RunFigures& f = figures[k];
    const auto& base = f.against_baseline;
    const ErrorRatio misses = base && base->misses ? *base->misses : ErrorRatio{};
    const ErrorRatio errors = base && base->sure_errors ? *base->sure_errors : ErrorRatio{};
    double depth = 0, worst = 0;
    if (base) {
      for (const CameraIndex i : base->clips_behind) {
        const ClipFigures& c = f.clips[i];
        const double gap = std::max(c.baseline->recall - c.figures.recall,
                                    c.baseline->sure_precision - c.figures.sure_precision);
        depth += gap;
        worst = std::max(worst, gap);
      }
    }
    std::printf(
        "%s  %.3f  %.4f %.4f %.4f %.4f %.4f %.4f  %.3f (%.2f-%.2f) %.3f (%.2f-%.2f)  "
        "%.3f  %zu sum %.3f worst %.3f\n",
        f.setting.c_str(), f.share_inferred, f.pooled.recall, f.pooled.sure_precision,
        f.pooled.precision, f.pooled.strict_recall, f.macro ? f.macro->recall : 0,
        f.macro ? f.macro->sure_precision : 0, misses.ratio, misses.low.value_or(0),
        misses.high.value_or(0), errors.ratio, errors.low.value_or(0), errors.high.value_or(0),
        f.motion_ms_per_frame.value_or(0), base ? base->clips_behind.size() : 0, depth, worst);
    const Replay& replay = replays[k - first];
    if (options.shows_errors) {
      print_reasons("misses", replay.misses);
      print_reasons("sure errors", replay.sure_errors);
      std::printf("    misses by age 1-2, 3-5, 6-10, more: %zu %zu %zu %zu\n", replay.miss_ages[0],
                  replay.miss_ages[1], replay.miss_ages[2], replay.miss_ages[3]);
    }
    if (options.shows_clips) print_clips(f, replay, *clips);
    for (std::size_t i = 0; save && save.is_open() && i < clips->size(); ++i) {
      const AgreementCounts& c = f.clips[i].counts;
      save << f.setting << ',' << (*clips)[i].name << ',' << replay.run.inferences[i] << ','
           << (*clips)[i].samples.size() << ',' << c.found << ',' << c.wanted << ',' << c.sure_right
           << ',' << c.sure_given << ',' << c.right << ',' << c.given << ','
           << f.clips[i].strict_found << '\n';
    }
  }
  return 0;
}

std::vector<double> numbers_of(std::string text) {
  std::vector<double> numbers;
  std::ranges::replace(text, ',', ' ');
  const char* at = text.c_str();
  char* end = nullptr;
  for (double value = std::strtod(at, &end); end != at; value = std::strtod(at, &end)) {
    numbers.push_back(value);
    at = end;
  }
  return numbers;
}

/// False: there is no such reason.
bool foresee(std::string names, Foresight& foresight) {
  std::ranges::replace(names, ',', ' ');
  std::istringstream words(names);
  constexpr std::string_view kSure = "sure-";
  for (std::string word; words >> word;) {
    const bool is_sure = word.starts_with(kSure);
    const auto* const reason =
        std::ranges::find(kReasons, is_sure ? word.substr(kSure.size()) : word);
    if (reason == kReasons.end()) return false;
    (is_sure ? foresight.sure_errors
             : foresight.misses)[static_cast<std::size_t>(reason - kReasons.begin())] = true;
  }
  return true;
}

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const bool has_value = i + 1 < argc;
    if (argument == "--clips") {
      options.shows_clips = true;
    } else if (argument == "--errors") {
      options.shows_errors = true;
    } else if (!argument.starts_with("--")) {
      (options.testdata.empty() ? options.testdata : options.detections) = argument;
    } else if (!has_value) {
      return false;
    } else if (argument == "--budgets") {
      options.budgets = numbers_of(argv[++i]);
    } else if (argument == "--delay") {
      options.delay_s = std::strtod(argv[++i], nullptr);
    } else if (argument == "--only") {
      options.only = argv[++i];
    } else if (argument == "--half") {
      options.half = std::atoi(argv[++i]);
    } else if (argument == "--start") {
      options.start = static_cast<unsigned>(std::atoi(argv[++i]));
    } else if (argument == "--foresee") {
      if (!foresee(argv[++i], options.foresight)) return false;
    } else if (argument == "--keep") {
      options.keep = argv[++i];
    } else if (argument == "--save") {
      options.save = argv[++i];
    } else if (argument == "--method") {
      const std::string_view method = argv[++i];
      if (method == "hold") {
        options.method.reset();
      } else {
        options.method = method == "flow"      ? MotionMethod::kFlow
                         : method == "vectors" ? MotionMethod::kVectors
                                               : MotionMethod::kAuto;
      }
    } else {
      return false;
    }
  }
  return !options.detections.empty();
}

}  // namespace
}  // namespace framemill

int main(int argc, char** argv) {
  framemill::Options options;
  if (!framemill::parse(argc, argv, options)) {
    std::fprintf(
        stderr,
        "usage: adaptive_quality TESTDATA DETECTIONS.jsonl [--budgets .2,.1] [--method "
        "auto|flow|vectors|hold] [--delay S] [--clips] [--errors] [--only TEXT] [--half "
        "0|1] [--keep FILE] [--save FILE.csv] [--start SEED] [--foresee [sure-]REASON,...]\n");
    return 2;
  }
  return framemill::run(options);
}
