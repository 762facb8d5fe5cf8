#include "framemill/cli/doctor_checks.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <future>
#include <map>
#include <set>
#include <thread>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <malloc.h>

#include "framemill/base/mutex.h"
#include "framemill/base/url.h"
#include "framemill/engine/detector_options.h"
#include "framemill/engine/environment.h"
#include "framemill/metrics/gpu_meter.h"
#include "framemill/video/source.h"

namespace framemill {
namespace {

constexpr std::size_t kAtOnce = 64;
constexpr int kFrames = 25;             // enough for the decoder to get going
constexpr std::size_t kTryRounds = 12;  // inferences on each stream
constexpr Duration kGrace = std::chrono::seconds(2);

/// What reading a few frames showed.
struct Probe {
  Result<void> status = fail(ErrorCode::kUnavailable, "did not answer");
  StreamFacts facts;
  Duration decode_time{0};
};

Probe probe(Source& source) {
  Probe result;
  result.status = source.open();
  if (!result.status) return result;
  bool has_picture = false;
  for (int i = 0; i < kFrames; ++i) {
    const Result<std::optional<SourceFrame>> frame = source.read();
    // A camera that delivered something works, even where this look at it ran out of time.
    if (!frame && !has_picture) result.status = fail(frame.error());
    if (!frame || !*frame) break;
    has_picture = has_picture || (*frame)->picture != nullptr;
  }
  if (!has_picture && result.status)
    result.status = fail(ErrorCode::kUnavailable,
                         "opens, but no picture of it can be decoded; look at the stream with "
                         "ffplay");
  result.facts = source.facts();
  const SourceCounts counts = source.counts();
  if (counts.frames_decoded > 0) result.decode_time = counts.decode_cpu / counts.frames_decoded;
  return result;
}

/// Looks at one source after the other on several threads. Shared by them and whoever waits, so
/// that a thread that hangs can be left behind.
class ProbeRoom {
 public:
  ProbeRoom(std::vector<SourceOptions> sources, const Clock& clock)
      : sources_(std::move(sources)), clock_(clock), probes_(sources_.size()) {}

  void work(Duration most) {
    for (std::size_t i = next_++; i < sources_.size(); i = next_++) {
      Probe result;
      Result<std::unique_ptr<Source>> made = create_source(sources_[i], clock_);
      if (!made) {
        result.status = fail(made.error());
      } else {
        const std::shared_ptr<Source> source = *std::move(made);
        {
          const MutexLock lock(mu_);
          running_[i] = {source, clock_.now() + most};
        }
        result = probe(*source);
      }
      const MutexLock lock(mu_);
      running_.erase(i);
      probes_[i] = std::move(result);
      ++done_;
      changed_.notify_all();
    }
  }

  /// Interrupts what is over its time; returns when all is done, or what is left does not react.
  std::vector<Probe> wait() EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    while (done_ < sources_.size()) {
      changed_.wait_for(mu_, std::chrono::milliseconds(100));
      const TimePoint now = clock_.now();
      std::size_t stuck = 0;
      for (auto& [index, running] : running_) {
        if (now > running.until) running.source->interrupt();
        if (now > running.until + kGrace) ++stuck;
      }
      if (!running_.empty() && stuck == running_.size()) break;
    }
    return probes_;
  }

 private:
  struct Running {
    std::shared_ptr<Source> source;
    TimePoint until;
  };
  const std::vector<SourceOptions> sources_;
  const Clock& clock_;
  std::atomic<std::size_t> next_{0};
  Mutex mu_;
  CondVar changed_;
  std::map<std::size_t, Running> running_ GUARDED_BY(mu_);
  std::vector<Probe> probes_ GUARDED_BY(mu_);
  std::size_t done_ GUARDED_BY(mu_) = 0;
};

std::string describe_error(const Error& error, Duration most) {
  if (error.code() != ErrorCode::kCancelled) return error.message();
  return fmt::format("no picture within {:.0f} s; is the address right, and does the camera send?",
                     to_seconds(most));
}

/// By index of the camera: which model of the settings it uses.
std::size_t model_of(const CameraSettings& camera, const RunSettings& settings) {
  const auto found = std::ranges::find(settings.models, camera.model, &ModelSettings::name);
  return camera.model.empty() || found == settings.models.end()
             ? 0
             : static_cast<std::size_t>(found - settings.models.begin());
}

double inferred_share(const CameraSettings& camera, const RunSettings& settings,
                      double sampled_hz) {
  const PolicyKind policy = camera.policy.value_or(settings.engine.policy);
  if (camera.priority == Priority::kCritical || policy == PolicyKind::kFull) return 1;
  const InferenceBudget& budget = settings.engine.budget;
  if (budget.share) return std::min(1.0, *budget.share);
  if (budget.per_second) return std::min(1.0, *budget.per_second / std::max(sampled_hz, 1e-9));
  return policy == PolicyKind::kAdaptive ? 0 : 1;  // adaptive takes what there is
}

/// What a model that was let go of has left behind would hide what the next one takes.
std::int64_t resident_bytes() {
  malloc_trim(0);
  return read_process_usage().rss_bytes;
}

std::optional<double> card_memory(const ModelFacts& facts) {
  const std::vector<GpuReading> cards = GpuMeter().read();
  const GpuReading* const card = find_card(cards, facts.device, facts.device_name);
  if (card == nullptr || !card->memory_total_bytes) return std::nullopt;
  return static_cast<double>(*card->memory_total_bytes);
}

/// The knee as `run` runs it; null where that was not measured.
const ServicePoint* run_point(const DeviceProfile& profile) {
  for (const ServicePoint& point : profile.points) {
    if (point.batch == profile.knee_batch && point.streams == profile.run_streams &&
        point.decoders == 0 && !point.service.percentiles.empty())
      return &point;
  }
  return nullptr;
}

/// One model as run would load it, and how fast it is.
std::pair<CheckedModel, std::vector<std::string>> check_model(const ModelSettings& model,
                                                              const EngineSettings& engine,
                                                              Size picture_size,
                                                              const DeviceProfile* profile) {
  CheckedModel checked{.name = model.name, .path = model.path};
  const auto failed = [&checked](const Error& error) {
    checked.error = error.message();
    return std::pair(checked, std::vector<std::string>());
  };
  Result<DetectorOptions> options = detector_options(model, engine);
  if (!options) return failed(options.error());
  options->expected_source = picture_size;
  const std::int64_t before = resident_bytes();
  const Result<std::unique_ptr<Detector>> detector = Detector::load(*options);
  if (!detector) return failed(detector.error());
  const ModelFacts& facts = (*detector)->facts();
  const Size input = (*detector)->input_for(picture_size);
  checked.description = fmt::format("{} {}, {}x{}, on {} ({})", facts.name, facts.precision,
                                    input.width, input.height, facts.device, facts.device_name);
  checked.device = facts.device;
  const std::set<std::string> devices(model.device_list.begin(), model.device_list.end());
  checked.device_count = std::max<std::size_t>(1, devices.size());
  checked.streams = std::max<std::size_t>(1, facts.parallel_requests);
  if (!checked.is_on_cpu()) checked.device_memory_bytes = card_memory(facts);
  const ServicePoint* point = nullptr;
  if (profile != nullptr) {
    Fingerprint here = read_machine_fingerprint();
    here.merge(read_model_fingerprint(model, facts));
    const ProfileFit fit = fit_profile(*profile, facts, input, here);
    checked.profile_note = fit.note;
    if (fit.is_used) point = run_point(*profile);
  }
  if (point != nullptr) {
    checked.profile = std::make_shared<const DeviceProfile>(*profile);
    checked.frames_per_s = point->frames_per_s;
    checked.service_p95 = point->service.percentiles[95];
    checked.is_from_profile = true;
  } else {
    const Result<ServiceTime> time = (*detector)->measure_service_time(1, input, kTryRounds);
    if (!time) return failed(time.error());
    checked.frames_per_s = time->items_per_second;
    checked.service_p95 = time->p95;
  }
  checked.host_bytes = point != nullptr && point->host_bytes > 0
                           ? point->host_bytes
                           : std::max<std::int64_t>(0, resident_bytes() - before);
  // A run starts with all of them or not at all.
  for (const std::string& device : devices) {
    if (device == options->backend.device) continue;
    DetectorOptions other = *options;
    other.backend.device = device;
    if (const auto loaded = Detector::load(other); !loaded) return failed(loaded.error());
  }
  return {checked, (*detector)->labels()};
}

ModelsCheck check_all_models(const RunSettings& settings, Size picture_size,
                             const std::optional<DeviceProfile>& profile) {
  ModelsCheck check;
  std::vector<ModelSettings> all = settings.models;
  for (const ModelSettings& model : settings.models) {
    for (std::size_t i = 0; i < model.ladder.size(); ++i) {
      ModelSettings rung = model;
      rung.path = model.ladder[i];
      rung.name = fmt::format("{}#{}", model.name, i + 2);
      all.push_back(std::move(rung));
    }
  }
  bool is_profile_known = false;
  for (const ModelSettings& model : all) {
    auto [checked, labels] =
        check_model(model, settings.engine, picture_size, profile ? &*profile : nullptr);
    is_profile_known = is_profile_known || checked.is_from_profile || !checked.profile_note.empty();
    if (!checked.profile_note.empty())
      check.profile_notes.push_back(fmt::format("{}: {}", checked.name, checked.profile_note));
    check.models.push_back(std::move(checked));
    check.labels.push_back(std::move(labels));
  }
  if (profile && !is_profile_known)
    check.profile_notes.push_back(
        fmt::format("the profile is of {} ({}x{} on {}), which is none of these models; they were "
                    "tried instead",
                    profile->model, profile->input.width, profile->input.height, profile->device));
  return check;
}

bool is_motion_wanted(const CameraSettings& camera, const EngineSettings& engine) {
  return camera.policy.value_or(engine.policy) == PolicyKind::kAdaptive &&
         camera.motion.value_or(engine.motion) != MotionMethod::kFlow;
}

}  // namespace

FoundDecoder find_decoder(const RunSettings& settings) {
  FoundDecoder found;
  for (const CameraSettings& camera : settings.cameras)
    if (camera.decode == "auto") found.check.cameras.push_back(camera.id);
  if (found.check.cameras.empty()) return found;
  Result<std::shared_ptr<const HardwareDecoder>> opened = HardwareDecoder::open();
  if (opened)
    found.decoder = *std::move(opened);
  else
    found.check.error = opened.error().message();
  return found;
}

ProfileFit fit_profile(const DeviceProfile& profile, const ModelFacts& facts, Size input,
                       const Fingerprint& here) {
  ProfileFit fit;
  if (profile.model_sha256 != facts.hash || profile.input != input ||
      profile.device != facts.device)
    return fit;
  const std::vector<std::string> differences = fingerprint_differences(profile.environment, here);
  // Another runtime or arithmetic is another measurement, on whatever machine.
  const auto is_setting = [](const std::string& difference) {
    return difference.starts_with(kBackendKey) || difference.starts_with(kArithmeticKey);
  };
  fit.is_used = std::ranges::none_of(differences, is_setting);
  if (differences.empty()) return fit;
  fit.note = fmt::format(
      "{} ({})",
      fit.is_used ? "the profile is not quite of this machine as it is, and its figures may be off"
                  : "the profile was made with other settings, so the model was tried instead",
      fmt::join(differences, "; "));
  return fit;
}

std::vector<CheckedCamera> check_cameras(const RunSettings& settings, const DoctorLimits& limits,
                                         const std::shared_ptr<const HardwareDecoder>& hardware,
                                         const Clock& clock) {
  using Address = std::tuple<std::string, std::string, std::string, bool, bool>;
  std::map<Address, std::size_t> index_of;
  std::vector<SourceOptions> sources;
  std::vector<std::size_t> source_of;
  for (const CameraSettings& camera : settings.cameras) {
    const bool is_hardware = camera.decode == "auto" && hardware != nullptr;
    const bool has_motion = is_motion_wanted(camera, settings.engine);
    const Address address{camera.url, camera.username, camera.password, is_hardware, has_motion};
    const auto [found, is_new] = index_of.emplace(address, sources.size());
    source_of.push_back(found->second);
    if (!is_new) continue;
    SourceOptions options;
    options.url = camera.url;
    options.username = camera.username;
    options.password = camera.password;
    options.transport = camera.transport;
    if (is_hardware) options.hardware_decoder = hardware;
    options.is_motion_wanted = has_motion;
    options.pace = Pace::kFast;
    options.start = camera.start;
    options.sampling = {.rate_hz = camera.rate_hz, .every = camera.every};
    options.open_timeout = limits.camera;
    sources.push_back(std::move(options));
  }
  const auto room = std::make_shared<ProbeRoom>(sources, clock);
  for (std::size_t i = 0; i < std::min(kAtOnce, sources.size()); ++i)
    std::thread([room, most = limits.camera] { room->work(most); }).detach();
  const std::vector<Probe> probes = room->wait();

  std::vector<CheckedCamera> cameras;
  double total_hz = 0;
  for (const CameraSettings& camera : settings.cameras) total_hz += sampled_rate_hz(camera);
  for (std::size_t i = 0; i < settings.cameras.size(); ++i) {
    const CameraSettings& camera = settings.cameras[i];
    const Probe& found = probes[source_of[i]];
    CheckedCamera checked{.id = camera.id, .url = redact(camera.url)};
    if (!found.status) checked.error = describe_error(found.status.error(), limits.camera);
    checked.codec = found.facts.codec;
    checked.size = found.facts.size;
    checked.frame_rate_hz = found.facts.frame_rate_hz;
    checked.decode_time = found.decode_time;
    checked.model = model_of(camera, settings);
    checked.sampled_hz = camera.every > 0 && found.facts.frame_rate_hz > 0
                             ? found.facts.frame_rate_hz / static_cast<double>(camera.every)
                             : sampled_rate_hz(camera);
    checked.inferred_share = inferred_share(camera, settings, total_hz);
    checked.slo = camera.slo;
    cameras.push_back(std::move(checked));
  }
  return cameras;
}

ModelsCheck check_models(const RunSettings& settings, Size picture_size,
                         const DeviceProfile* profile, const DoctorLimits& limits) {
  // All the thread needs is its own: it may have to be left behind.
  std::packaged_task<ModelsCheck()> task(
      [settings, picture_size, kept = profile != nullptr ? std::optional(*profile) : std::nullopt] {
        return check_all_models(settings, picture_size, kept);
      });
  std::future<ModelsCheck> done = task.get_future();
  std::thread(std::move(task)).detach();
  if (done.wait_for(limits.models) == std::future_status::ready) return done.get();
  ModelsCheck check{.is_hung = true};
  for (const ModelSettings& model : settings.models) {
    check.models.push_back(
        {.name = model.name,
         .path = model.path,
         .error = fmt::format("not all models have loaded within {:.0f} s; try each one alone with "
                              "`framemill bench MODEL --quick`",
                              to_seconds(limits.models))});
  }
  check.labels.resize(check.models.size());
  return check;
}

}  // namespace framemill
