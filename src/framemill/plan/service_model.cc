#include "framemill/plan/service_model.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "framemill/base/check.h"
#include "framemill/base/text_case.h"
#include "framemill/plan/model_name.h"

namespace framemill {
namespace {

/// What a mean that somebody published has to be multiplied with to stand for a p99: the +-30 %
/// with which such figures are taken.
constexpr double kPublishedTail = 1.3;
/// Two devices differ the less, the smaller the work: a ratio of large models says nothing of small
/// ones. Figures of work within this factor count.
constexpr double kAlikeWork = 2;
/// A ratio nearer to 1 than this counts whatever the work: the true one lies between it and 1.
constexpr double kSmallRatio = 1.3;
/// Cores that are scaled by more are named as a guess.
constexpr double kFarFactor = 4;
constexpr std::size_t kP50 = 50;
constexpr std::size_t kP99 = 99;

bool is_profile_of(const DeviceCandidate& candidate, const DeviceProfile& profile,
                   const Catalogue& catalogue) {
  if (is_called_as(candidate, profile)) return true;
  const CatalogueDevice* const entry = catalogue.find(candidate.name);
  return entry != nullptr && entry == catalogue.find(profile.device_name);
}

/// "2 cores" and "2" are numbers, too.
std::optional<double> leading_number(const std::string& text) {
  double number = 0;
  const auto [rest, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status != std::errc{} || number <= 0 || !std::isfinite(number)) return std::nullopt;
  return number;
}

std::optional<double> cores_of(const DeviceProfile& profile) {
  for (const char* const key : {"cores", "cpu_count", "cpus", "cpu_cores"}) {
    const auto found = profile.environment.find(key);
    if (found != profile.environment.end()) return leading_number(found->second);
  }
  return std::nullopt;
}

/// Batches in ascending order, without those that a larger one beats: what does not raise the
/// throughput only costs latency.
void keep_useful(std::vector<BatchCost>& costs) {
  std::ranges::sort(costs, {}, &BatchCost::batch);
  std::vector<BatchCost> kept;
  for (const BatchCost& cost : costs) {
    const auto fps = [](const BatchCost& one) {
      return static_cast<double>(one.batch) / one.busy_s;
    };
    if (kept.empty() || fps(cost) > fps(kept.back())) kept.push_back(cost);
  }
  costs = std::move(kept);
}

ModelService service_from_profile(const LoadedProfile& loaded) {
  const DeviceProfile& profile = loaded.profile;
  ModelService service{.model = profile.model,
                       .precision = profile.precision,
                       .input = profile.input,
                       .knee_batch = profile.knee_batch,
                       .confidence = Confidence::kMeasured,
                       .source = "profile " + loaded.name,
                       .profile_hash = loaded.hash};
  // What `run` keeps in flight is what the plan has to hold for; the knee where that was not
  // measured.
  const auto points_at = [&](std::size_t streams) {
    std::vector<const ServicePoint*> points;
    for (const ServicePoint& point : profile.points)
      if (point.streams == streams && point.decoders == 0 && point.frames_per_s > 0)
        points.push_back(&point);
    return points;
  };
  service.streams = profile.run_streams;
  std::vector<const ServicePoint*> points = points_at(service.streams);
  if (points.empty()) {
    service.streams = profile.knee_streams;
    points = points_at(service.streams);
  }
  if (points.empty()) {
    service.streams = 1;
    points = points_at(1);
  }
  for (const ServicePoint* const point : points) {
    const double busy_s = static_cast<double>(point->batch) / point->frames_per_s;
    double p99_s = busy_s * static_cast<double>(point->streams) * kPublishedTail;
    double latency_s = p99_s;
    if (point->service.percentiles.size() > kP99) {
      // A frame that just missed a batch waits for one and runs in the next. That both take their
      // p99 happens once in 10,000 times; the promise is 99 %, so one of the two is at its median.
      p99_s = to_seconds(point->service.percentiles[kP99]);
      latency_s = (to_seconds(point->service.percentiles[kP50]) + p99_s) / 2;
    }
    // Larger batches than the knee are never sent: they gain under 5 %, and cost latency.
    if (point->batch <= profile.knee_batch) {
      service.costs.push_back({point->batch, std::max(latency_s, busy_s), busy_s, p99_s});
      service.knee_fps = std::max(service.knee_fps, point->frames_per_s);
    }
    // What the host's memory and processor take says nothing of a GPU's.
    const bool is_of_cpu = to_lower(profile.device).starts_with("cpu");
    if (!is_of_cpu && !point->device_bytes) continue;
    const auto bytes =
        static_cast<double>(point->device_bytes ? *point->device_bytes : point->host_bytes);
    if (bytes > 0) service.memory_bytes = std::max(service.memory_bytes.value_or(0), bytes);
    if (point->power_w) service.power_w = std::max(service.power_w.value_or(0), *point->power_w);
  }
  keep_useful(service.costs);
  return service;
}

/// `factor` times the throughput. How much sooner a single batch is done nobody measured, so its
/// latency stays; where the device is slower, it takes as much longer.
BatchCost scaled(BatchCost cost, double factor) {
  const double longer = std::max(1.0, 1 / factor);
  cost.busy_s /= factor;
  cost.latency_s *= longer;
  cost.p99_s *= longer;
  return cost;
}

/// All batches of it, marked as scaled.
ModelService scaled(ModelService service, double factor, const std::string& how) {
  for (BatchCost& cost : service.costs) cost = scaled(cost, factor);
  service.knee_fps *= factor;
  service.power_w.reset();  // of the other device
  service.confidence = Confidence::kScaled;
  service.source += fmt::format(", x {:.3g} by {}", factor, how);
  return service;
}

ModelService scaled_by_cores(ModelService service, double cores, double measured_on) {
  const double factor = cores / measured_on;
  const bool is_far = factor > kFarFactor || factor < 1 / kFarFactor;
  service = scaled(std::move(service), factor,
                   fmt::format("cores ({:g} for {:g}{})", cores, measured_on,
                               is_far ? "; so far off, measure before you buy" : ""));
  // As many batches as the cores take at once: each is no faster.
  const double streams = std::round(static_cast<double>(service.streams) * factor);
  service.streams = std::max(service.streams, static_cast<std::size_t>(streams));
  return service;
}

std::string cite(const PublishedInference& figure) {
  return figure.note.empty() ? figure.source : fmt::format("{} ({})", figure.source, figure.note);
}

ModelService service_from_figures(const std::vector<const PublishedInference*>& figures) {
  ModelService service{.model = figures.front()->model,
                       .precision = figures.front()->precision,
                       .input = figures.front()->input,
                       .confidence = Confidence::kPublished,
                       .source = cite(*figures.front())};
  for (const PublishedInference* const figure : figures) {
    const double busy_s = static_cast<double>(figure->batch) / figure->frames_per_s;
    service.costs.push_back({figure->batch, busy_s * kPublishedTail, busy_s, 0});
    if (figure->frames_per_s <= service.knee_fps) continue;
    service.knee_fps = figure->frames_per_s;
    service.knee_batch = figure->batch;
  }
  keep_useful(service.costs);
  return service;
}

double pixels(Size size) { return static_cast<double>(size.width) * size.height; }

/// The input that a file name tells ("yolo11n_640x384.onnx"); none where it tells nothing.
std::optional<Size> input_in_name(std::string_view name) {
  for (std::size_t at = name.find('_'); at != std::string_view::npos; at = name.find('_', at + 1)) {
    const char* const begin = name.data() + at + 1;
    const char* const end = name.data() + name.size();
    Size size;
    const auto [cross, first] = std::from_chars(begin, end, size.width);
    if (first != std::errc{} || cross == end || *cross != 'x') continue;
    const auto [rest, second] = std::from_chars(cross + 1, end, size.height);
    if (second == std::errc{} && size.width >= 16 && size.height >= 16 && size.width <= 16'384 &&
        size.height <= 16'384)
      return size;
  }
  return std::nullopt;
}

/// The input that a model of this name has; none where that is not known.
std::optional<Size> input_of(std::string_view model) {
  const std::optional<Size> named = input_in_name(model);
  if (named || !to_lower(model).starts_with("yolo")) return named;
  return Size{640, 640};  // as all of them are exported where nothing else is asked for
}

bool is_same_kind(const PublishedInference& a, const PublishedInference& b) {
  return a.model == b.model && a.precision == b.precision && a.input == b.input &&
         a.runtime == b.runtime && a.scenario == b.scenario;
}

/// Figures of one model and precision on one device, all of the runtime that is fastest; those of
/// the wanted input before others.
std::vector<const PublishedInference*> figures_of(const CatalogueDevice& device,
                                                  std::string_view model,
                                                  std::string_view precision) {
  const std::optional<Size> input = input_of(model);
  const auto rank = [&](const PublishedInference& figure) {
    return std::pair(input && figure.input == *input, figure.frames_per_s * pixels(figure.input));
  };
  const PublishedInference* best = nullptr;
  for (const PublishedInference& figure : device.inference)
    if (is_model_called(model, figure.model) &&
        (precision.empty() || figure.precision == precision) &&
        (best == nullptr || rank(figure) > rank(*best)))
      best = &figure;
  std::vector<const PublishedInference*> figures;
  if (best == nullptr) return figures;
  for (const PublishedInference& figure : device.inference)
    if (is_same_kind(figure, *best)) figures.push_back(&figure);
  return figures;
}

/// How many times as fast one device is as another, and the figure that says it.
struct Ratio {
  double value = 1;
  const PublishedInference* figure = nullptr;
};

/// `a` beside `b` in batches of `batch`, for a model of which `b` does `frames_per_s`: of the
/// figures that differ in the device alone, those of the work that is most alike.
std::optional<Ratio> published_ratio(const CatalogueDevice& a, const CatalogueDevice& b,
                                     std::size_t batch, double frames_per_s) {
  std::optional<Ratio> best;
  double best_distance = 0;
  for (const PublishedInference& of_a : a.inference) {
    for (const PublishedInference& of_b : b.inference) {
      if (!is_same_kind(of_a, of_b) || of_a.batch != batch || of_b.batch != batch) continue;
      const double ratio = of_a.frames_per_s / of_b.frames_per_s;
      const double distance = std::abs(std::log(of_b.frames_per_s / frames_per_s));
      if (distance > std::log(kAlikeWork) && std::abs(std::log(ratio)) > std::log(kSmallRatio))
        continue;
      if (best && best_distance <= distance) continue;
      best = Ratio{ratio, &of_a};
      best_distance = distance;
    }
  }
  return best;
}

/// `service` of the device `from` as `to` would do it: each batch by figures of such batches. None
/// where there are no such figures. `ratio` becomes that of the knee.
std::optional<ModelService> by_ratios(ModelService service, const CatalogueDevice& from,
                                      const CatalogueDevice& to, double& ratio) {
  std::vector<BatchCost> costs;
  service.knee_fps = 0;
  std::string how;
  for (const BatchCost& cost : service.costs) {
    const double fps = static_cast<double>(cost.batch) / cost.busy_s;
    const std::optional<Ratio> found = published_ratio(to, from, cost.batch, fps);
    if (!found) continue;
    costs.push_back(scaled(cost, found->value));
    if (fps * found->value <= service.knee_fps) continue;
    service.knee_fps = fps * found->value;
    service.knee_batch = cost.batch;
    ratio = found->value;
    how =
        fmt::format(", x {:.3g} by {} {} in batches of {}, published of both {} and {}", ratio,
                    found->figure->model, found->figure->precision, cost.batch, from.name, to.name);
  }
  if (costs.empty()) return std::nullopt;
  keep_useful(costs);
  service.costs = std::move(costs);
  service.power_w.reset();  // of the other device
  service.confidence = Confidence::kScaled;
  service.source += how;
  return service;
}

/// By what is published for the candidate itself.
std::optional<ModelService> by_own_figures(const CatalogueDevice& entry, std::string_view model,
                                           std::string_view precision) {
  const std::vector<const PublishedInference*> figures = figures_of(entry, model, precision);
  if (figures.empty()) return std::nullopt;
  ModelService service = service_from_figures(figures);
  service.model = model;
  const std::optional<Size> input = input_of(model);
  if (input && *input != service.input) {
    service = scaled(std::move(service), pixels(service.input) / pixels(*input), "input size");
    service.input = *input;
  }
  return service;
}

/// By another device: a profile of it before figures, and of several the nearest in speed.
std::optional<ModelService> by_other_device(const CatalogueDevice& entry, std::string_view model,
                                            std::string_view precision,
                                            const std::vector<LoadedProfile>& profiles,
                                            const Catalogue& catalogue) {
  std::optional<ModelService> best;
  double best_distance = 0;
  const auto offer = [&](ModelService service, const CatalogueDevice& from) {
    double ratio = 1;
    std::optional<ModelService> offered = by_ratios(std::move(service), from, entry, ratio);
    const double distance = std::abs(std::log(ratio));
    if (!offered || (best && best_distance <= distance)) return;
    best = std::move(offered);
    best_distance = distance;
  };
  for (const LoadedProfile& loaded : profiles) {
    const DeviceProfile& profile = loaded.profile;
    const CatalogueDevice* const other = catalogue.find(profile.device_name);
    if (other == nullptr || other == &entry || !is_model_named(model, profile.model)) continue;
    if (!precision.empty() && precision != profile.precision) continue;
    offer(service_from_profile(loaded), *other);
  }
  if (best || model.empty()) return best;
  for (const CatalogueDevice& other : catalogue.devices) {
    if (&other == &entry) continue;
    if (std::optional<ModelService> service = by_own_figures(other, model, precision))
      offer(*std::move(service), other);
  }
  return best;
}

}  // namespace

std::string_view to_string(Confidence confidence) {
  switch (confidence) {
    case Confidence::kMeasured:
      return "measured";
    case Confidence::kPublished:
      return "published";
    case Confidence::kScaled:
      return "scaled";
  }
  return "unknown";
}

const LoadedProfile* find_profile_of(const DeviceCandidate& candidate,
                                     const std::vector<LoadedProfile>& profiles,
                                     const Catalogue& catalogue) {
  for (const LoadedProfile& loaded : profiles)
    if (is_profile_of(candidate, loaded.profile, catalogue)) return &loaded;
  return nullptr;
}

bool is_called_as(const DeviceCandidate& candidate, const DeviceProfile& profile) {
  return is_same_text(candidate.name, profile.device) ||
         is_same_text(candidate.name, profile.device_name);
}

bool is_whole(const CatalogueDevice& entry, const DeviceProfile& profile) {
  const std::optional<double> cores = cores_of(profile);
  if (entry.kind != DeviceKind::kCpu || !entry.cores || !cores) return true;
  return *cores == entry.cores->value || *cores == 2 * entry.cores->value;
}

bool is_cpu(const DeviceCandidate& candidate, const std::vector<LoadedProfile>& profiles,
            const Catalogue& catalogue) {
  if (const LoadedProfile* const own = find_profile_of(candidate, profiles, catalogue))
    return to_lower(own->profile.device).starts_with("cpu");
  const CatalogueDevice* const entry = catalogue.find(candidate.name);
  if (entry != nullptr) return entry->kind == DeviceKind::kCpu;
  return candidate.cores.has_value();
}

std::optional<double> find_cores(const DeviceCandidate& candidate,
                                 const std::vector<LoadedProfile>& profiles,
                                 const Catalogue& catalogue) {
  if (candidate.cores) return candidate.cores;
  const CatalogueDevice* const entry = catalogue.find(candidate.name);
  if (const LoadedProfile* const own = find_profile_of(candidate, profiles, catalogue))
    if (entry == nullptr || is_called_as(candidate, own->profile) || is_whole(*entry, own->profile))
      return cores_of(own->profile);
  if (entry != nullptr && entry->cores) return entry->cores->value;
  return std::nullopt;
}

Result<ModelService> find_service(const DeviceCandidate& candidate, std::string_view model,
                                  std::string_view precision,
                                  const std::vector<LoadedProfile>& profiles,
                                  const Catalogue& catalogue) {
  if (candidate.throughput) {
    const double busy_s = 1 / *candidate.throughput;
    return ModelService{.model = std::string(model),
                        .precision = std::string(precision),
                        .costs = {{1, busy_s, busy_s, 0}},
                        .knee_fps = *candidate.throughput,
                        .is_within_slo = true,
                        .source = "throughput in the workload file"};
  }
  const std::optional<double> cores = find_cores(candidate, profiles, catalogue);
  const LoadedProfile* cpu_profile = nullptr;
  std::set<std::string> other_models;
  for (const LoadedProfile& loaded : profiles) {
    const DeviceProfile& profile = loaded.profile;
    const bool is_own = is_profile_of(candidate, profile, catalogue);
    if (is_own) other_models.insert(profile.model + " " + profile.precision);
    if (!is_model_named(model, profile.model) ||
        (!precision.empty() && precision != profile.precision))
      continue;
    const bool is_of_cpu = to_lower(profile.device).starts_with("cpu");
    if (is_of_cpu && cpu_profile == nullptr) cpu_profile = &loaded;
    if (!is_own) continue;
    ModelService service = service_from_profile(loaded);
    if (service.costs.empty()) continue;
    const std::optional<double> measured_on = cores_of(profile);
    if (is_of_cpu && cores && measured_on && *cores != *measured_on)
      return scaled_by_cores(std::move(service), *cores, *measured_on);
    return service;
  }
  const CatalogueDevice* const entry = catalogue.find(candidate.name);
  if (entry != nullptr && !model.empty())
    if (std::optional<ModelService> service = by_own_figures(*entry, model, precision))
      return *std::move(service);
  if (entry != nullptr)
    if (std::optional<ModelService> service =
            by_other_device(*entry, model, precision, profiles, catalogue))
      return *std::move(service);
  if (cpu_profile != nullptr && cores && is_cpu(candidate, profiles, catalogue)) {
    const std::optional<double> measured_on = cores_of(cpu_profile->profile);
    ModelService service = service_from_profile(*cpu_profile);
    if (measured_on && !service.costs.empty())
      return scaled_by_cores(std::move(service), *cores, *measured_on);
  }
  const std::string what =
      model.empty() ? std::string("any model")
                    : fmt::format("{}{}{}", model, precision.empty() ? "" : " ", precision);
  if (!other_models.empty())
    return fail(
        ErrorCode::kNotFound,
        fmt::format("the profiles of {} are of {}, not of {}; run `framemill bench {}` there",
                    candidate.name, fmt::join(other_models, ", "), what,
                    model.empty() ? "MODEL" : model));
  return fail(ErrorCode::kNotFound,
              fmt::format("nothing is known of {} on {}; run `framemill bench {}` there and give "
                          "its profile, or state `throughput`{}",
                          what, candidate.name, model.empty() ? "MODEL" : model,
                          entry == nullptr ? " (the catalogue does not know this device)" : ""));
}

}  // namespace framemill
