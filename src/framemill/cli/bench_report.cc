#include "framemill/cli/bench_report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "framemill/base/check.h"

namespace framemill {
namespace {

/// More is a change that plans made with the older profile should know of.
constexpr double kMovedLeast = .05;
/// Differ from run to run, and say nothing about the machine.
const std::set<std::string_view> kPassing{"other_load_cores", "bench", "notes"};
/// Are not in profiles of older framemills, which does not mean that something changed.
const std::set<std::string_view> kAddedLater{kBackendKey, kArithmeticKey, "cuda",
                                             "cudart",    "cudnn",        "tensorrt"};

std::string value_of(const DeviceProfile& profile, const std::string& key) {
  const auto found = profile.environment.find(key);
  return found == profile.environment.end() ? std::string("not known") : found->second;
}

/// An arithmetic that was asked for is told beside one that is not known: it may well be another.
bool is_only_unknown(const DeviceProfile& before, const DeviceProfile& now,
                     const std::string& key) {
  if (before.environment.contains(key) || !kAddedLater.contains(key)) return false;
  return key != kArithmeticKey || value_of(now, key) == "auto";
}

std::string find_likely_cause(const DeviceProfile& before, const DeviceProfile& now) {
  const std::pair<const char*, const char*> causes[] = {
      {kArithmeticKey, "the arithmetic asked for"}, {kBackendKey, "the runtime"}};
  for (const auto& [key, name] : causes) {
    const std::string then = value_of(before, key), today = value_of(now, key);
    if (then == today || is_only_unknown(before, now, key)) continue;
    return before.environment.contains(key)
               ? fmt::format("{} was {} then and is {} now", name, then, today)
               : fmt::format("{} is {} now, and the older profile does not say its own", name,
                             today);
  }
  return {};
}

std::string megabytes(std::int64_t bytes) {
  return fmt::format("{:.0f}", static_cast<double>(bytes) / 1e6);
}

std::string mark_of(const DeviceProfile& profile, const ServicePoint& point) {
  if (point.decoders > 0 || point.batch != profile.knee_batch) return "";
  const bool is_knee = point.streams == profile.knee_streams;
  const bool is_run = point.streams == profile.run_streams;
  if (is_knee && is_run) return "  knee, run";
  return is_knee ? "  knee" : is_run ? "  run" : "";
}

/// What the most of its batches took.
std::string run_line(const RunPoint& run) {
  std::string line =
      fmt::format("a run of {} camera{}, {:g} frames/s each: {:.1f} inferred/s", run.cameras,
                  run.cameras == 1 ? "" : "s", run.rate_hz, run.frames_per_s);
  const auto most = std::ranges::max_element(run.batches, {}, &RunBatches::count);
  if (most == run.batches.end() || most->service.percentiles.empty()) return line + '\n';
  return line + fmt::format("; batch {}, {} in flight: p50 {:.1f} ms, p95 {:.1f} ms\n", most->batch,
                            most->in_flight, to_ms(most->service.percentiles[50]),
                            to_ms(most->service.percentiles[95]));
}

}  // namespace

double latency_ms(const ServicePoint& point, std::size_t percent) {
  CHECK(percent <= 100);
  return point.service.percentiles.empty() ? 0 : to_ms(point.service.percentiles[percent]);
}

const ServicePoint* find_point(const DeviceProfile& profile, std::size_t batch, std::size_t streams,
                               std::size_t decoders) {
  for (const ServicePoint& point : profile.points) {
    if (point.batch == batch && point.streams == streams && point.decoders == decoders)
      return &point;
  }
  return nullptr;
}

std::string describe_point(const ServicePoint& point) {
  std::string text = fmt::format("batch {}, {} stream{}", point.batch, point.streams,
                                 point.streams == 1 ? "" : "s");
  if (point.decoders > 0) text += fmt::format(", {} cameras decoded beside", point.decoders);
  return text;
}

std::string format_bench_table(const DeviceProfile& profile) {
  std::string out =
      fmt::format("{} {}, {}x{}, on {} ({})\n\n", profile.model, profile.precision,
                  profile.input.width, profile.input.height, profile.device, profile.device_name);
  auto end = std::back_inserter(out);
  bool has_power = false, has_temperature = false, has_card = false;
  for (const ServicePoint& point : profile.points) {
    has_power = has_power || point.power_w;
    has_temperature = has_temperature || point.temperature_c;
    has_card = has_card || point.device_bytes;
  }
  fmt::format_to(end, "{:>5} {:>7} {:>8} {:>9} {:>8} {:>8} {:>8} {:>6} {:>7} {:>7}", "batch",
                 "streams", "decoders", "frames/s", "p50 ms", "p95 ms", "p99 ms", "cores", "MB",
                 "spread");
  if (has_card) out += "  card MB";
  if (has_power) out += "       W";
  if (has_temperature) out += "    C";
  out += '\n';
  for (const ServicePoint& point : profile.points) {
    fmt::format_to(
        end, "{:>5} {:>7} {:>8} {:>9.1f} {:>8.1f} {:>8.1f} {:>8.1f} {:>6.2f} {:>7} {:>5.0f} %",
        point.batch, point.streams, point.decoders, point.frames_per_s, latency_ms(point, 50),
        latency_ms(point, 95), latency_ms(point, 99), point.cpu_cores, megabytes(point.host_bytes),
        point.spread * 100);
    if (has_card)
      fmt::format_to(end, " {:>8}", point.device_bytes ? megabytes(*point.device_bytes) : "-");
    if (has_power) out += point.power_w ? fmt::format(" {:>7.1f}", *point.power_w) : "       -";
    if (has_temperature)
      out += point.temperature_c ? fmt::format(" {:>4.0f}", *point.temperature_c) : "    -";
    out += mark_of(profile, point) + '\n';
  }
  fmt::format_to(end, "\nknee: batch {}, {} stream{}; `run` keeps {} in flight\n",
                 profile.knee_batch, profile.knee_streams, profile.knee_streams == 1 ? "" : "s",
                 profile.run_streams);
  for (const RunPoint& run : profile.runs) out += run_line(run);
  if (profile.camera) {
    fmt::format_to(end,
                   "a camera of {:.3g} frames/s beside it: {:.2f} ms to decode a frame, {:.2f} ms "
                   "to carry boxes to one\n",
                   profile.camera->fps, 1e3 * profile.camera->decode_s,
                   1e3 * profile.camera->carry_s);
    if (profile.camera->sample_s > 0 || profile.camera->carried_sample_s > 0) {
      fmt::format_to(end,
                     "a whole run loses {:.2f} ms more of a core with each sampled frame, under "
                     "policy adaptive {:.2f} ms\n",
                     1e3 * profile.camera->sample_s, 1e3 * profile.camera->carried_sample_s);
    }
  }
  if (!profile.decode.empty()) {
    fmt::format_to(end, "\n{:<7} {:>10} {:>20}\n", "decode", "size", "frames/s a core");
    for (const DecodeRate& rate : profile.decode)
      fmt::format_to(end, "{:<7} {:>10} {:>20.0f}\n", rate.codec,
                     fmt::format("{}x{}", rate.size.width, rate.size.height),
                     rate.frames_per_core_s);
  }
  out += '\n';
  for (const auto& [key, value] : profile.environment) fmt::format_to(end, "{}: {}\n", key, value);
  return out;
}

BenchChange compare_profiles(const DeviceProfile& before, const DeviceProfile& now) {
  BenchChange change;
  const auto note = [&change](std::string_view name, const std::string& old,
                              const std::string& fresh) {
    if (old != fresh) change.environment.push_back(fmt::format("{}: {} -> {}", name, old, fresh));
    return old != fresh;
  };
  const auto size_text = [](Size size) { return fmt::format("{}x{}", size.width, size.height); };
  const std::string old_model =
      fmt::format("{} ({})", before.model, before.model_sha256.substr(0, 12));
  const std::string new_model = fmt::format("{} ({})", now.model, now.model_sha256.substr(0, 12));
  // A file that was only renamed is the same model.
  if (before.model_sha256 != now.model_sha256)
    change.is_other_model = note("model", old_model, new_model);
  change.is_other_model |= note("input", size_text(before.input), size_text(now.input));
  change.is_other_model |= note("device", before.device, now.device);
  note("precision", before.precision, now.precision);
  if (before.device_name != now.device_name)
    note("device_name", before.device_name, now.device_name);

  std::set<std::string> keys;
  for (const auto* const environment : {&before.environment, &now.environment}) {
    for (const auto& [key, value] : *environment) keys.insert(key);
  }
  for (const std::string& key : keys) {
    if (!kPassing.contains(key) && !is_only_unknown(before, now, key))
      note(key, value_of(before, key), value_of(now, key));
  }
  change.likely_cause = find_likely_cause(before, now);
  constexpr const char* kOtherLoad = "other_load_cores";
  if (before.environment.contains(kOtherLoad) && now.environment.contains(kOtherLoad))
    change.other_load = fmt::format("{} cores then, {} now", value_of(before, kOtherLoad),
                                    value_of(now, kOtherLoad));
  if (change.is_other_model) return change;

  for (const ServicePoint& point : now.points) {
    const ServicePoint* const old = find_point(before, point.batch, point.streams, point.decoders);
    if (old == nullptr || latency_ms(*old, 50) <= 0 || latency_ms(point, 50) <= 0) continue;
    ++change.compared;
    const double moved = latency_ms(point, 50) / latency_ms(*old, 50) - 1;
    if (std::abs(moved) <= kMovedLeast) continue;
    change.warnings.push_back(
        fmt::format("{}: p50 {:.1f} -> {:.1f} ms ({:+.0f} %), p95 {:.1f} -> {:.1f} ms",
                    describe_point(point), latency_ms(*old, 50), latency_ms(point, 50), moved * 100,
                    latency_ms(*old, 95), latency_ms(point, 95)));
  }
  return change;
}

std::string format_bench_change(const BenchChange& change, const std::string& before_name) {
  std::string out;
  auto end = std::back_inserter(out);
  if (change.is_other_model) {
    fmt::format_to(end, "not compared with {}, which is another measurement:\n", before_name);
  } else if (change.compared == 0) {
    fmt::format_to(end, "not compared with {}: it has no setting that was measured now\n",
                   before_name);
  } else if (change.warnings.empty()) {
    fmt::format_to(end, "compared with {}: the latency of {} setting{} moved by no more than 5 %\n",
                   before_name, change.compared, change.compared == 1 ? "" : "s");
  } else {
    fmt::format_to(end, "warning: the latency moved by over 5 % since {}:\n", before_name);
    for (const std::string& line : change.warnings) fmt::format_to(end, "  {}\n", line);
    if (!change.other_load.empty())
      fmt::format_to(end, "  other work on the machine took {}\n", change.other_load);
    if (!change.likely_cause.empty())
      fmt::format_to(end, "  the likely cause: {}\n", change.likely_cause);
    if (change.environment.empty())
      out +=
          "  the environment is the same, so other work is the likely cause: measure again when "
          "the machine is idle\n";
    else
      out += "what changed since then:\n";
  }
  for (const std::string& line : change.environment) fmt::format_to(end, "  {}\n", line);
  return out;
}

}  // namespace framemill
