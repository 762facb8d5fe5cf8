#include "framemill/cli/bench_command.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include "framemill/base/clock.h"
#include "framemill/base/mutex.h"
#include "framemill/base/replace_file.h"
#include "framemill/cli/bench_page.h"
#include "framemill/cli/bench_report.h"
#include "framemill/cli/compare_progress.h"
#include "framemill/cli/log_to_stderr.h"
#include "framemill/cli/signal_watch.h"
#include "framemill/config/file_clashes.h"
#include "framemill/config/setting_value.h"
#include "framemill/config/validate.h"
#include "framemill/engine/camera_cost.h"
#include "framemill/engine/decode_rate.h"
#include "framemill/engine/detector_options.h"
#include "framemill/engine/fingerprint.h"
#include "framemill/engine/model_profiler.h"
#include "framemill/engine/whole_run.h"
#include "framemill/infer/cpu_quota.h"
#include "framemill/metrics/gpu_meter.h"
#include "framemill/plan/processor_share.h"
#include "framemill/plan/profile_json.h"
#include "framemill/video/ffmpeg_facts.h"
#include "framemill/video/generated_clip.h"
#include "framemill/video/source.h"
#include "framemill/video/synthetic_source.h"

namespace framemill {
namespace {

constexpr int kDone = 0, kFailed = 1, kWrongUsage = 2;
constexpr std::size_t kPictures = 16;
constexpr double kRunRateHz = 10;  ///< sampled of each camera in a run that fills the model
/// Asked for over what the model can do; the last fills it beside decoding.
constexpr std::array<double, 4> kRunLoads{.3, .6, .85, 1.3};
constexpr Duration kRunWarmUp = std::chrono::seconds(1);
constexpr double kRunCamerasMax = 256;

struct BenchRequest {
  ModelSettings model;
  std::string out, page, against;
  std::vector<std::string> clips;
  std::string size = "640x360";
  bool is_quick = false, is_full = false, is_model_alone = false, is_json_wanted = false;
};

int say(int status, const std::string& message) {
  fmt::print(stderr, "framemill bench: {}\n", message);
  return status;
}

/// A stop for whatever runs now. Thread-safety: all members, any thread.
class BenchStop {
 public:
  void request_stop() EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    is_stopped_ = true;
    if (bench_ != nullptr) bench_->request_stop();
  }
  [[nodiscard]] bool is_stopped() const EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    return is_stopped_;
  }
  /// Null: none runs.
  void attach(ModelProfiler* bench) EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    bench_ = bench;
    if (is_stopped_ && bench_ != nullptr) bench_->request_stop();
  }

 private:
  mutable Mutex mu_;
  bool is_stopped_ GUARDED_BY(mu_) = false;
  ModelProfiler* bench_ GUARDED_BY(mu_) = nullptr;
};

/// A folder for generated clips that goes when the object does.
class ClipFolder {
 public:
  ClipFolder() {
    std::error_code error;
    std::string name =
        (std::filesystem::temp_directory_path(error) / "framemill-bench-XXXXXX").string();
    if (!error && mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~ClipFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  ClipFolder(const ClipFolder&) = delete;
  /// Empty where none could be made.
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::optional<Size> parse_size(const std::string& text) {
  Size size;
  int end = 0;
  const int read = std::sscanf(text.c_str(), "%5dx%5d%n", &size.width, &size.height, &end);
  const bool is_size = read == 2 && static_cast<std::size_t>(end) == text.size() &&
                       size.width >= 16 && size.height >= 16 && size.width <= 8192 &&
                       size.height <= 8192 && size.width % 2 == 0 && size.height % 2 == 0;
  return is_size ? std::optional(size) : std::nullopt;
}

void declare(CLI::App& app, BenchRequest& request) {
  app.name("framemill bench");
  app.description(
      "Measures a model on this machine: how many frames a second, how long a batch takes, with\n"
      "how many frames a batch and how many batches at once; and what decoding costs.\n\n"
      "  framemill bench yolo11n_640x384.onnx --out profile.json --page bench.html\n"
      "  framemill bench model.xml --clip gate.mp4 --out profile.json\n");
  app.footer(
      "\nThe table, or the profile with --json, goes to standard output, progress and warnings to\n"
      "standard error. SIGINT or SIGTERM ends it with status 0 and writes nothing; a second one\n"
      "ends it at once. Exit status: 0 done, 1 the work failed, 2 wrong usage.\n"
      "docs/bench.md says how to read the figures.");
  app.add_option("MODEL", request.model.path, ".onnx or .xml")->required()->option_text("");
  app.add_option("--runtime", request.model.runtime,
                 "auto, openvino or onnxruntime. Default: auto.")
      ->option_text("R")
      ->check(CLI::IsMember({"auto", "openvino", "onnxruntime"}));
  app.add_option("--device", request.model.device,
                 "auto, or as the runtime names it: CPU, GPU, cuda:0. Default: auto.")
      ->option_text("D");
  app.add_option("--precision", request.model.precision,
                 "auto, fp32, fp16 or bf16: arithmetic of floating-point layers. Default: auto.")
      ->option_text("P")
      ->check(CLI::IsMember({"auto", "fp32", "fp16", "bf16"}));
  app.add_option("--labels", request.model.labels, "coco, or a file with one label a line.")
      ->option_text("L");
  app.add_option("--head", request.model.head,
                 "auto, v8, v5, yolox, yolox_decoded or end2end. Default: auto.")
      ->option_text("H");
  app.add_option("--clip", request.clips,
                 "Pictures and decoding from this file, several times for several. Default: "
                 "generated ones.")
      ->option_text("FILE")
      ->allow_extra_args(false);
  app.add_option("--size", request.size,
                 "Of generated pictures; a model of any size takes its own from it. Default: "
                 "640x360.")
      ->option_text("WxH");
  CLI::Option* const out =
      app.add_option("--out", request.out, "Writes the profile, for plan, simulate and verify.")
          ->option_text("FILE");
  CLI::Option* const page =
      app.add_option("--page", request.page, "Writes an HTML page with curves.")
          ->option_text("FILE");
  app.add_option("--against", request.against,
                 "Compares with this older profile. Default: the one that --out replaces.")
      ->option_text("FILE");
  CLI::Option* const quick = app.add_flag(
      "--quick", request.is_quick, "A few seconds in place of a minute or two; figures for a try.");
  app.add_flag("--full", request.is_full, "Every batch with every number of streams.")
      ->excludes(quick);
  app.add_flag("--model-only", request.is_model_alone,
               "The model alone, without decoding and whole runs: to hold models against each "
               "other, not to plan with.")
      ->excludes(out)
      ->excludes(page);
  app.add_flag("--json", request.is_json_wanted, "Prints the profile in place of the table.");
}

/// Neither output overwrites what is read, nor the other one. What --against names may be replaced:
/// it is compared with before.
Result<void> check_outputs(const BenchRequest& request) {
  FileClashes files;
  files.add_model("MODEL", request.model.path);
  for (const std::string& clip : request.clips) files.add_input("--clip", clip);
  if (request.model.labels != "coco") files.add_input("--labels", request.model.labels);
  const auto check = [&files](const char* option, const std::string& path) -> Result<void> {
    const std::string problem = files.add_output(option, path);
    if (problem.empty()) return {};
    return fail(ErrorCode::kInvalidArgument, fmt::format("{}: {}", option, problem));
  };
  if (Result<void> checked = check("--out", request.out); !checked) return checked;
  files.add_input("--against", request.against);
  return check("--page", request.page);
}

/// What can be said about the request before anything is started.
Result<void> check_request(const BenchRequest& request) {
  const auto wrong = [](std::string message) {
    return fail(ErrorCode::kInvalidArgument, std::move(message));
  };
  if (Result<void> path = check_model_path(request.model.path); !path) return path;
  std::error_code error;
  if (!std::filesystem::exists(request.model.path, error))
    return wrong(fmt::format("{}: there is no such file", request.model.path));
  if (!parse_size(request.size))
    return wrong(
        fmt::format("--size: {} is not a size; write even sides from 16 to 8192, such as "
                    "640x360",
                    quote(request.size)));
  for (const std::string& clip : request.clips) {
    if (!std::filesystem::is_regular_file(clip, error))
      return wrong(fmt::format("--clip: {}: there is no such file", clip));
  }
  if (Result<void> checked = check_outputs(request); !checked) return checked;
  const std::pair<const char*, const std::string*> files[] = {{"--out", &request.out},
                                                              {"--page", &request.page}};
  for (const auto& [option, path] : files) {
    if (path->empty()) continue;
    if (Result<void> writable = check_replaceable(*path); !writable)
      return wrong(fmt::format("{} {}; name a file in a folder that you may write to", option,
                               writable.error().message()));
  }
  return {};
}

/// The older profile to compare with, and its name; none where there is none, or where --out
/// replaces one that another framemill wrote.
struct Before {
  std::string name;
  std::optional<DeviceProfile> profile;
};
Result<Before> read_before(const BenchRequest& request) {
  Before before;
  std::error_code error;
  if (!request.against.empty())
    before.name = request.against;
  else if (!request.out.empty() && std::filesystem::exists(request.out, error))
    before.name = request.out;
  if (before.name.empty()) return before;
  Result<DeviceProfile> profile = read_profile(before.name);
  if (!profile && !request.against.empty()) return fail(profile.error().at("--against"));
  if (!profile && profile.error().code() == ErrorCode::kUnsupported) return Before{};
  if (!profile)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("--out would replace a file that is no whole profile: {} (or remove "
                            "that file, or name another one)",
                            profile.error().message()));
  before.profile = *std::move(profile);
  return before;
}

Result<std::vector<std::shared_ptr<const Picture>>> read_pictures(const std::string& clip,
                                                                  const Clock& clock) {
  SourceOptions options;
  options.url = clip;
  options.pace = Pace::kFast;
  options.sampling = {.every = 10};
  const Result<std::unique_ptr<Source>> source = create_source(options, clock);
  if (!source) return fail(source.error());
  if (Result<void> opened = (*source)->open(); !opened) return fail(opened.error());
  std::vector<std::shared_ptr<const Picture>> pictures;
  while (pictures.size() < kPictures) {
    Result<std::optional<SourceFrame>> frame = (*source)->read();
    if (!frame) return fail(frame.error());
    if (!*frame) break;
    const auto& picture = (*frame)->picture;
    if (picture && (pictures.empty() || picture->size == pictures.front()->size))
      pictures.push_back(picture);
  }
  if (pictures.empty())
    return fail(ErrorCode::kInvalidArgument, fmt::format("{}: holds no pictures", clip));
  return pictures;
}

std::vector<std::shared_ptr<const Picture>> paint_pictures(Size size) {
  const SyntheticPainter painter({.size = size, .objects = 5});
  std::vector<std::shared_ptr<const Picture>> pictures;
  for (std::size_t i = 0; i < kPictures; ++i)
    pictures.push_back(painter.paint(static_cast<std::int64_t>(i) * 10));
  return pictures;
}

/// Makes, decodes and infers. run() once. One thread.
class Bencher {
 public:
  Bencher(const BenchRequest& request, const Clock& clock, BenchStop& stop,
          CompareProgress& progress)
      : request_(request), clock_(clock), stop_(stop), progress_(progress) {}

  /// Errors: kInvalidArgument and kUnsupported where the model or a clip is not usable: nothing was
  /// measured; kCancelled; others where the work failed.
  Result<DeviceProfile> run();
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }

 private:
  Result<void> measure_decoding(DeviceProfile& profile);
  Result<ModelMeasurement> measure_model();
  void measure_camera(DeviceProfile& profile);
  void measure_runs(DeviceProfile& profile);
  void describe(DeviceProfile& profile, const ModelMeasurement& result) const;
  [[nodiscard]] std::vector<GeneratedClip> clips_to_generate() const;

  const BenchRequest& request_;
  const Clock& clock_;
  BenchStop& stop_;
  CompareProgress& progress_;
  ClipFolder folder_;
  std::vector<std::shared_ptr<const Picture>> pictures_;
  std::string beside_clip_;  ///< decoded beside the model; empty: none
  std::string beside_;       ///< it in words
  GpuMeter cards_;
  std::vector<GpuReading> cards_before_;  ///< before a model was loaded
  std::vector<std::string> notes_;
};

std::vector<GeneratedClip> Bencher::clips_to_generate() const {
  std::vector<GeneratedClip> clips{{.codec = "h264", .size = {640, 360}}};
  if (request_.is_quick) return clips;
  clips.push_back({.codec = "h264", .size = {1280, 720}});
  clips.push_back({.codec = "h264", .size = {1920, 1080}, .frames = 25});
  clips.push_back({.codec = "hevc", .size = {640, 360}});
  clips.push_back({.codec = "hevc", .size = {1280, 720}, .frames = 25});
  clips.push_back({.codec = "hevc", .size = {1920, 1080}, .frames = 15});
  clips.push_back({.codec = "mjpeg", .size = {640, 360}, .frames = 25});
  clips.push_back({.codec = "mjpeg", .size = {1280, 720}, .frames = 25});
  return clips;
}

Result<void> Bencher::measure_decoding(DeviceProfile& profile) {
  const Duration least = std::chrono::milliseconds(request_.is_quick ? 100 : 500);
  const auto cancelled = [] { return fail(ErrorCode::kCancelled, "stopped"); };
  for (const std::string& clip : request_.clips) {
    if (stop_.is_stopped()) return cancelled();
    progress_.begin(fmt::format("decoding {}", clip));
    Result<DecodeRate> rate = measure_decode_rate(clip, least, clock_);
    if (!rate) return fail(rate.error().at("--clip"));
    if (beside_clip_.empty()) {
      beside_clip_ = clip;
      beside_ = fmt::format("{} ({} {}x{})", std::filesystem::path(clip).filename().string(),
                            rate->codec, rate->size.width, rate->size.height);
    }
    profile.decode.push_back(*std::move(rate));
  }
  if (!request_.clips.empty()) return {};
  if (folder_.path().empty()) {
    notes_.emplace_back("decoding was not measured: no temporary folder could be made");
    return {};
  }
  for (const GeneratedClip& clip : clips_to_generate()) {
    if (stop_.is_stopped()) return cancelled();
    const std::string name = fmt::format("{} {}x{}", clip.codec, clip.size.width, clip.size.height);
    progress_.begin(fmt::format("decoding {}", name));
    const std::string path = fmt::format("{}/{}.mkv", folder_.path(), profile.decode.size());
    if (const Result<void> made = generate_clip(clip, path); !made) {
      notes_.push_back(fmt::format("{} was not decoded: {}", name, made.error().message()));
      continue;
    }
    if (stop_.is_stopped()) return cancelled();
    Result<DecodeRate> rate = measure_decode_rate(path, least, clock_);
    if (!rate) {
      notes_.push_back(fmt::format("{} was not decoded: {}", name, rate.error().message()));
      continue;
    }
    if (beside_clip_.empty()) {
      beside_clip_ = path;
      beside_ = fmt::format("generated {} at {}/s, {} bits a pixel", name, clip.rate_hz,
                            clip.bits_per_pixel);
    }
    profile.decode.push_back(*std::move(rate));
  }
  notes_.emplace_back(
      "decoding was measured on generated clips of .1 bits a pixel; cameras of other bit rates "
      "cost "
      "more or less: --clip measures yours");
  return {};
}

Result<ModelMeasurement> Bencher::measure_model() {
  ModelProfilerOptions options;
  options.pictures = pictures_;
  options.is_grid_wanted = request_.is_full;
  options.beside_clip = beside_clip_;
  options.read_cards = [this] { return cards_.read(); };
  options.cards_before = cards_before_;
  const std::size_t cores = usable_core_count();
  options.decoders = {std::min<std::size_t>(4 * cores, 64), std::min<std::size_t>(16 * cores, 256)};
  if (request_.is_quick) {
    options.warm_up = std::chrono::milliseconds(100);
    options.window = std::chrono::milliseconds(150);
    options.window_batches_min = 3;
    options.windows_max = 3;
    options.streams_max = 2;
    options.is_border_checked = false;
    options.decoders = {std::min<std::size_t>(8 * cores, 128)};  // fewer cost less than noise
  }
  if (request_.is_model_alone) options.decoders.clear();
  const auto load = [this](std::size_t streams) -> Result<std::unique_ptr<Detector>> {
    EngineSettings engine;
    engine.streams = streams;
    Result<DetectorOptions> detector = detector_options(request_.model, engine);
    if (!detector) return fail(detector.error());
    detector->expected_source = pictures_.front()->size;
    return Detector::load(*detector);
  };
  const auto on_step = [this](const std::string& step, double done) {
    progress_.begin(fmt::format("{:3.0f} % {}", done * 100, step));
  };
  ModelProfiler bench(std::move(options), load, clock_, on_step);
  stop_.attach(&bench);
  Result<ModelMeasurement> result = bench.measure();
  stop_.attach(nullptr);
  return result;
}

void Bencher::measure_camera(DeviceProfile& profile) {
  if (beside_clip_.empty()) return;
  progress_.begin("a camera beside the model");
  Result<CameraCost> cost = measure_camera_cost(request_.model, beside_clip_, clock_);
  if (!cost) {
    notes_.push_back(
        fmt::format("what a camera costs was not measured: {}", cost.error().message()));
    return;
  }
  profile.camera = *cost;
  if (profile.device == "CPU") measure_runs(profile);  // elsewhere cameras take nothing of it
}

/// Batches as they are in whole runs, from much time to spare to none; and of the runs that ask for
/// more than the model can do, what is missing beyond what decoding and carrying explain.
void Bencher::measure_runs(DeviceProfile& profile) {
  const ServicePoint* const alone = find_run_point(profile, 0);
  if (alone == nullptr) return;
  const Duration length = std::chrono::milliseconds(request_.is_quick ? 2000 : 6000);
  RunLoad load{.rate_hz = kRunRateHz, .batch = profile.knee_batch};
  const auto measure = [&](double share, PolicyKind policy) -> std::optional<RunPoint> {
    load.policy = policy;
    load.cameras = static_cast<std::size_t>(
        std::clamp(std::round(share * alone->frames_per_s / load.rate_hz), 1.0, kRunCamerasMax));
    progress_.begin(fmt::format("a run of {} cameras, policy {}", load.cameras, to_string(policy)));
    Result<RunPoint> run =
        measure_run(request_.model, beside_clip_, load, kRunWarmUp, length, clock_);
    if (run) return *std::move(run);
    notes_.push_back(fmt::format("a run of {} cameras was not measured: {}", load.cameras,
                                 run.error().message()));
    return std::nullopt;
  };
  const auto add_loss = [&](const RunPoint& run, bool is_carried, double& sample_s) {
    const double sampled_per_s = static_cast<double>(run.cameras) * run.rate_hz;
    if (sampled_per_s < 1.1 * alone->frames_per_s) return;  // not enough to fill the model
    CamerasBeside cameras = cameras_of(profile, run);
    cameras.is_carried = is_carried;
    const double lost = alone->cpu_cores * (1 - run.frames_per_s / alone->frames_per_s);
    sample_s = std::max(0.0, (lost - cores_beside(profile, {&cameras, 1})) / sampled_per_s);
  };
  for (const double share : kRunLoads) {
    if (stop_.is_stopped()) return;
    std::optional<RunPoint> run = measure(share, PolicyKind::kFull);
    if (!run) return;
    if (!profile.runs.empty() && profile.runs.back().cameras == run->cameras) continue;
    profile.runs.push_back(*std::move(run));
  }
  add_loss(profile.runs.back(), false, profile.camera->sample_s);
  if (stop_.is_stopped()) return;
  const std::optional<RunPoint> carried = measure(kRunLoads.back(), PolicyKind::kAdaptive);
  if (carried) add_loss(*carried, true, profile.camera->carried_sample_s);
}

void Bencher::describe(DeviceProfile& profile, const ModelMeasurement& result) const {
  profile.device = result.facts.device;
  profile.device_name = result.facts.device_name;
  profile.model = std::filesystem::path(result.facts.path).filename().string();
  profile.model_sha256 = result.facts.hash;
  profile.precision = result.facts.precision;
  profile.input = result.input;
  profile.measured_at = std::chrono::floor<std::chrono::milliseconds>(clock_.wall_now());
  profile.knee_batch = result.knee_batch;
  profile.knee_streams = result.knee_streams;
  profile.run_streams = result.run_streams;
  profile.points = result.points;
  auto& environment = profile.environment;
  environment = read_machine_fingerprint();
  environment.merge(read_model_fingerprint(request_.model, result.facts));
  environment["framemill"] = FRAMEMILL_VERSION;
  environment["ffmpeg"] = read_ffmpeg_facts().version;
  environment["pictures"] =
      fmt::format("{} {}x{}", request_.clips.empty() ? "synthetic" : "of " + request_.clips.front(),
                  pictures_.front()->size.width, pictures_.front()->size.height);
  if (!beside_.empty()) environment["decoded_beside"] = beside_ + ", sampled at 10/s";
  environment["other_load_cores"] = fmt::format("{:.2f}", result.other_load_cores);
  environment["bench"] = request_.is_quick ? "quick" : request_.is_full ? "full" : "standard";
}

Result<DeviceProfile> Bencher::run() {
  DeviceProfile profile;
  cards_before_ = cards_.read();
  if (request_.clips.empty()) {
    pictures_ = paint_pictures(*parse_size(request_.size));
  } else {
    auto pictures = read_pictures(request_.clips.front(), clock_);
    if (!pictures) return fail(pictures.error().at("--clip"));
    pictures_ = *std::move(pictures);
  }
  {
    // Said within a second or two, not after the clips were made.
    progress_.begin("loading the model");
    Result<DetectorOptions> detector = detector_options(request_.model, EngineSettings{});
    if (!detector) return fail(detector.error());
    detector->expected_source = pictures_.front()->size;
    const auto loaded = Detector::load(*detector);
    if (!loaded) return fail(loaded.error());
  }
  if (!request_.is_model_alone) {
    if (Result<void> decoded = measure_decoding(profile); !decoded) return fail(decoded.error());
  }
  Result<ModelMeasurement> result = measure_model();
  if (!result) {
    const ErrorCode code = result.error().code();
    // The model has loaded before, so what fails now is no wrong usage.
    return fail(code == ErrorCode::kCancelled ? code : ErrorCode::kInternal,
                result.error().message());
  }
  describe(profile, *result);
  measure_camera(profile);
  notes_.insert(notes_.end(), result->notes.begin(), result->notes.end());
  if (result->other_load_cores > .1)
    notes_.push_back(fmt::format(
        "other work on the machine took {:.2f} cores meanwhile: the model is faster on an idle one",
        result->other_load_cores));
  if (request_.is_quick)
    notes_.emplace_back("--quick: short windows, not repeated; measure without it before planning");
  return profile;
}

/// The files, and what belongs on standard output. Returns the exit status.
int write_out(const DeviceProfile& profile, const BenchRequest& request, const Before& before,
              const std::vector<std::string>& notes) {
  BenchPageExtras extras{.notes = notes};
  if (before.profile) {
    extras.before_name = before.name;
    extras.change = compare_profiles(*before.profile, profile);
  }
  const std::string document = profile_to_json(profile);
  if (!request.out.empty()) {
    if (Result<void> written = replace_file(request.out, document); !written)
      return say(kFailed, written.error().message());
  }
  if (!request.page.empty()) {
    const Result<void> written = replace_file(request.page, to_bench_page(profile, extras));
    if (!written) return say(kFailed, written.error().message());
  }
  const std::string text = request.is_json_wanted ? document : format_bench_table(profile);
  const bool is_written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!is_written) return say(kFailed, fmt::format("standard output: {}", std::strerror(errno)));
  for (const std::string& note : notes) fmt::print(stderr, "note: {}\n", note);
  if (before.profile) fmt::print(stderr, "{}", format_bench_change(extras.change, before.name));
  if (!request.out.empty()) fmt::print(stderr, "profile: {}\n", request.out);
  if (!request.page.empty()) fmt::print(stderr, "page: {}\n", request.page);
  if (request.out.empty() && !request.is_json_wanted && !request.is_model_alone)
    fmt::print(stderr, "--out profile.json keeps the profile for plan, simulate and verify\n");
  return kDone;
}

}  // namespace

int bench_command(const std::vector<std::string>& args) {
  BenchRequest request;
  CLI::App app;
  declare(app, request);
  try {
    app.parse(std::vector<std::string>(args.rbegin(), args.rend()));
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return kDone;
  } catch (const CLI::Error& error) {
    return say(kWrongUsage, fmt::format("{}; see framemill bench --help", error.what()));
  }
  if (Result<void> checked = check_request(request); !checked)
    return say(kWrongUsage, checked.error().message());
  const Result<Before> before = read_before(request);
  if (!before) return say(kWrongUsage, before.error().message());
  log_to_stderr("off");  // what fails is reported once, at the end

  const SystemClock clock;
  BenchStop stop;
  SignalWatch signals({.loss = "nothing was written"});
  CompareProgress progress(stderr, isatty(STDERR_FILENO) != 0 ? CompareProgress::Style::kRedrawn
                                                              : CompareProgress::Style::kLines);
  signals.watch({.stop = [&stop] { stop.request_stop(); }});
  auto bencher = std::make_unique<Bencher>(request, clock, stop, progress);
  const Result<DeviceProfile> profile = bencher->run();
  progress.clear();
  if (profile && !stop.is_stopped()) return write_out(*profile, request, *before, bencher->notes());
  if (stop.is_stopped()) return say(kDone, "stopped; nothing was written");
  const ErrorCode code = profile.error().code();
  say(kFailed, profile.error().message());
  if (code == ErrorCode::kInternal) {
    std::fflush(nullptr);
    _exit(kFailed);  // a device may hang; leaving in order would wait for it for ever
  }
  // A model, device or clip that cannot be used is wrong usage: nothing was measured.
  const bool is_usage = code == ErrorCode::kInvalidArgument || code == ErrorCode::kUnsupported ||
                        code == ErrorCode::kNotFound;
  return is_usage ? kWrongUsage : kFailed;
}

}  // namespace framemill
