#include "framemill/cli/verify_command.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <ostream>
#include <set>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "framemill/cli/log_to_stderr.h"
#include "framemill/cli/signal_watch.h"
#include "framemill/cli/typed_words.h"
#include "framemill/cli/verify_clips.h"
#include "framemill/cli/verify_decoding.h"
#include "framemill/cli/verify_machine.h"
#include "framemill/cli/verify_prediction.h"
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
#include "framemill/plan/simulated_site.h"
#include "framemill/video/hardware_decoder.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;
constexpr Duration kLengthMin = 5s;
constexpr Duration kLengthMax = 1h;
constexpr Duration kSimulatedLength = 60s;

struct Options {
  std::string workload;
  std::vector<std::string> profiles;
  LoadSource source;
  std::size_t devices = 1;
  std::string length = "30s";
  bool is_json = false;
  bool is_played = true;
};

std::string file_name(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

const DeviceProfile* find_profile_of(const ModelSettings& model,
                                     const std::vector<DeviceProfile>& profiles) {
  const auto found = std::ranges::find(profiles, file_name(model.path), &DeviceProfile::model);
  return found == profiles.end() ? nullptr : &*found;
}

/// The models run as they were profiled, on the same device; what differs here goes to `notes`.
Result<void> set_models(RunSettings& settings, const std::vector<DeviceProfile>& profiles,
                        std::vector<std::string>& notes) {
  for (ModelSettings& model : settings.models) {
    const DeviceProfile& profile = *find_profile_of(model, profiles);
    if (const Result<void> same = check_model(model, profile); !same) return same;
    set_as_profiled(profile, model);
    const Result<DeviceHere> here = find_device(model);
    if (!here) return fail(here.error());
    const Result<std::vector<std::string>> differences = compare_machine(profile, *here);
    if (!differences) return fail(differences.error());
    for (const std::string& difference : *differences) {
      notes.push_back(
          fmt::format("the profile of {} was measured with another {}", profile.model, difference));
    }
  }
  return {};
}

/// What one of so many devices gets of the workload.
Result<Workload> take_share(const Workload& workload, std::size_t devices) {
  std::int64_t cameras = 0;
  for (const CameraGroup& group : workload.cameras) cameras += group.count;
  if (static_cast<std::int64_t>(devices) <= cameras) return share_of_device(workload, devices);
  return fail(
      ErrorCode::kInvalidArgument,
      fmt::format("--devices: {} devices for {} cameras: give 1 to {}", devices, cameras, cameras));
}

/// What is played batches as what is predicted: at the profile's knee, not at one measured again in
/// a second at the start. With several models of different knees the engine keeps its own rule.
void set_batch(RunSettings& settings, const std::vector<DeviceProfile>& profiles) {
  const std::size_t knee = profiles.front().knee_batch;
  const bool is_one = std::ranges::all_of(
      profiles, [knee](const DeviceProfile& profile) { return profile.knee_batch == knee; });
  if (is_one) settings.engine.batch = std::to_string(knee);
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
  return make_site(workload, profiles, {.devices = 1, .length = kSimulatedLength, .seed = seed});
}

/// How fast the models are now, over what their profiles say; the mean of all.
Result<double> measure_speed(const RunSettings& settings,
                             const std::vector<DeviceProfile>& profiles, Size size) {
  static const SystemClock clock;
  double sum = 0;
  double count = 0;
  for (const ModelSettings& model : settings.models) {
    const DeviceProfile& profile = *find_profile_of(model, profiles);
    const ServicePoint* const knee = find_run_point(profile, 0);
    if (knee == nullptr) continue;
    const Result<double> now = measure_model_speed(model, size, profile.knee_batch, clock);
    if (!now) return fail(now.error());
    sum += *now / knee->frames_per_s;
    ++count;
  }
  return count > 0 ? sum / count : 1;
}

/// Everything that is known before the cameras start.
struct Prepared {
  LoadPlan load;
  std::vector<std::size_t> priority_of_camera;
  std::array<std::int64_t, kPriorities> cameras{};
  VerifyReport report;
  std::vector<std::string> notes;  ///< for people, before the figures
  std::array<LoadFigures, kPriorities> predicted;
  std::array<LoadFigures, kPriorities> predicted_at_speed;
};

/// The workload as it is to be played, and what is known of its models.
struct Asked {
  Workload workload;                    ///< models are called as their files
  std::vector<DeviceProfile> profiles;  ///< those that it needs
};

/// Each group's model by the name of its profile, which is that of the file.
Result<Asked> name_models(Workload workload, const std::vector<DeviceProfile>& profiles) {
  std::set<std::size_t> used;
  for (CameraGroup& group : workload.cameras) {
    const Result<std::size_t> profile = find_profile(group, profiles);
    if (!profile) return fail(profile.error());
    group.model = profiles[*profile].model;
    used.insert(*profile);
  }
  Asked asked{.workload = std::move(workload)};
  for (const std::size_t profile : used) asked.profiles.push_back(profiles[profile]);
  return asked;
}

Result<Asked> read_asked(const Options& options) {
  Result<Workload> workload = load_workload(options.workload);
  if (!workload) return fail(workload.error());
  std::vector<DeviceProfile> profiles;
  for (const std::string& path : options.profiles) {
    Result<DeviceProfile> profile = read_profile(path);
    if (!profile) return fail(profile.error());
    profiles.push_back(*std::move(profile));
  }
  Result<Workload> share = take_share(*workload, options.devices);
  if (!share) return fail(share.error());
  return name_models(*std::move(share), profiles);
}

std::string why_no_decoder() {
  const auto opened = HardwareDecoder::open();
  return opened ? "" : opened.error().message();
}

/// Synthetic pictures are painted by the processor, whoever would decode; clips are decoded.
void settle_played_decoding(Asked& asked, const LoadSource& source,
                            std::vector<std::string>& notes) {
  if (!source.clips.empty())
    return settle_decoding(asked.workload, asked.profiles, why_no_decoder, notes);
  for (CameraGroup& group : asked.workload.cameras) group.decode = "cpu";
}

/// What is simulated beside what is played.
Result<SimulatedSite> make_played_site(const Asked& asked, const RunSettings& settings,
                                       const LoadSource& source, std::vector<std::string>& notes) {
  if (source.clips.empty()) {
    return make_synthetic_site(asked.workload, asked.profiles, settings, source.seed);
  }
  static const SystemClock clock;
  const Result<std::vector<PlayedClip>> clips = open_clips(source.clips, clock);
  if (!clips) return fail(clips.error());
  const Result<ClipWorkload> played = play_clips(asked.workload, *clips);
  if (!played) return fail(played.error());
  notes.insert(notes.end(), played->differences.begin(), played->differences.end());
  Result<SimulatedSite> site =
      make_site(played->workload, asked.profiles,
                {.devices = 1, .length = kSimulatedLength, .seed = source.seed});
  if (!site) return site;
  if (std::string shortage = decoding_shortage(*site); !shortage.empty())
    notes.push_back(std::move(shortage));
  return site;
}

Result<Prepared> prepare(Options options) {
  const Result<Duration> length = parse_duration(options.length);
  if (!length) return fail(length.error().at("--for"));
  if (*length < kLengthMin || *length > kLengthMax) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("--for: {} is out of range; give {} to {}", options.length,
                            format_duration(kLengthMin), format_duration(kLengthMax)));
  }
  Result<Asked> asked = read_asked(options);
  if (!asked) return fail(asked.error());
  std::vector<std::string> notes;
  settle_played_decoding(*asked, options.source, notes);
  options.source.run_for = kPlayedWarmUp + *length + kPlayedTail;
  Result<LoadPlan> load = plan_load(asked->workload, options.source);
  if (!load) return fail(load.error());
  Prepared prepared{.load = *std::move(load), .notes = std::move(notes)};
  RunSettings& settings = prepared.load.settings;
  if (const Result<void> same = set_models(settings, asked->profiles, prepared.notes); !same) {
    return fail(same.error());
  }
  set_batch(settings, asked->profiles);
  const Result<SimulatedSite> site =
      make_played_site(*asked, settings, options.source, prepared.notes);
  if (!site) return fail(site.error());
  const SimulatedDevice& device = site->devices.front();
  const CameraPhases phases =
      options.source.clips.empty() ? CameraPhases::kKnown : CameraPhases::kChance;
  prepared.predicted = predict_played(device, phases);
  prepared.report = {.workload = asked->workload.name,
                     .devices = options.devices,
                     .length = options.is_played ? *length : Duration::zero(),
                     .capacity_per_s = site->capacity_per_s,
                     .demand_per_s = site->demand_per_s};
  for (const CameraSettings& camera : settings.cameras) {
    const auto priority = static_cast<std::size_t>(camera.priority);
    prepared.priority_of_camera.push_back(priority);
    ++prepared.cameras[priority];
  }
  if (!options.is_played) return prepared;
  const Result<double> speed =
      measure_speed(settings, asked->profiles, asked->workload.cameras.front().resolution);
  if (!speed) return fail(speed.error());
  prepared.report.speed = *speed;
  prepared.predicted_at_speed = predict_played(device, phases, *speed);
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
  app.footer(
      "Exit status: 0 done; 1 stopped before the measurement was over, or a camera or device "
      "failed; 2\n"
      "wrong usage, workload or profile.");
  app.add_option("WORKLOAD", options.workload, "Camera groups, as for plan.")
      ->required()
      ->option_text("YAML");
  app.add_option("--profile", options.profiles, "What bench measured here; one a model.")
      ->required()
      ->option_text("JSON...");
  app.add_option("--models", options.source.models_dir,
                 "Where the models that the workload names lie (default: here).")
      ->option_text("DIR");
  app.add_option("--devices", options.devices,
                 "This machine plays what one of so many gets of the workload (default 1: all).")
      ->option_text("N")
      ->check(CLI::PositiveNumber);
  app.add_option("--clip", options.source.clips,
                 "Played in turn, looped, as the cameras; default: synthetic pictures, which cost "
                 "no decoding.")
      ->option_text("FILE...");
  app.add_option("--for", options.length,
                 "What is measured, after 5 s of warming up (default 30s).")
      ->option_text("DURATION");
  app.add_option("--seed", options.source.seed, "Of the offsets in the clips (default 1).")
      ->option_text("N");
  app.add_flag_callback(
      "--predict", [&options] { options.is_played = false; },
      "Says what is predicted, and plays nothing.");
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
    std::vector<std::string> words = put_yaml_first(arguments);
    std::ranges::reverse(words);
    app.parse(words);
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
  for (const std::string& note : prepared->notes) {
    err << fmt::format("framemill verify: warning: {}\n", note);
  }
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
  const TimePoint begin = clock.now() + kPlayedWarmUp;
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
  for (const std::string& line : run.never_seen()) err << fmt::format("{}\n", line);
  for (const std::string& line : run.failures()) err << fmt::format("failed: {}\n", line);
  if (!is_whole) {
    err << "framemill verify: stopped before the measurement was over\n";
    return kFailed;
  }
  out << (options.is_json ? verify_json(report) : verify_table(report));
  return run.failures().empty() && report.is_conserved ? kDone : kFailed;
}

}  // namespace framemill
