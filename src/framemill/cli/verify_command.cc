#include "framemill/cli/verify_command.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <optional>
#include <ostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "framemill/base/content_hash.h"
#include "framemill/cli/log_to_stderr.h"
#include "framemill/cli/signal_watch.h"
#include "framemill/cli/verify_report.h"
#include "framemill/cli/verify_settings.h"
#include "framemill/config/duration.h"
#include "framemill/config/workload.h"
#include "framemill/engine/camera_cost.h"
#include "framemill/engine/engine.h"
#include "framemill/engine/group_meter.h"
#include "framemill/engine/model_speed.h"
#include "framemill/plan/processor_share.h"
#include "framemill/plan/profile_json.h"
#include "framemill/plan/simulator.h"
#include "framemill/sched/start_phase.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;
constexpr Duration kWarmUp = 5s;  // models and estimates of service times settle
constexpr Duration kTail = 1s;    // the last frames of the window are answered
constexpr Duration kLengthMin = 5s;
constexpr Duration kLengthMax = 1h;
constexpr Duration kSimulatedLength = 60s;
constexpr Duration kPlayedJitter = 500us;
constexpr std::size_t kPriorities = 3;

struct Options {
  std::string workload;
  std::vector<std::string> profiles;
  LoadSource source;
  std::string length = "30s";
  bool is_json = false;
  bool is_played = true;
};

/// The models on disk are those that were profiled.
Result<void> check_models(const RunSettings& settings, const std::vector<DeviceProfile>& profiles) {
  for (const ModelSettings& model : settings.models) {
    const std::filesystem::path path(model.path);
    std::vector<std::string> files{model.path};
    if (path.extension() == ".xml") {
      files.push_back(std::filesystem::path(path).replace_extension(".bin").string());
    }
    const Result<std::string> hash = hash_files(files);
    if (!hash) return fail(hash.error());
    for (const DeviceProfile& profile : profiles) {
      if (profile.model != path.filename().string() || profile.model_sha256 == *hash) continue;
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("{}: is not the file that the profile of {} was measured with; "
                              "measure it again: framemill bench {}",
                              model.path, profile.model, model.path));
    }
  }
  return {};
}

/// What is played batches as what is predicted: at the profile's knee, not at one measured again in
/// a second at the start. With several models of different knees the engine keeps its own rule.
void set_batch(RunSettings& settings, const std::vector<DeviceProfile>& profiles) {
  const std::size_t knee = profiles.front().knee_batch;
  const bool is_one = std::ranges::all_of(
      profiles, [knee](const DeviceProfile& profile) { return profile.knee_batch == knee; });
  if (is_one) settings.engine.batch = std::to_string(knee);
}

LoadFigures predicted_of(const ClassFigures& figures, Duration length) {
  const double seconds = to_seconds(length);
  const auto answered = static_cast<double>(figures.inferred + figures.propagated + figures.reused);
  LoadFigures load;
  load.sampled_per_s = static_cast<double>(figures.sampled) / seconds;
  load.in_time_per_s = (answered - static_cast<double>(figures.not_on_time)) / seconds;
  load.inferred_per_s = static_cast<double>(figures.inferred) / seconds;
  load.share_inferred = figures.sampled > 0 ? static_cast<double>(figures.inferred) /
                                                  static_cast<double>(figures.sampled)
                                            : 0;
  load.p50 = figures.inferred_latency.percentile(.5);
  load.p95 = figures.inferred_latency.percentile(.95);
  load.p99 = figures.inferred_latency.percentile(.99);
  return load;
}

LoadFigures measured_of(const GroupFigures& figures, Duration length) {
  const double seconds = to_seconds(length);
  const auto sampled = static_cast<double>(figures.sampled());
  const auto inferred =
      static_cast<double>(figures.outcomes[static_cast<std::size_t>(Outcome::kInferred)]);
  LoadFigures load;
  load.sampled_per_s = sampled / seconds;
  load.in_time_per_s = static_cast<double>(figures.answered() - figures.overdue) / seconds;
  load.inferred_per_s = inferred / seconds;
  load.share_inferred = sampled > 0 ? inferred / sampled : 0;
  load.p50 = figures.inferred_latency.percentile(.5);
  load.p95 = figures.inferred_latency.percentile(.95);
  load.p99 = figures.inferred_latency.percentile(.99);
  return load;
}

/// What is simulated has to cost what is played: painting pictures is not decoding them, so its
/// cost is measured first.
Result<SimulatedSite> make_synthetic_site(Workload workload, std::vector<DeviceProfile> profiles,
                                          const RunSettings& settings, std::uint32_t seed) {
  static const SystemClock clock;
  const CameraSettings& camera = settings.cameras.front();
  const auto model = std::ranges::find(settings.models, camera.model, &ModelSettings::name);
  const Result<CameraCost> cost = measure_camera_cost(*model, camera.url, clock);
  if (!cost) return fail(cost.error());
  for (DeviceProfile& profile : profiles) {
    profile.decode = {{.codec = "synthetic",
                       .size = workload.cameras.front().resolution,
                       .frames_per_core_s = 1 / std::max(1e-9, cost->decode_s)}};
  }
  for (CameraGroup& group : workload.cameras) group.codec = "synthetic";
  return make_site(workload, profiles, 1, kSimulatedLength, seed);
}

/// How fast the models are now, over what their profiles say; the mean of all.
Result<double> measure_speed(const RunSettings& settings,
                             const std::vector<DeviceProfile>& profiles, Size size) {
  static const SystemClock clock;
  double sum = 0;
  double count = 0;
  for (const ModelSettings& model : settings.models) {
    for (const DeviceProfile& profile : profiles) {
      const ServicePoint* const knee = find_run_point(profile, 0);
      if (profile.model != std::filesystem::path(model.path).filename().string() || knee == nullptr)
        continue;
      const Result<double> now = measure_model_speed(model, size, profile.knee_batch, clock);
      if (!now) return fail(now.error());
      sum += *now / knee->frames_per_s;
      ++count;
    }
  }
  return count > 0 ? sum / count : 1;
}

/// The site as this process plays it: sources keep their pace to a fraction of a millisecond.
/// Synthetic ones start at known phases; where in a period the frames of a clip fall is chance, so
/// that what is predicted is the mean over many.
DeviceFigures simulate_played(const SimulatedSite& site, bool is_chance, double speed) {
  SimulatedDevice device = site.devices.front();
  if (speed != 1) device.speed = {{Duration::zero(), speed}};
  device.jitter = kPlayedJitter;
  for (std::size_t i = 0; i < device.cameras.size() && !is_chance; ++i) {
    device.cameras[i].phase = start_phase(i);
  }
  const int rounds = is_chance ? 12 : 1;
  device.length = kSimulatedLength / rounds;
  DeviceFigures figures;
  for (int i = 0; i < rounds; ++i, ++device.seed) figures.merge(simulate_device(device));
  return figures;
}

/// Everything that is known before the cameras start.
struct Prepared {
  LoadPlan load;
  std::vector<std::size_t> priority_of_camera;
  std::array<std::int64_t, kPriorities> cameras{};
  VerifyReport report;
  std::array<LoadFigures, kPriorities> predicted;
  std::array<LoadFigures, kPriorities> predicted_at_speed;
};

Result<Prepared> prepare(Options options) {
  const Result<Duration> length = parse_duration(options.length);
  if (!length) return fail(length.error().at("--for"));
  if (*length < kLengthMin || *length > kLengthMax) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("--for: {} is out of range; give {} to {}", options.length,
                            format_duration(kLengthMin), format_duration(kLengthMax)));
  }
  const Result<Workload> workload = load_workload(options.workload);
  if (!workload) return fail(workload.error());
  std::vector<DeviceProfile> profiles;
  for (const std::string& path : options.profiles) {
    Result<DeviceProfile> profile = read_profile(path);
    if (!profile) return fail(profile.error());
    profiles.push_back(*std::move(profile));
  }
  options.source.run_for = kWarmUp + *length + kTail;
  Result<LoadPlan> load = plan_load(*workload, options.source);
  if (!load) return fail(load.error());
  if (const Result<void> same = check_models(load->settings, profiles); !same) {
    return fail(same.error());
  }
  set_batch(load->settings, profiles);
  Result<SimulatedSite> site =
      options.source.clips.empty()
          ? make_synthetic_site(*workload, profiles, load->settings, options.source.seed)
          : make_site(*workload, profiles, 1, kSimulatedLength, options.source.seed);
  if (!site) return fail(site.error());
  const bool is_chance = !options.source.clips.empty();
  const DeviceFigures simulated = simulate_played(*site, is_chance, 1);

  Prepared prepared{.load = *std::move(load)};
  prepared.report = {.workload = workload->name,
                     .length = options.is_played ? *length : Duration::zero(),
                     .capacity_per_s = site->capacity_per_s,
                     .demand_per_s = site->demand_per_s};
  for (const CameraSettings& camera : prepared.load.settings.cameras) {
    const auto priority = static_cast<std::size_t>(camera.priority);
    prepared.priority_of_camera.push_back(priority);
    ++prepared.cameras[priority];
  }
  for (std::size_t i = 0; i < kPriorities; ++i) {
    prepared.predicted[i] = predicted_of(simulated.classes[i], kSimulatedLength);
  }
  if (!options.is_played) return prepared;
  const Result<double> speed =
      measure_speed(prepared.load.settings, profiles, workload->cameras.front().resolution);
  if (!speed) return fail(speed.error());
  prepared.report.speed = *speed;
  const DeviceFigures at_speed = simulate_played(*site, is_chance, *speed);
  for (std::size_t i = 0; i < kPriorities; ++i) {
    prepared.predicted_at_speed[i] = predicted_of(at_speed.classes[i], kSimulatedLength);
  }
  return prepared;
}

/// A line of the report, where there are such cameras.
void add_class(Prepared& prepared, std::size_t priority, std::optional<LoadFigures> measured) {
  if (prepared.cameras[priority] == 0) return;
  VerifiedClass verified{.priority = static_cast<Priority>(priority),
                         .cameras = prepared.cameras[priority],
                         .predicted = prepared.predicted[priority],
                         .measured = std::move(measured)};
  if (prepared.report.speed) verified.predicted_at_speed = prepared.predicted_at_speed[priority];
  prepared.report.classes.push_back(std::move(verified));
}

CLI::App* add_options(CLI::App& app, Options& options) {
  app.name("framemill verify");
  app.add_option("WORKLOAD", options.workload, "Camera groups, as for plan.")
      ->required()
      ->option_text("YAML");
  app.add_option("--profile", options.profiles, "What bench measured here; one a model.")
      ->required()
      ->option_text("JSON...");
  app.add_option("--models", options.source.models_dir,
                 "Where the models that the workload names lie (default: here).")
      ->option_text("DIR");
  app.add_option("--clip", options.source.clips,
                 "Played in turn, looped, as the cameras; default: synthetic pictures, which cost "
                 "no decoding.")
      ->option_text("FILE...");
  app.add_option("--for", options.length,
                 "What is measured, after 5 s of warming up (default 30s).")
      ->option_text("DURATION");
  app.add_option("--seed", options.source.seed, "Of the offsets in the clips (default 1).")
      ->option_text("N");
  app.add_flag("!--predict", options.is_played, "Says what is predicted, and plays nothing.");
  app.add_flag("--json", options.is_json, "As a JSON document.");
  return &app;
}

}  // namespace

int verify_command(const std::vector<std::string>& arguments, std::ostream& out,
                   std::ostream& err) {
  Options options;
  CLI::App app("Plays a workload on this machine, and prints predicted beside measured.");
  add_options(app, options);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    out << app.help();
    return kDone;
  } catch (const CLI::Error& error) {
    err << fmt::format("framemill verify: {}; see framemill verify --help\n", error.what());
    return kWrongUsage;
  }
  const auto refuse = [&err](const Error& error) {
    err << fmt::format("framemill verify: {}\n", error.message());
    return kWrongUsage;
  };
  log_to_stderr("warn");
  Result<Prepared> prepared = prepare(options);
  if (!prepared) return refuse(prepared.error());
  if (!options.is_played) {
    for (std::size_t i = 0; i < kPriorities; ++i) add_class(*prepared, i, std::nullopt);
    out << (options.is_json ? verify_json(prepared->report) : verify_table(prepared->report));
    return kDone;
  }

  const SystemClock clock;
  GroupMeter meter(prepared->priority_of_camera, kPriorities);
  std::unique_ptr<Engine> engine;  // outlives the watch
  SignalWatch signals({.loss = "nothing was measured"});
  Result<std::unique_ptr<Engine>> created =
      Engine::create(prepared->load.settings, clock,
                     {.on_answer = [&meter](const Answer& answer) { meter.add(answer); }});
  if (!created) return refuse(created.error());
  engine = *std::move(created);
  signals.watch({.stop = [&engine] { engine->request_stop(); }});
  engine->start();
  const TimePoint begin = clock.now() + kWarmUp;
  meter.set_window(begin, begin + prepared->report.length);
  engine->wait();
  const bool is_whole = clock.now() >= begin + prepared->report.length;
  const RunReport run = engine->finish();

  VerifyReport& report = prepared->report;
  report.is_conserved = run.is_conserved();
  report.cores_busy =
      to_seconds(run.usage.cpu_user + run.usage.cpu_system) / std::max(1e-9, to_seconds(run.wall));
  const std::vector<GroupFigures> measured = meter.figures();
  for (std::size_t i = 0; i < kPriorities; ++i) {
    add_class(*prepared, i, measured_of(measured[i], report.length));
  }
  for (const std::string& line : run.failures()) err << fmt::format("failed: {}\n", line);
  if (!is_whole) {
    err << "framemill verify: stopped before the measurement was over\n";
    return kFailed;
  }
  out << (options.is_json ? verify_json(report) : verify_table(report));
  return run.failures().empty() && report.is_conserved ? kDone : kFailed;
}

}  // namespace framemill
