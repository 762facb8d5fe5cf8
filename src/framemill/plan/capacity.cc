#include "framemill/plan/capacity.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "framemill/base/check.h"
#include "framemill/config/duration.h"
#include "framemill/plan/played_group.h"
#include "framemill/plan/processor_share.h"
#include "framemill/plan/squishy_packing.h"

namespace framemill {
namespace {

/// Decoded pictures that a camera keeps alive: reference frames of the decoder (up to 8 are usual),
/// the one in the mailbox and the one being inferred; YUV 4:2:0 is 1.5 bytes a pixel.
constexpr double kSurfacesPerCamera = 10;
constexpr double kBytesPerPixel = 1.5;
constexpr double kTensorBytesPerPixel = 3;  // what goes to a device for each inference, at least
constexpr double kHoursPerYear = 8766;
constexpr double kGibibyte = 1024.0 * 1024 * 1024;
constexpr double kLingerMs = 5;  // sched/batch_policy waits so long for company
constexpr double kTolerance = 1e-9;
constexpr const char* kMemoryKey = "memory_mb";  // of a fingerprint
/// More sessions than that are merged into classes of SLO, so that a plan stays quick; rounding an
/// SLO down is on the safe side.
constexpr std::size_t kSessionsMax = 48;

std::int64_t ceil_count(double value) {
  return static_cast<std::int64_t>(std::ceil(value - kTolerance * std::max(1.0, value)));
}

/// All frames of a model that have the same time.
struct Session {
  std::string model, precision;
  double slo_s = 0;
  double qps = 0;
  std::vector<std::string> groups;
};

struct DecodeLoad {
  std::string codec;
  Size size;
  double frames_per_s = 0;
  bool is_for_card = false;  ///< see is_for_card()
};

/// The workload as sums, so that it can be made larger and smaller.
struct Load {
  std::vector<Session> sessions;
  std::vector<DecodeLoad> decode;
  double cameras = 0, qps = 0, sampled_per_s = 0, frames_per_s = 0, pixels_per_s = 0;
  double surface_bytes = 0, largest_surface_bytes = 0;
  double mbit_per_s = 0;
};

double pixels(Size size) { return static_cast<double>(size.width) * size.height; }

double bits_per_pixel(const std::string& codec) {
  if (codec == "mjpeg") return 1.2;
  return codec == "hevc" || codec == "av1" || codec == "vp9" ? .06 : .1;
}

/// Inferences a second where there are `cameras` times the cameras at `rate` times the rate. A
/// budget in inferences a second is one of the whole group, so it stays.
double inferences_per_s(CameraGroup group, double cameras, double rate) {
  if (group.budget.per_second) *group.budget.per_second /= cameras * rate;
  return inferences_per_s(group) * cameras * rate;
}

void merge_slos(std::vector<Session>& sessions) {
  std::vector<Session> merged;
  for (Session& session : sessions) {
    session.slo_s = std::exp2(std::floor(std::log2(session.slo_s) * 2) / 2);
    const auto same = std::ranges::find_if(merged, [&](const Session& one) {
      return one.model == session.model && one.precision == session.precision &&
             one.slo_s == session.slo_s;
    });
    if (same == merged.end()) {
      merged.push_back(std::move(session));
      continue;
    }
    same->qps += session.qps;
    same->groups.insert(same->groups.end(), session.groups.begin(), session.groups.end());
  }
  sessions = std::move(merged);
}

Load load_of(const Workload& workload, double cameras, double rate) {
  Load load;
  for (const CameraGroup& group : workload.cameras) {
    const double count = static_cast<double>(group.count) * cameras;
    const double qps = inferences_per_s(group, cameras, rate);
    const double slo_s = to_seconds(group.slo);
    const auto same = std::ranges::find_if(load.sessions, [&](const Session& one) {
      return one.model == group.model && one.precision == group.precision && one.slo_s == slo_s;
    });
    if (same == load.sessions.end()) {
      load.sessions.push_back({group.model, group.precision, slo_s, qps, {group.name}});
    } else {
      same->qps += qps;
      same->groups.push_back(group.name);
    }
    load.decode.push_back({group.codec, group.resolution, count * group.fps, is_for_card(group)});
    load.cameras += count;
    load.qps += qps;
    load.sampled_per_s += count * group.rate_hz * rate;
    load.frames_per_s += count * group.fps;
    load.pixels_per_s += count * group.fps * pixels(group.resolution);
    const double surface = picture_bytes_of_camera(group.resolution);
    load.surface_bytes += count * surface;
    load.largest_surface_bytes = std::max(load.largest_surface_bytes, surface);
    const double estimate =
        pixels(group.resolution) * group.fps * bits_per_pixel(group.codec) / 1e6;
    load.mbit_per_s += count * group.mbit_per_s.value_or(estimate);
  }
  if (load.sessions.size() > kSessionsMax) merge_slos(load.sessions);
  return load;
}

/// What is known of a candidate before any load is looked at.
struct Hardware {
  DeviceCandidate device;
  const CatalogueDevice* entry = nullptr;
  const LoadedProfile* profile = nullptr;         ///< measured on it
  const LoadedProfile* decode_profile = nullptr;  ///< says what cores decode: its own, else another
  bool is_profiled = false;  ///< a machine like that of `profile`, not more of it
  bool is_cpu = false;
  std::optional<double> cores;
  std::optional<double> memory_bytes;
  std::optional<double> power_w;               ///< published
  std::vector<Result<ModelService>> services;  ///< one a session of the load
  double speed = 1;                            ///< what if it were faster or slower
};

/// What goes over one kind of link, in machines' worth of it, all of it in use.
struct LinkLoad {
  double machines = 0;
  bool is_of_device = false;  ///< each device has one of its own
  const char* name = "";
};

/// Device time and decoding as they fall on one machine.
class Evaluation {
 public:
  Evaluation(const Workload& workload, const Load& load, const Hardware& hardware, double eta)
      : workload_(workload), load_(load), hardware_(hardware), eta_(eta) {
    plan_.device = hardware.device;
  }

  CandidatePlan run() {
    if (!take_services() || !take_memory()) return std::move(plan_);
    add_decode_term();
    const std::int64_t compute = count_for(workload_.redundancy);
    add_compute_term(compute);
    add_memory_term();
    add_link_term();
    add_n_plus_1_term();
    for (const CapacityTerm& term : plan_.terms) {
      plan_.confidence = std::max(plan_.confidence, term.confidence.value_or(plan_.confidence));
      if (!term.devices || *term.devices <= plan_.count) continue;
      plan_.count = *term.devices;
      plan_.binding = term.name;
    }
    plan_.nodes = (plan_.count + hardware_.device.per_node - 1) / hardware_.device.per_node;
    if (hardware_.device.at_most && plan_.count > *hardware_.device.at_most)
      plan_.problem = fmt::format("{} are needed, and only {} can be had", plan_.count,
                                  *hardware_.device.at_most);
    describe_use();
    lay_out();
    add_power_and_cost();
    return std::move(plan_);
  }

 private:
  void note(std::string text) {
    if (std::ranges::find(plan_.notes, text) == plan_.notes.end())
      plan_.notes.push_back(std::move(text));
  }
  void refuse(std::string text) {
    if (plan_.problem.empty()) plan_.problem = std::move(text);
  }

  bool take_services() {
    std::map<std::string, std::size_t> models;
    double busy = 0;
    for (std::size_t i = 0; i < load_.sessions.size(); ++i) {
      const Session& session = load_.sessions[i];
      const Result<ModelService>& found = hardware_.services[i];
      if (!found) {
        refuse(found.error().message());
        return false;
      }
      ModelService service = *found;
      for (BatchCost& cost : service.costs) {
        cost.busy_s /= hardware_.speed;
        cost.latency_s /= hardware_.speed;
        cost.p99_s /= hardware_.speed;
      }
      PackingSession packing{.slo_s = session.slo_s,
                             .costs = service.costs,
                             .memory_bytes = service.memory_bytes.value_or(0)};
      packing.model =
          models.emplace(service.model + " " + service.precision, models.size()).first->second;
      const std::optional<BatchCost> full = saturated_batch(packing);
      if (!full) {
        const double least_ms = std::ceil(least_slo_s(service.costs) * 1e3 - 1e-6);
        refuse(fmt::format(
            "cameras[{}].slo: {} is below what {} needs on {}: a frame waits for one batch ({:.3g} "
            "ms) and runs in the next; the least possible is {:.0f}ms",
            session.groups.front(), format_duration(from_seconds(session.slo_s)), service.model,
            hardware_.device.name, service.costs.front().latency_s * 1e3, least_ms));
        return false;
      }
      fps_.push_back(static_cast<double>(full->batch) / full->busy_s);
      // A promise within the SLO is kept as it is.
      const double share = service.is_within_slo ? 1 : eta_;
      shares_.push_back(share);
      busy += session.qps / fps_.back();
      if (!service.memory_bytes)
        note(fmt::format("memory of {} is not known and counts as 0",
                         service.model.empty() ? "the model" : service.model));
      confidence_ = std::max(confidence_, service.confidence);
      add_unique(plan_.sources, service.source);
      if (!service.profile_hash.empty()) add_unique(plan_.profile_hashes, service.profile_hash);
      packing_.push_back(std::move(packing));
      services_.push_back(std::move(service));
    }
    busy_ = busy;
    plan_.knee_fps = busy > 0 ? load_.qps / busy : 0;
    return true;
  }

  static void add_unique(std::vector<std::string>& texts, const std::string& text) {
    if (std::ranges::find(texts, text) == texts.end()) texts.push_back(text);
  }

  bool take_memory() {
    if (!hardware_.memory_bytes) return true;
    const double limit = *hardware_.memory_bytes * workload_.memory_limit;
    room_bytes_ = limit - load_.largest_surface_bytes;
    for (std::size_t i = 0; i < packing_.size(); ++i) {
      if (packing_[i].memory_bytes <= room_bytes_) continue;
      refuse(fmt::format(
          "{} needs {:.2f} GiB and a camera's pictures {:.3f} GiB, more than the {:.2f} GiB that "
          "may be used of {} ({:.0f} % of {:.2f})",
          services_[i].model, packing_[i].memory_bytes / kGibibyte,
          load_.largest_surface_bytes / kGibibyte, limit / kGibibyte, hardware_.device.name,
          workload_.memory_limit * 100, *hardware_.memory_bytes / kGibibyte));
      return false;
    }
    return true;
  }

  /// `machines` of up to per_node devices each; the last one may hold a single device.
  std::int64_t devices_in(double machines) const {
    const std::int64_t whole = std::max<std::int64_t>(1, ceil_count(machines));
    return (whole - 1) * hardware_.device.per_node + 1;
  }

  void leave_decoding_out(CapacityTerm& term, const std::string& reason) {
    plan_.is_decode_known = false;
    term.reason += (term.reason.empty() ? "" : "; ") + reason;
    note("decoding is not counted, more may be needed: " + reason);
  }

  static void raise(CapacityTerm& term, std::int64_t devices, Confidence confidence) {
    term.devices = std::max(term.devices.value_or(1), devices);
    term.confidence = std::max(term.confidence.value_or(confidence), confidence);
  }

  void add_decode_term() {
    CapacityTerm term{.name = "decode"};
    if (hardware_.is_cpu) {
      decode_by_cores(term);
    } else {
      std::vector<DecodeLoad> card;
      std::vector<DecodeLoad> host;
      const bool is_soc = !has_known_decoder(hardware_.entry);
      plan_.is_built_for = !is_soc;
      if (is_soc)
        note(
            "this version is built for x86-64, which Jetsons are not, and their decoder is not the "
            "one that it knows: the processor is taken to decode");
      for (const DecodeLoad& load : load_.decode)
        (load.is_for_card && !is_soc ? card : host).push_back(load);
      if (!card.empty()) decode_by_card(term, card);
      if (!host.empty()) decode_by_host(term, host);
    }
    plan_.terms.push_back(std::move(term));
  }

  /// Cores that `loads` keep busy, by what one core was measured to decode.
  Result<double> cores_for(const std::vector<DecodeLoad>& loads) const {
    if (hardware_.decode_profile == nullptr)
      return fail(ErrorCode::kNotFound, "no profile says what a core decodes");
    double cores = 0;
    for (const DecodeLoad& load : loads) {
      const std::optional<double> each =
          decode_core_s(hardware_.decode_profile->profile.decode, load.codec, load.size);
      if (!each)
        return fail(ErrorCode::kNotFound, fmt::format("{} has no decode rate of {}",
                                                      hardware_.decode_profile->name, load.codec));
      cores += load.frames_per_s * *each;
    }
    return cores;
  }

  /// Another profile is named; its own stands with the services already.
  void cite_decode_profile() {
    if (hardware_.decode_profile == hardware_.profile) return;
    add_unique(plan_.sources, "decoding: profile " + hardware_.decode_profile->name);
    add_unique(plan_.profile_hashes, hardware_.decode_profile->hash);
  }

  /// Cores decode alike, but those of another machine are not these.
  Confidence confidence_of_cores() const {
    const bool is_own = hardware_.is_profiled && hardware_.decode_profile == hardware_.profile;
    return is_own && !hardware_.device.cores ? Confidence::kMeasured : Confidence::kScaled;
  }

  void decode_by_cores(CapacityTerm& term) {
    const Result<double> cores = cores_for(load_.decode);
    if (!cores) return leave_decoding_out(term, cores.error().message());
    if (!hardware_.cores) return leave_decoding_out(term, "the number of cores is not known");
    cite_decode_profile();
    plan_.is_decoded_by_cores = true;
    decode_devices_ = *cores / *hardware_.cores;
    decode_capacity_ = *hardware_.cores;
    raise(term, decode_count(workload_.decode_limit), confidence_of_cores());
    term.reason = fmt::format("ceil({:.4g} cores / ({:g} x {:g} cores))", *cores,
                              workload_.decode_limit, *hardware_.cores);
  }

  /// The engine opens the decoders of one card a machine, the first.
  void decode_by_card(CapacityTerm& term, const std::vector<DecodeLoad>& loads) {
    if (hardware_.entry == nullptr || hardware_.entry->decode.empty())
      return leave_decoding_out(term,
                                hardware_.entry != nullptr && hardware_.entry->decode_engines
                                    ? fmt::format("{:g} engines, but no rate of them is published",
                                                  hardware_.entry->decode_engines->value)
                                    : "no rate of this device's decoders is known");
    double machines = 0;
    double pixels_per_s = 0;
    Confidence confidence = Confidence::kPublished;
    for (const DecodeLoad& load : loads) {
      const PublishedDecode* const rate = find_card_decode(hardware_.entry, load.codec);
      if (rate == nullptr)
        return leave_decoding_out(term, fmt::format("no rate is published for {} on {}", load.codec,
                                                    hardware_.device.name));
      const double load_per_s = load.frames_per_s * pixels(load.size);
      pixels_per_s += load_per_s;
      machines += load_per_s / rate->pixels_per_s;
      if (rate->is_scaled) confidence = Confidence::kScaled;
      add_unique(plan_.sources,
                 fmt::format("decoding: {}{}", rate->source,
                             rate->note.empty() ? "" : fmt::format(" ({})", rate->note)));
    }
    decode_devices_ = machines;
    decode_capacity_ = pixels_per_s / machines;
    raise(term, decode_count(workload_.decode_limit), confidence);
    term.reason = fmt::format("ceil({:.4g} Mpixel/s / ({:g} x {:.4g} Mpixel/s)){}",
                              pixels_per_s / 1e6, workload_.decode_limit, decode_capacity_ / 1e6,
                              hardware_.device.per_node > 1 ? ", by one card a machine" : "");
  }

  /// What the processor beside the cards decodes: `decode: cpu`, or motion vectors are wanted.
  void decode_by_host(CapacityTerm& term, const std::vector<DecodeLoad>& loads) {
    double frames = 0;
    for (const DecodeLoad& load : loads) frames += load.frames_per_s;
    std::string what =
        fmt::format("{:.6g} frames/s are decoded by the processor of the machine", frames);
    const Result<double> cores = cores_for(loads);
    if (!cores) return leave_decoding_out(term, what + ", and " + cores.error().message());
    cite_decode_profile();
    host_cores_ = *cores;
    what += fmt::format(", {:.3g} cores by {}", *cores, hardware_.decode_profile->name);
    if (hardware_.cores) {
      raise(term, host_count(workload_.decode_limit), confidence_of_cores());
      term.reason += fmt::format("{}ceil({:.4g} cores / ({:g} x {:g} cores)), of the machines",
                                 term.reason.empty() ? "" : "; ", *cores, workload_.decode_limit,
                                 *hardware_.cores);
      note(what);
    } else {
      term.reason += (term.reason.empty() ? "" : "; ") + what;
      note(
          fmt::format("{}: {:.3g} cores in all have to be there ({:g} of them in use); `cores` of "
                      "the device counts them",
                      what, *cores / workload_.decode_limit, workload_.decode_limit));
    }
  }

  /// Devices for what the cards decode, or a CPU's cores; 1 where nothing is counted.
  std::int64_t decode_count(double limit, double spare_machines = 0) const {
    if (hardware_.is_cpu) return std::max<std::int64_t>(1, ceil_count(decode_devices_ / limit));
    return devices_in(std::ceil(decode_devices_ / limit - kTolerance) + spare_machines);
  }

  std::int64_t host_count(double limit) const {
    return hardware_.cores ? devices_in(host_cores_ / (limit * *hardware_.cores)) : 1;
  }

  /// Devices for `inflation` times the mean load, each session at its share of the knee.
  Packing pack(double inflation) const {
    std::vector<PackingSession> sessions = packing_;
    for (std::size_t i = 0; i < sessions.size(); ++i)
      sessions[i].rate_hz = load_.sessions[i].qps * inflation / shares_[i];
    return pack_sessions(sessions, room_bytes_);
  }

  /// Machines' worth of cores that decoding takes away from inference.
  double shared_decode() const {
    return hardware_.is_cpu && plan_.is_decoded_by_cores ? decode_devices_ / workload_.decode_limit
                                                         : 0;
  }

  std::int64_t count_for(double inflation) const {
    const double decoding = shared_decode();
    if (decoding <= 0) return std::max<std::int64_t>(1, pack(inflation).device_count());
    // Each of G machines spends decoding / G of its time on decoding and the rest on inference.
    const auto is_enough = [&](std::int64_t machines) {
      const double left = 1 - decoding / static_cast<double>(machines);
      return left > kTolerance && pack(inflation / left).device_count() <= machines;
    };
    std::int64_t low = ceil_count(decoding);  // not enough: nothing is left of it
    if (static_cast<double>(low) > decoding + kTolerance && low >= 1 && is_enough(low)) return low;
    low = std::max<std::int64_t>(low, 0);
    std::int64_t high = std::max<std::int64_t>(1, low + pack(inflation).device_count());
    while (!is_enough(high)) {
      low = high;
      high *= 2;
    }
    while (high - low > 1) {
      const std::int64_t middle = low + (high - low) / 2;
      (is_enough(middle) ? high : low) = middle;
    }
    return high;
  }

  void add_compute_term(std::int64_t devices) {
    CapacityTerm term{.name = "compute", .devices = devices, .confidence = confidence_};
    const double share = services_.size() == 1 ? shares_.front() : eta_;
    if (services_.size() == 1)
      term.reason =
          fmt::format("ceil({:g} x {:.6g}/s / ({:.4g}/s{})", workload_.redundancy, load_.qps,
                      fps_.front(), share == 1 ? ")" : fmt::format(" x eta {:g})", share));
    else
      term.reason = fmt::format("{} sessions packed at {:g} x {:.6g}/s, eta {:g}", services_.size(),
                                workload_.redundancy, load_.qps, share);
    if (shared_decode() > 0)
      term.reason +=
          fmt::format(", beside decoding on the same cores ({:.4g} machines)", shared_decode());
    plan_.terms.insert(plan_.terms.begin(), std::move(term));  // of equals it is named first
  }

  /// Each term with one device less, and nearly all of it in use.
  void add_n_plus_1_term() {
    CapacityTerm term{.name = "n_plus_1"};
    if (!workload_.n_plus_1) {
      term.reason = "not asked for (n_plus_1: false)";
      plan_.terms.push_back(std::move(term));
      return;
    }
    const auto ask = [&](std::int64_t least, const char* what) {
      if (term.devices && least + 1 <= *term.devices) return;
      term.devices = least + 1;
      term.reason =
          fmt::format("{} at {:g} needs {}, and one may be lost", what, kLoadAfterLoss, least);
    };
    ask(count_for(1 / kLoadAfterLoss), "compute");
    const double decoding = std::max(kLoadAfterLoss, workload_.decode_limit);
    if (hardware_.is_cpu) ask(decode_count(decoding), "decode");
    if (!hardware_.is_cpu && decode_devices_ > 0) {
      // The lost card may be the one that decodes for its machine.
      const std::int64_t devices = decode_count(decoding, 1);
      if (devices > *term.devices) {
        term.devices = devices;
        const double machines = std::max(1.0, std::ceil(decode_devices_ / decoding - kTolerance));
        term.reason = fmt::format(
            "decode at {:g} needs the first card of {:.0f} machine{}, and one may be lost",
            kLoadAfterLoss, machines, machines == 1 ? "" : "s");
      }
    }
    ask(host_count(decoding), "decode");
    if (hardware_.memory_bytes)
      ask(memory_count(std::max(kLoadAfterLoss, workload_.memory_limit)), "memory");
    if (const std::optional<std::int64_t> devices = link_count(kLoadAfterLoss))
      ask(*devices, "link");
    for (const CapacityTerm& other : plan_.terms)
      if (other.confidence)
        term.confidence = std::max(term.confidence.value_or(*other.confidence), *other.confidence);
    plan_.terms.push_back(std::move(term));
  }

  void add_memory_term() {
    CapacityTerm term{.name = "memory"};
    if (!hardware_.memory_bytes) {
      term.reason = fmt::format("memory of {} is not known", hardware_.device.name);
      note("memory is not counted: it is not known; give `memory`");
      plan_.terms.push_back(std::move(term));
      return;
    }
    for (const PackedDevices& group : pack(workload_.redundancy).devices) {
      std::set<std::size_t> models;
      double bytes = 0;
      for (const PackedSession& packed : group.sessions)
        if (models.insert(packing_[packed.session].model).second)
          bytes += packing_[packed.session].memory_bytes;
      models_bytes_ = std::max(models_bytes_, bytes);
    }
    term.devices = memory_count(workload_.memory_limit);
    for (const ModelService& service : services_)
      if (service.memory_bytes)
        term.confidence =
            std::max(term.confidence.value_or(service.confidence), service.confidence);
    term.reason =
        fmt::format("ceil({:.3g} GiB of pictures / ({:g} x {:.3g} GiB - {:.3g} GiB of models))",
                    load_.surface_bytes / kGibibyte, workload_.memory_limit,
                    *hardware_.memory_bytes / kGibibyte, models_bytes_ / kGibibyte);
    plan_.terms.push_back(std::move(term));
  }

  std::int64_t memory_count(double limit) const {
    const double room = *hardware_.memory_bytes * limit - models_bytes_;
    return std::max<std::int64_t>(1, ceil_count(load_.surface_bytes / room));
  }

  void add_link_term() {
    CapacityTerm term{.name = "link"};
    const WorkloadLinks& links = workload_.links;
    if (links.network_gbit_per_s)
      links_.push_back({load_.mbit_per_s / (*links.network_gbit_per_s * 1e3), false, "network"});
    if (links.is_recorded && links.disk_mbyte_per_s)
      links_.push_back({load_.mbit_per_s / 8 / *links.disk_mbyte_per_s, false, "disk"});
    if (links.pcie_gbyte_per_s) {
      double bytes = 0;
      for (std::size_t i = 0; i < services_.size(); ++i)
        bytes += load_.sessions[i].qps * pixels(services_[i].input) * kTensorBytesPerPixel;
      links_.push_back({bytes / (*links.pcie_gbyte_per_s * 1e9), true, "PCIe, a device each"});
    }
    term.devices = link_count(kLinkLimit);
    std::vector<std::string> parts;
    for (const LinkLoad& link : links_)
      parts.push_back(fmt::format("{}: {:.3g} machines", link.name, link.machines / kLinkLimit));
    term.reason = parts.empty()
                      ? "no link is given"
                      : fmt::format("{} at {:g} of each", fmt::join(parts, ", "), kLinkLimit);
    plan_.terms.push_back(std::move(term));
  }

  std::optional<std::int64_t> link_count(double limit) const {
    std::optional<std::int64_t> count;
    for (const LinkLoad& link : links_) {
      const double machines = link.machines / limit;
      const std::int64_t devices = link.is_of_device
                                       ? std::max<std::int64_t>(1, ceil_count(machines))
                                       : devices_in(machines);
      count = std::max(count.value_or(1), devices);
    }
    return count;
  }

  void describe_use() {
    const auto count = static_cast<double>(plan_.count);
    const auto nodes = static_cast<double>(plan_.nodes);
    const double decoding = hardware_.is_cpu && plan_.is_decoded_by_cores ? decode_devices_ : 0;
    plan_.occupancy = (busy_ + decoding) / count;
    if (plan_.count > 1) plan_.occupancy_after_loss = (busy_ + decoding) / (count - 1);
    if (decode_capacity_ > 0) {
      const double decoders = hardware_.is_cpu ? count : nodes;
      plan_.decode = Usage{decode_devices_ * decode_capacity_ / decoders,
                           decode_capacity_ * workload_.decode_limit};
      if (decoders > 1) plan_.decode_after_loss = decode_devices_ / (decoders - 1);
    }
    if (host_cores_ > 0) {
      plan_.host_decode = HostDecode{.used = host_cores_ / nodes};
      if (hardware_.cores) plan_.host_decode->limit = *hardware_.cores * workload_.decode_limit;
    }
    if (hardware_.memory_bytes) {
      plan_.memory = Usage{models_bytes_ + load_.surface_bytes / count,
                           *hardware_.memory_bytes * workload_.memory_limit};
      if (plan_.count > 1)
        plan_.memory_after_loss =
            (models_bytes_ + load_.surface_bytes / (count - 1)) / *hardware_.memory_bytes;
    }
  }

  /// How a device is loaded: `busy` is the share of time its batches take, and
  /// `spell_s` how long the batch runs that a frame meets, on average over that time.
  struct DeviceLoad {
    double busy = 0;
    double spell_s = 0;
  };

  DeviceLoad load_on(const PackedDevices& group, double inflation, double thinner) const {
    DeviceLoad load;
    for (const PackedSession& packed : group.sessions) {
      const BatchCost& cost = cost_of(packed);
      const double batches_per_s = packed.rate_hz * shares_[packed.session] / inflation * thinner /
                                   static_cast<double>(packed.batch);
      load.busy += batches_per_s * cost.busy_s;
      load.spell_s += batches_per_s * cost.busy_s * cost.busy_s;
    }
    load.spell_s = load.busy > 0 ? load.spell_s / load.busy : 0;
    return load;
  }

  const BatchCost& cost_of(const PackedSession& packed) const {
    const std::vector<BatchCost>& costs = packing_[packed.session].costs;
    const auto cost = std::ranges::find(costs, packed.batch, &BatchCost::batch);
    CHECK(cost != costs.end());
    return *cost;
  }

  /// What a frame waits for at mean load: company, then batches before it, of whatever model, then
  /// its own. The wait is that of a queue with random arrivals (M/G/1, whose mean wait, where there
  /// is one, is spell / (2 (1 - load))) and falls off exponentially: cameras are more regular than
  /// that, so it is an upper estimate; the packing's worst case bounds it.
  double predict_p99_ms(const PackedSession& packed, const DeviceLoad& device) const {
    const BatchCost& cost = cost_of(packed);
    // A CPU's cores are also busy with decoding.
    const double decoding = hardware_.is_cpu && plan_.is_decoded_by_cores
                                ? decode_devices_ / static_cast<double>(plan_.count)
                                : 0;
    const double load = device.busy + decoding;
    double wait_s = 0;
    if (load >= 1) {
      wait_s = packed.latency_s;
    } else if (load > .01) {
      wait_s = device.spell_s / (2 * (1 - load)) * std::log(100 * load);
    }
    const double linger_s = packed.batch > 1 ? kLingerMs / 1e3 : 0;
    const double own_s = std::max(cost.latency_s, cost.p99_s);
    return std::min(packed.latency_s - cost.latency_s + own_s, linger_s + wait_s + own_s) * 1e3;
  }

  void lay_out() {
    double inflation = workload_.redundancy;
    if (shared_decode() > 0) {
      const double left = 1 - shared_decode() / static_cast<double>(plan_.count);
      if (left > kTolerance) inflation /= left;
    }
    const Packing packing = pack(inflation);
    std::int64_t spare = plan_.count - packing.device_count();
    std::size_t largest = 0;
    for (std::size_t i = 0; i < packing.devices.size(); ++i)
      if (packing.devices[i].count > packing.devices[largest].count) largest = i;
    for (std::size_t i = 0; i < packing.devices.size(); ++i) {
      const PackedDevices& group = packing.devices[i];
      DeviceLayout layout{.count = group.count};
      // Devices that other terms ask for take their part of the largest layout's load.
      if (i == largest && spare > 0) layout.count += spare;
      const double thinner = static_cast<double>(group.count) / static_cast<double>(layout.count);
      const DeviceLoad load = load_on(group, inflation, thinner);
      for (const PackedSession& packed : group.sessions) {
        const Session& session = load_.sessions[packed.session];
        const ModelService& service = services_[packed.session];
        const double qps = packed.rate_hz * shares_[packed.session] / inflation * thinner;
        layout.qps += qps;
        layout.models.push_back({.model = service.model,
                                 .precision = service.precision,
                                 .input = service.input,
                                 .batch = packed.batch,
                                 .instances = service.streams,
                                 .groups = session.groups,
                                 .slo_ms = session.slo_s * 1e3,
                                 .qps = qps,
                                 .p99_ms = predict_p99_ms(packed, load)});
      }
      plan_.layouts.push_back(std::move(layout));
    }
    // A device and its rest may run the same: one row.
    std::vector<DeviceLayout> rows;
    for (DeviceLayout& layout : plan_.layouts) {
      const auto same = std::ranges::find_if(rows, [&](const DeviceLayout& row) {
        return row.models.size() == 1 && layout.models.size() == 1 &&
               row.models[0].groups == layout.models[0].groups;
      });
      if (same == rows.end()) {
        rows.push_back(std::move(layout));
        continue;
      }
      const double total = same->qps * static_cast<double>(same->count) +
                           layout.qps * static_cast<double>(layout.count);
      same->count += layout.count;
      same->qps = same->models[0].qps = total / static_cast<double>(same->count);
      same->models[0].batch = std::max(same->models[0].batch, layout.models[0].batch);
      same->models[0].p99_ms = std::max(same->models[0].p99_ms, layout.models[0].p99_ms);
    }
    plan_.layouts = std::move(rows);
  }

  void add_power_and_cost() {
    const DeviceCandidate& device = hardware_.device;
    std::optional<double> power_w = device.power_w;
    if (!power_w) {
      for (const ModelService& service : services_)
        if (service.power_w) power_w = std::max(power_w.value_or(0), *service.power_w);
    }
    if (!power_w) power_w = hardware_.power_w;
    const auto count = static_cast<double>(plan_.count);
    const auto nodes = static_cast<double>(plan_.nodes);
    if (power_w) plan_.power_w = *power_w * count + device.node_power_w.value_or(0) * nodes;
    if (!device.price) return;
    plan_.cost = *device.price * count + device.node_price.value_or(0) * nodes;
    if (workload_.energy_price && plan_.power_w)
      *plan_.cost +=
          *plan_.power_w / 1e3 * kHoursPerYear * workload_.years * *workload_.energy_price;
  }

  const Workload& workload_;
  const Load& load_;
  const Hardware& hardware_;
  const double eta_;
  CandidatePlan plan_;
  std::vector<ModelService> services_;
  std::vector<PackingSession> packing_;
  std::vector<double> fps_;                        ///< of each session's saturated batch
  std::vector<double> shares_;                     ///< eta, or 1 for promises
  Confidence confidence_ = Confidence::kMeasured;  ///< of the services
  double busy_ = 0;                                ///< devices that the mean load keeps busy
  double room_bytes_ = 1e30;
  double models_bytes_ = 0;
  double decode_devices_ = 0;   ///< whole devices' worth
  double decode_capacity_ = 0;  ///< of one device: pixels a second, or cores
  double host_cores_ = 0;       ///< that decode beside the devices
  std::vector<LinkLoad> links_;
};

/// Compares, and asks what else could be.
class Planner {
 public:
  Planner(const PlanRequest& request, const Catalogue& catalogue)
      : request_(request), catalogue_(catalogue) {
    plan_.workload = request.workload;
    plan_.eta = kEtaDefault;
    plan_.eta_source = "default; docs/simulate.md says how to find the workload's own";
    if (request.eta) {
      plan_.eta = *request.eta;
      plan_.eta_source = "--eta";
    }
    if (request.workload.eta) {
      plan_.eta = *request.workload.eta;
      plan_.eta_source = "workload file";
    }
  }

  Result<Plan> run() {
    if (plan_.workload.devices.empty()) take_devices_of_profiles();
    if (plan_.workload.devices.empty())
      return fail(ErrorCode::kNotFound,
                  "there is nothing to plan with; give --profile from `framemill bench`, or name "
                  "`devices:` in the workload file (`framemill plan --catalogue` lists those with "
                  "published figures)");
    if (const Result<void> clear = check_profiles(); !clear) return fail(clear.error());
    settle_precisions();
    const Load load = load_of(plan_.workload, 1, 1);
    plan_.cameras = load.cameras;
    plan_.qps = load.qps;
    plan_.sampled_per_s = load.sampled_per_s;
    plan_.frames_per_s = load.frames_per_s;
    plan_.pixels_per_s = load.pixels_per_s;
    for (const DeviceCandidate& device : plan_.workload.devices)
      hardware_.push_back(look_at(device, load));
    plan_.candidates = evaluate(plan_.workload, load);
    if (plan_.best() == nullptr) return fail(ErrorCode::kInvalidArgument, why_none());
    rank(plan_.candidates, plan_.criterion);
    add_flips();
    add_what_if();
    note_precisions();
    note_fingerprints();
    return std::move(plan_);
  }

 private:
  void take_devices_of_profiles() {
    for (const LoadedProfile& loaded : request_.profiles) {
      const std::string& name =
          loaded.profile.device_name.empty() ? loaded.profile.device : loaded.profile.device_name;
      const auto is_known = [&](const DeviceCandidate& one) { return one.name == name; };
      if (std::ranges::none_of(plan_.workload.devices, is_known))
        plan_.workload.devices.push_back({.name = name});
    }
  }

  /// Which profile counts must not depend on the order of the files.
  Result<void> check_profiles() const {
    std::map<std::string, const LoadedProfile*> by_kind;
    for (const LoadedProfile& loaded : request_.profiles) {
      const DeviceProfile& profile = loaded.profile;
      const std::string& device =
          profile.device_name.empty() ? profile.device : profile.device_name;
      const std::string kind = fmt::format("{} {} {}x{} on {}", profile.model, profile.precision,
                                           profile.input.width, profile.input.height, device);
      const auto [first, is_new] = by_kind.emplace(kind, &loaded);
      if (is_new) continue;
      const bool is_same_model = first->second->profile.model_sha256 == profile.model_sha256;
      return fail(
          ErrorCode::kInvalidArgument,
          fmt::format("profiles {} and {} are both of {}{}; give one of them", first->second->name,
                      loaded.name, kind,
                      is_same_model ? "" : " (two files of one name: their SHA-256 differ)"));
    }
    if (std::ranges::all_of(plan_.workload.devices,
                            [](const DeviceCandidate& one) { return one.throughput.has_value(); }))
      return {};
    for (const CameraGroup& group : plan_.workload.cameras) {
      if (!group.model.empty()) continue;
      std::set<std::string> models;
      for (const LoadedProfile& loaded : request_.profiles)
        if (group.precision.empty() || group.precision == loaded.profile.precision)
          models.insert(loaded.profile.model);
      if (models.size() > 1)
        return fail(ErrorCode::kInvalidArgument,
                    fmt::format("cameras[{}].model: none is given, and the profiles are of several "
                                "({}); name one",
                                group.name, fmt::join(models, ", ")));
    }
    return {};
  }

  /// Devices are compared at one precision where all that can be used have one in common: the best
  /// known, and of those the fastest.
  void settle_precisions() {
    std::map<std::string, std::string> settled;
    for (CameraGroup& group : plan_.workload.cameras) {
      if (!group.precision.empty()) continue;
      const auto [at, is_new] = settled.emplace(group.model, "");
      if (is_new) at->second = common_precision(group.model);
      group.precision = at->second;
    }
  }

  std::string common_precision(const std::string& model) const {
    std::string best;
    std::pair<int, double> best_rank;
    for (const char* const precision : {"fp32", "fp16", "int8"}) {
      std::pair<int, double> rank;  // lower is better
      const bool is_common =
          std::ranges::all_of(plan_.workload.devices, [&](const DeviceCandidate& device) {
            const auto find = [&](std::string_view wanted) {
              return find_service(device, model, wanted, request_.profiles, catalogue_);
            };
            if (device.throughput || !find("")) return true;
            const Result<ModelService> service = find(precision);
            if (!service) return false;
            rank.first += static_cast<int>(service->confidence);
            rank.second -= service->knee_fps;
            return true;
          });
      if (!is_common || rank.second == 0 || (!best.empty() && rank >= best_rank)) continue;
      best = precision;
      best_rank = rank;
    }
    return best;
  }

  void note_precisions() {
    using Devices = std::map<std::string, std::string>;  // by precision
    std::map<std::pair<std::string, std::vector<std::string>>, Devices> by_use;
    for (const CandidatePlan& one : plan_.candidates)
      for (const DeviceLayout& layout : one.layouts)
        for (const PlannedModel& model : layout.models)
          if (!model.precision.empty())
            by_use[{model.model, model.groups}].emplace(model.precision, one.device.name);
    for (const auto& [use, precisions] : by_use) {
      if (precisions.size() < 2) continue;
      std::vector<std::string> parts;
      for (const auto& [precision, device] : precisions)
        parts.push_back(fmt::format("{} on {}", precision, device));
      plan_.notes.push_back(
          fmt::format("{} is compared at different precisions ({}): neither speed nor accuracy are "
                      "alike; `precision` in the workload file asks for one",
                      use.first.empty() ? "the model" : use.first, fmt::join(parts, ", ")));
    }
  }

  /// Of the machine that a profile was measured on.
  static std::optional<double> memory_in_fingerprint(const LoadedProfile* loaded) {
    if (loaded == nullptr) return std::nullopt;
    const auto found = loaded->profile.environment.find(kMemoryKey);
    if (found == loaded->profile.environment.end()) return std::nullopt;
    double megabytes = 0;
    const std::string& text = found->second;
    const auto [rest, status] = std::from_chars(text.data(), text.data() + text.size(), megabytes);
    if (status != std::errc{} || !(megabytes > 0) || !std::isfinite(megabytes)) return std::nullopt;
    return megabytes * 1e6;
  }

  Hardware look_at(const DeviceCandidate& device, const Load& load) const {
    Hardware hardware{.device = device,
                      .entry = catalogue_.find(device.name),
                      .profile = find_profile_of(device, request_.profiles, catalogue_),
                      .is_cpu = is_cpu(device, request_.profiles, catalogue_),
                      .cores = find_cores(device, request_.profiles, catalogue_)};
    // Cores decode alike, so any profile says what one does.
    hardware.decode_profile = hardware.profile;
    for (const LoadedProfile& loaded : request_.profiles) {
      if (hardware.decode_profile != nullptr && !hardware.decode_profile->profile.decode.empty())
        break;
      hardware.decode_profile = &loaded;
    }
    // A part of a processor has neither the power nor, called as the whole, the memory of its own.
    const bool is_part = hardware.entry != nullptr && hardware.profile != nullptr &&
                         !is_whole(*hardware.entry, hardware.profile->profile);
    hardware.is_profiled = hardware.profile != nullptr &&
                           (!is_part || is_called_as(device, hardware.profile->profile));
    if (hardware.entry != nullptr && hardware.entry->power_w && !(is_part && hardware.is_profiled))
      hardware.power_w = hardware.entry->power_w->value;
    if (device.memory_gib) {
      hardware.memory_bytes = *device.memory_gib * kGibibyte;
    } else if (hardware.entry != nullptr && hardware.entry->memory_bytes) {
      hardware.memory_bytes = hardware.entry->memory_bytes->value;
    } else if (hardware.is_cpu && hardware.is_profiled) {
      hardware.memory_bytes = memory_in_fingerprint(hardware.profile);
    }
    for (const Session& session : load.sessions) {
      hardware.services.push_back(
          find_service(device, session.model, session.precision, request_.profiles, catalogue_));
      // A precision that nobody asked for is not what is missing.
      if (hardware.services.back()) continue;
      Result<ModelService> any =
          find_service(device, session.model, "", request_.profiles, catalogue_);
      if (!any) hardware.services.back() = std::move(any);
    }
    return hardware;
  }

  std::vector<CandidatePlan> evaluate(const Workload& workload, const Load& load) const {
    std::vector<CandidatePlan> plans;
    for (const Hardware& hardware : hardware_)
      plans.push_back(Evaluation(workload, load, hardware, plan_.eta).run());
    std::string criterion;
    rank(plans, criterion);
    return plans;
  }

  static void rank(std::vector<CandidatePlan>& plans, std::string& criterion) {
    const auto all_usable = [&](auto has) {
      return std::ranges::all_of(
          plans, [&](const CandidatePlan& one) { return !one.problem.empty() || has(one); });
    };
    const bool by_cost = all_usable([](const CandidatePlan& one) { return one.cost.has_value(); });
    const bool by_power =
        !by_cost && all_usable([](const CandidatePlan& one) { return one.power_w.has_value(); });
    criterion = by_cost    ? "lowest cost"
                : by_power ? "lowest power (not all prices are given)"
                           : "fewest machines (prices and power are not all known)";
    const auto is_built_for = [](const CandidatePlan& one) {
      return one.problem.empty() && one.is_built_for;
    };
    if (std::ranges::any_of(plans, is_built_for) && !all_usable(is_built_for))
      criterion += ", of those that this version is built for";
    const auto is_known = [](const CandidatePlan& one) {
      return one.problem.empty() && one.is_decode_known;
    };
    // A count that leaves decoding out would win by what it leaves out.
    if (std::ranges::any_of(plans, is_known) && !all_usable(is_known))
      criterion += ", of those whose decoding is known";
    const auto key = [&](const CandidatePlan& one) {
      const double main = by_cost    ? one.cost.value_or(0)
                          : by_power ? one.power_w.value_or(0)
                                     : static_cast<double>(one.nodes);
      return std::tuple(!one.problem.empty(), !one.is_built_for, !one.is_decode_known, main,
                        one.confidence, one.count);
    };
    std::ranges::stable_sort(
        plans, [&](const CandidatePlan& a, const CandidatePlan& b) { return key(a) < key(b); });
  }

  std::string why_none() const {
    std::vector<std::string> lines;
    for (const CandidatePlan& candidate : plan_.candidates)
      lines.push_back(fmt::format("{}: {}", candidate.device.name, candidate.problem));
    return fmt::format("no device there is can serve this workload\n{}", fmt::join(lines, "\n"));
  }

  /// The winner's name under changed circumstances; empty where nothing works.
  std::string winner(const Workload& workload, double cameras, double rate) const {
    const std::vector<CandidatePlan> plans = evaluate(workload, load_of(workload, cameras, rate));
    return plans.empty() || !plans.front().problem.empty() ? "" : plans.front().device.name;
  }

  void add_flips() {
    const CandidatePlan& best = plan_.candidates.front();
    std::vector<std::string>& flips = plan_.flips;
    const std::string& name = best.device.name;
    if (plan_.candidates.size() > 1 && plan_.candidates[1].problem.empty()) {
      const CandidatePlan& second = plan_.candidates[1];
      if (plan_.criterion.starts_with("lowest cost") &&
          best.is_decode_known == second.is_decode_known &&
          best.is_built_for == second.is_built_for) {
        const double gap = *second.cost - *best.cost;
        flips.push_back(fmt::format("{} above {:.2f} {} each: {} would be cheaper", name,
                                    *best.device.price + gap / static_cast<double>(best.count),
                                    plan_.workload.currency, second.device.name));
      }
      find_load_flip({1.1, 1.25, 1.5, 2, 3, 5, 10});
      find_load_flip({.9, .8, .7, .5, .3, .2, .1});
      find_speed_flip(name);
      Workload changed = plan_.workload;
      changed.redundancy = 1;
      add_if_other(changed, "without redundancy");
      changed = plan_.workload;
      changed.n_plus_1 = !changed.n_plus_1;
      add_if_other(changed, changed.n_plus_1 ? "with N+1" : "without N+1");
      if (flips.empty())
        flips.push_back(fmt::format(
            "nothing that was tried (0.1 to 10 x the cameras, half the throughput of {}, "
            "no redundancy, N+1)",
            name));
    } else {
      flips.push_back(fmt::format("{} is the only device that can be used", name));
    }
  }

  void add_if_other(const Workload& changed, std::string_view when) {
    const std::string other = winner(changed, 1, 1);
    if (!other.empty() && other != plan_.candidates.front().device.name)
      plan_.flips.push_back(fmt::format("{}: {}", when, other));
  }

  void find_load_flip(const std::vector<double>& factors) {
    for (const double factor : factors) {
      const std::string other = winner(plan_.workload, factor, 1);
      if (other == plan_.candidates.front().device.name) continue;
      plan_.flips.push_back(other.empty()
                                ? fmt::format("at {:g} x the cameras nothing is enough", factor)
                                : fmt::format("at {:g} x the cameras: {}", factor, other));
      return;
    }
  }

  void find_speed_flip(const std::string& name) {
    const auto mine = std::ranges::find_if(
        hardware_, [&](const Hardware& one) { return one.device.name == name; });
    for (const double speed : {.95, .9, .8, .7, .6, .5}) {
      mine->speed = speed;
      const std::string other = winner(plan_.workload, 1, 1);
      if (other == name) continue;
      plan_.flips.push_back(fmt::format("{} {:.0f} % slower than counted: {}", name,
                                        (1 - speed) * 100,
                                        other.empty() ? "nothing keeps the SLO" : other));
      break;
    }
    mine->speed = 1;
  }

  void add_what_if() {
    const CandidatePlan& best = plan_.candidates.front();
    const Hardware& hardware = *std::ranges::find_if(
        hardware_, [&](const Hardware& one) { return one.device.name == best.device.name; });
    plan_.what_if.camera_factors = {.5, 1, 1.5, 2, 3};
    plan_.what_if.rate_factors = {.5, 1, 1.5, 2};
    for (const double cameras : plan_.what_if.camera_factors) {
      std::vector<std::optional<std::int64_t>>& row = plan_.what_if.devices.emplace_back();
      for (const double rate : plan_.what_if.rate_factors) {
        const bool is_possible =
            std::ranges::all_of(plan_.workload.cameras, [&](const CameraGroup& group) {
              return group.rate_hz * rate <= group.fps + kTolerance;
            });
        std::optional<std::int64_t>& cell = row.emplace_back();
        if (!is_possible) continue;
        Workload unlimited = plan_.workload;
        const Load load = load_of(unlimited, cameras, rate);
        const CandidatePlan plan = Evaluation(unlimited, load, hardware, plan_.eta).run();
        if (plan.count > 0) cell = plan.count;
      }
    }
  }

  void note_fingerprints() {
    std::map<std::string, const LoadedProfile*> by_model;
    for (const LoadedProfile& loaded : request_.profiles) {
      const bool is_used = std::ranges::any_of(plan_.candidates, [&](const CandidatePlan& one) {
        return std::ranges::find(one.profile_hashes, loaded.hash) != one.profile_hashes.end();
      });
      if (!is_used) {
        plan_.notes.push_back(
            fmt::format("profile {} ({} on {}) is not used: no camera group and "
                        "device ask for it",
                        loaded.name, loaded.profile.model, loaded.profile.device_name));
        continue;
      }
      const DeviceProfile& profile = loaded.profile;
      const auto [first, is_new] =
          by_model.emplace(profile.model + " " + profile.precision, &loaded);
      if (!is_new && first->second->profile.model_sha256 != profile.model_sha256)
        plan_.notes.push_back(
            fmt::format("{}: profiles {} and {} are of different files of this name (their SHA-256 "
                        "differ), so they may not be one model",
                        profile.model, first->second->name, loaded.name));
      std::vector<std::string> differences;
      for (const auto& [key, here] : request_.target) {
        // A term of its own, and not the same to the byte with another kernel.
        if (key == kMemoryKey) continue;
        const auto there = loaded.profile.environment.find(key);
        if (there != loaded.profile.environment.end() && there->second != here)
          differences.push_back(fmt::format("{} {} (here: {})", key, there->second, here));
      }
      if (!differences.empty())
        plan_.notes.push_back(
            fmt::format("profile {} was measured on another machine: {}; its figures hold for "
                        "machines like that one",
                        loaded.name, fmt::join(differences, ", ")));
    }
  }

  const PlanRequest& request_;
  const Catalogue& catalogue_;
  std::vector<Hardware> hardware_;
  Plan plan_;
};

}  // namespace

double picture_bytes_of_camera(Size size) {
  return pixels(size) * kBytesPerPixel * kSurfacesPerCamera;
}

Result<void> check_eta(double eta) {
  if (eta >= .05 && eta <= 1) return {};  // so that "nan" is none
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("--eta {:g}: write a share from 0.05 to 1", eta));
}

Result<Plan> plan_capacity(const PlanRequest& request, const Catalogue& catalogue) {
  CHECK(!request.workload.cameras.empty());
  return Planner(request, catalogue).run();
}

}  // namespace framemill
