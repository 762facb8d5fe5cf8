#include "framemill/cli/compare_command.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <numeric>
#include <optional>
#include <system_error>
#include <thread>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include "framemill/base/clock.h"
#include "framemill/base/mutex.h"
#include "framemill/base/replace_file.h"
#include "framemill/base/thread_name.h"
#include "framemill/cli/compare_clips.h"
#include "framemill/cli/compare_figures.h"
#include "framemill/cli/compare_options.h"
#include "framemill/cli/compare_page.h"
#include "framemill/cli/compare_progress.h"
#include "framemill/cli/compare_report.h"
#include "framemill/cli/log_to_stderr.h"
#include "framemill/cli/signal_watch.h"
#include "framemill/engine/engine.h"

namespace framemill {
namespace {

constexpr std::size_t kMissesShown = 12;
constexpr Duration kRedrawPeriod = std::chrono::milliseconds(250);

/// Passes a signal on to the engine that runs now. Thread-safety: all members, any thread.
class StopSwitch {
 public:
  void request_stop() EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    is_stopped_ = true;
    if (engine_ != nullptr) engine_->request_stop();
  }
  [[nodiscard]] bool is_stopped() const EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    return is_stopped_;
  }
  /// `engine` is stopped at once where a stop was requested before. Null: none runs.
  void attach(Engine* engine) EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    engine_ = engine;
    if (is_stopped_ && engine_ != nullptr) engine_->request_stop();
  }

 private:
  mutable Mutex mu_;
  bool is_stopped_ GUARDED_BY(mu_) = false;
  Engine* engine_ GUARDED_BY(mu_) = nullptr;
};

/// Shows how far a run is while it lasts.
class RunTicker {
 public:
  RunTicker(const Engine& engine, double expected, CompareProgress& progress)
      : engine_(engine), expected_(expected), progress_(progress), thread_([this] { run(); }) {}
  RunTicker(const RunTicker&) = delete;
  ~RunTicker() {
    {
      const MutexLock lock(mu_);
      is_over_ = true;
    }
    over_.notify_all();
    thread_.join();
  }

 private:
  void run() EXCLUDES(mu_) {
    name_this_thread("ticker");
    const MutexLock lock(mu_);
    while (!is_over_) {
      over_.wait_for(mu_, kRedrawPeriod);
      if (is_over_ || expected_ <= 0) continue;
      const CameraCounts total = engine_.report().total;
      const auto settled = static_cast<double>(total.sampled() - total.in_flight);
      progress_.show(std::min(settled / expected_, .99));
    }
  }

  const Engine& engine_;
  const double expected_;  ///< sampled frames; 0: not known
  CompareProgress& progress_;
  Mutex mu_;
  CondVar over_;
  bool is_over_ GUARDED_BY(mu_) = false;
  std::thread thread_;  // last member
};

/// One run over all clips.
struct RunOutcome {
  ComparedRun run;
  RunReport report;
};

Duration decode_cpu(const RunReport& report) {
  return std::accumulate(report.cameras.begin(), report.cameras.end(), Duration{0},
                         [](Duration sum, const CameraReport& camera) {
                           return sum + camera.status.source.decode_cpu;
                         });
}

std::int64_t inferences_of(const CameraCounts& counts) {
  return std::accumulate(counts.inferences.begin(), counts.inferences.end(), std::int64_t{0});
}

std::string describe_motion(const RunSettings& settings) {
  std::string text(to_string(settings.engine.motion));
  for (const CameraSettings& camera : settings.cameras) {
    if (camera.motion && *camera.motion != settings.engine.motion)
      text += fmt::format(", {} for {}", to_string(*camera.motion), camera.id);
  }
  return text;
}

/// Runs full inference and each variant, and compares. load(), then compare(). One thread.
class Comparer {
 public:
  Comparer(const CompareRequest& request, const Clock& clock, StopSwitch& stop,
           CompareProgress& progress)
      : request_(request), clock_(clock), stop_(stop), progress_(progress) {}

  /// Errors: those of Engine::create(): nothing was started.
  Result<void> load();
  /// Errors: kUnavailable where a clip fails, kCancelled after a stop, kInternal for a device that
  /// hangs: end the process then.
  Result<Comparison> compare();
  /// What a person should know of the clips, a line each; after compare().
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }

 private:
  Result<std::unique_ptr<Engine>> make_engine(const RunSettings& settings);
  Result<RunOutcome> run(std::unique_ptr<Engine> engine, double expected);
  Result<void> run_variants(const RunOutcome& full, std::vector<ComparedRun>& runs);
  void note_gaps(const RunReport& full, const std::vector<ClipFacts>& clips);
  [[nodiscard]] ComparisonContext describe(const RunReport& full) const;
  [[nodiscard]] std::vector<ComparedCamera> describe_cameras(const RunReport& full) const;

  const CompareRequest& request_;
  const Clock& clock_;
  StopSwitch& stop_;
  CompareProgress& progress_;
  DetectionCache cache_;
  std::vector<std::shared_ptr<const Detector>> models_;
  std::shared_ptr<std::vector<std::vector<ComparedAnswer>>> answers_;  ///< of the engine made last
  std::vector<std::string> notes_;
  std::unique_ptr<Engine> first_;  ///< of full inference
};

Failure stopped() { return fail(ErrorCode::kCancelled, "stopped; no comparison was made"); }

Result<std::unique_ptr<Engine>> Comparer::make_engine(const RunSettings& settings) {
  answers_ = std::make_shared<std::vector<std::vector<ComparedAnswer>>>(settings.cameras.size());
  EngineHooks hooks;
  hooks.cache = &cache_;
  hooks.models = models_;
  hooks.source_option = request_.source_option;
  hooks.on_answer = [answers = answers_](const Answer& answer) {
    // A frame that cannot be decoded can in no run, and says nothing about a policy.
    if (answer.origin == Origin::kNone && answer.drop_reason == DropReason::kFailed) return;
    (*answers)[answer.camera].push_back({.frame_index = answer.stamp.frame_index,
                                         .pts_s = answer.stamp.pts_s,
                                         .origin = answer.origin,
                                         .source_frame_index = answer.source_frame_index,
                                         .detections = answer.detections});
  };
  return Engine::create(settings, clock_, std::move(hooks));
}

Result<void> Comparer::load() {
  progress_.begin("loading models");
  Result<std::unique_ptr<Engine>> engine = make_engine(settings_for_full(request_));
  if (!engine) return fail(engine.error());
  first_ = *std::move(engine);
  models_ = first_->models();
  return {};
}

Result<RunOutcome> Comparer::run(std::unique_ptr<Engine> engine, double expected) {
  RunOutcome outcome;
  engine->start();
  stop_.attach(engine.get());
  {
    const RunTicker ticker(*engine, expected, progress_);
    engine->wait();
  }
  stop_.attach(nullptr);
  outcome.report = engine->finish();
  if (outcome.report.is_device_hung) {
    static_cast<void>(engine.release());  // destroying it would wait for the device for ever
    return fail(ErrorCode::kInternal, "a batch has not come back from its device");
  }
  if (stop_.is_stopped()) return stopped();
  // Those of a clip that is cut off are compared as far as they go; note_gaps() says so.
  const std::vector<std::string> failures = outcome.report.failures(CutFiles::kAreTaken);
  if (!failures.empty())
    return fail(ErrorCode::kUnavailable, fmt::format("{}", fmt::join(failures, "\n")));
  outcome.run.answers = std::move(*answers_);
  for (const CameraReport& camera : outcome.report.cameras)
    outcome.run.inferences.push_back(inferences_of(camera.counts));
  return outcome;
}

Result<void> Comparer::run_variants(const RunOutcome& full, std::vector<ComparedRun>& runs) {
  const auto sampled = static_cast<double>(full.report.total.sampled());
  const std::vector<PolicyVariant>& variants = request_.variants;
  // What decoding costs without vectors. Beside the models, as in the full run, it costs more; runs
  // of `hold` take all that was found from the cache, as those of `adaptive` do.
  Duration plain_decode = decode_cpu(full.report);
  for (std::size_t i = 0; i < variants.size(); ++i) {
    const PolicyVariant& variant = variants[i];
    progress_.begin(fmt::format("{} {} ({} of {})", to_string(variant.policy), variant.label, i + 1,
                                variants.size()));
    Result<std::unique_ptr<Engine>> engine = make_engine(settings_for(request_, variant));
    if (!engine) return fail(engine.error());
    Result<RunOutcome> outcome = run(*std::move(engine), sampled);
    if (!outcome) return fail(outcome.error());
    ComparedRun& done = outcome->run;
    done.policy = to_string(variant.policy);
    done.setting = variant.label;
    if (variant.policy == PolicyKind::kAdaptive && sampled > 0) {
      const Duration decoder_extra = decode_cpu(outcome->report) - plain_decode;
      done.motion_ms_per_frame =
          to_ms(outcome->report.total.motion_cpu + std::max(decoder_extra, Duration{0})) / sampled;
    }
    if (variant.policy == PolicyKind::kHold) plain_decode = decode_cpu(outcome->report);
    runs.push_back(std::move(done));
  }
  return {};
}

void Comparer::note_gaps(const RunReport& full, const std::vector<ClipFacts>& clips) {
  constexpr double kComplete = .9;  // what containers announce may count sound that goes on longer
  for (std::size_t i = 0; i < clips.size(); ++i) {
    const CameraReport& camera = full.cameras[i];
    const auto sampled = static_cast<double>(camera.counts.sampled());
    if (sampled < kComplete * clips[i].sampled_about) {
      notes_.push_back(
          fmt::format("{}: ended after {} of about {:.0f} sampled frames; is it whole?", camera.id,
                      sampled, clips[i].sampled_about));
    }
    const std::int64_t failed = camera.counts.outcomes[static_cast<std::size_t>(Outcome::kFailed)];
    if (failed > 0) {
      notes_.push_back(
          fmt::format("{}: {} sampled frames could not be decoded or inferred and are left out",
                      camera.id, failed));
    }
  }
}

ComparisonContext Comparer::describe(const RunReport& full) const {
  ComparisonContext context;
  context.version = FRAMEMILL_VERSION;
  context.command = request_.command;
  const auto now = std::chrono::floor<std::chrono::seconds>(clock_.wall_now());
  context.made_at =
      fmt::format("{:%Y-%m-%dT%H:%M:%S}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(now)));
  context.environment = full.environment;
  context.model_names = full.model_names;
  context.models = full.models;
  context.motion = describe_motion(request_.settings);
  context.answer_delay = request_.settings.engine.answer_delay;
  const auto inferences = static_cast<double>(inferences_of(full.total));
  if (inferences > 0) context.inference_ms_per_frame = to_ms(full.inference_time) / inferences;
  context.fidelity = request_.fidelity;
  return context;
}

std::vector<ComparedCamera> Comparer::describe_cameras(const RunReport& full) const {
  std::vector<ComparedCamera> cameras;
  const RunSettings& settings = request_.settings;
  for (std::size_t i = 0; i < settings.cameras.size(); ++i) {
    const std::string& model = settings.cameras[i].model;
    std::size_t index = 0;  // an empty name means the first one
    while (!model.empty() && settings.models[index].name != model) ++index;
    cameras.push_back({.id = settings.cameras[i].id,
                       .labels = models_[index]->labels(),
                       .picture_size = full.cameras[i].status.facts.size});
  }
  return cameras;
}

Result<Comparison> Comparer::compare() {
  double expected = 0;
  std::vector<std::string> problems;
  const std::vector<ClipFacts> clips = look_at_clips(request_.settings, clock_);
  for (std::size_t i = 0; i < clips.size(); ++i) {
    if (!clips[i].problem.empty())
      problems.push_back(request_.settings.cameras[i].id + ": " + clips[i].problem);
    expected += clips[i].sampled_about;
  }
  if (!problems.empty())
    return fail(ErrorCode::kUnavailable, fmt::format("{}", fmt::join(problems, "\n")));
  const bool is_expected =
      std::ranges::all_of(clips, [](const ClipFacts& clip) { return clip.sampled_about > 0; });

  if (stop_.is_stopped()) return stopped();
  progress_.begin("full inference");
  const Result<RunOutcome> full = run(std::move(first_), is_expected ? expected : 0);
  if (!full) return fail(full.error());
  note_gaps(full->report, clips);
  std::vector<ComparedRun> runs;
  if (Result<void> done = run_variants(*full, runs); !done) return fail(done.error());

  progress_.begin("figures");
  Comparison comparison;
  comparison.context = describe(full->report);
  comparison.options.seed = request_.seed;
  comparison.cameras = describe_cameras(full->report);
  comparison.runs = compare_runs(full->run.answers, runs, comparison.options);
  comparison.headline = choose_headline(comparison.runs, request_.fidelity);
  if (comparison.headline) {
    comparison.misses = choose_worst_misses(full->run.answers, runs[*comparison.headline],
                                            kMissesShown, comparison.options.thresholds);
  }
  comparison.pictures.resize(comparison.misses.size());
  if (!request_.out_dir.empty()) {
    progress_.begin("pictures");
    comparison.pictures = draw_missed_frames(request_.settings, comparison.misses, clock_,
                                             [this] { return stop_.is_stopped(); });
  }
  if (stop_.is_stopped()) return stopped();
  return comparison;
}

std::string path_in(const std::string& folder, const char* name) {
  return (std::filesystem::path(folder) / name).string();
}

/// Makes the folder and sees whether both files can be written there, before hours are spent.
Result<void> prepare_folder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  std::string reason = error ? error.message() : "";
  for (const char* const name : {kComparePageName, kCompareDocumentName}) {
    const std::string path = path_in(folder, name);
    if (!reason.empty()) break;
    if (std::filesystem::is_directory(path, error)) {
      reason = fmt::format("{} is a folder", name);
      break;
    }
    const std::string part = path + ".part";
    const std::ofstream file(part, std::ios::binary | std::ios::trunc);
    if (!file) reason = std::strerror(errno);
    std::filesystem::remove(part, error);
  }
  if (reason.empty()) return {};
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("--out {}: the report cannot be written there: {}; name a folder that "
                          "can be made and written to",
                          folder, reason));
}

int say(int status, const Error& error) {
  fmt::print(stderr, "framemill: {}\n", error.message());
  return status;
}

/// The page, the document, and what belongs on standard output. Returns the exit status.
int write_out(const Comparison& comparison, const CompareRequest& request) {
  const std::string document = to_compare_json(comparison);
  if (!request.out_dir.empty()) {
    const std::string page_path = path_in(request.out_dir, kComparePageName);
    const std::string document_path = path_in(request.out_dir, kCompareDocumentName);
    Result<void> written = replace_file(document_path, document);
    if (written) written = replace_file(page_path, to_compare_page(comparison));
    if (!written) return say(1, written.error());
    fmt::print(stderr, "page: {}\ndocument: {}\n", page_path, document_path);
  }
  const std::string text = request.is_json_wanted ? document : format_compare_table(comparison);
  const bool is_written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!is_written) {
    return say(1, Error(ErrorCode::kResourceExhausted,
                        fmt::format("standard output: {}", std::strerror(errno))));
  }
  if (request.out_dir.empty() && !request.is_json_wanted)
    fmt::print(stderr, "--out DIR adds a page with curves and pictures of the worst misses\n");
  return 0;
}

}  // namespace

int compare_command(const std::vector<std::string>& args) {
  const Result<CompareRequest> request = parse_compare_options(args);
  if (!request) return say(2, request.error());
  if (request->is_help_wanted) {
    fmt::print("{}", compare_help());
    return 0;
  }
  log_to_stderr("off");  // what fails is reported once, at the end
  if (!request->out_dir.empty()) {
    if (Result<void> prepared = prepare_folder(request->out_dir); !prepared)
      return say(2, prepared.error());
  }
  const SystemClock clock;
  StopSwitch stop;  // outlives the watch
  SignalWatch signals({.loss = "no comparison was made"});
  signals.watch({.stop = [&stop] { stop.request_stop(); }});
  CompareProgress progress(stderr, isatty(STDERR_FILENO) != 0 ? CompareProgress::Style::kRedrawn
                                                              : CompareProgress::Style::kLines);
  Comparer comparer(*request, clock, stop, progress);
  const Result<void> loaded = comparer.load();
  if (!loaded) {
    progress.clear();
    return say(2, loaded.error());
  }
  const Result<Comparison> comparison = comparer.compare();
  progress.clear();
  if (!comparison) {
    const int status = say(1, comparison.error());
    std::fflush(nullptr);
    if (comparison.error().code() == ErrorCode::kInternal) _exit(status);  // see Comparer::compare
    return status;
  }
  for (const std::string& note : comparer.notes()) fmt::print(stderr, "note: {}\n", note);
  return write_out(*comparison, *request);
}

}  // namespace framemill
