#include "framemill/cli/doctor_report.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "framemill/cli/doctor_memory.h"
#include "framemill/cli/doctor_plan.h"
#include "framemill/config/workload.h"

namespace framemill {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kBusyShare = .5;
constexpr std::size_t kCamerasListed = 5;  // of those with the same trouble, in one finding

std::string gigabytes(std::int64_t bytes) {
  return fmt::format("{:.1f} GB", static_cast<double>(bytes) / 1e9);
}

std::string list_ids(const std::vector<std::string>& ids) {
  if (ids.size() <= kCamerasListed) return fmt::format("{}", fmt::join(ids, ", "));
  return fmt::format("{} and {} more", fmt::join(ids.begin(), ids.begin() + kCamerasListed, ", "),
                     ids.size() - kCamerasListed);
}

void fix(DoctorReport& report, std::string text, std::string remedy) {
  report.findings.push_back({Finding::Kind::kFix, std::move(text), std::move(remedy)});
}
void advise(DoctorReport& report, std::string text, std::string remedy) {
  report.findings.push_back({Finding::Kind::kAdvice, std::move(text), std::move(remedy)});
}

LoadEstimate estimate_load(const DoctorReport& report) {
  LoadEstimate load{.is_known = !report.cameras.empty()};
  double decode_cores = 0;
  for (const CheckedCamera& camera : report.cameras) {
    const bool has_model =
        camera.model < report.models.size() && report.models[camera.model].frames_per_s > 0;
    if (has_model) {
      const CheckedModel& model = report.models[camera.model];
      double& share = model.is_on_cpu() ? load.inference : load.devices[model.device];
      share += camera.sampled_hz * camera.inferred_share /
               (model.frames_per_s * static_cast<double>(model.device_count));
    }
    decode_cores += camera.frame_rate_hz * to_seconds(camera.decode_time);
    if (!has_model || !camera.error.empty()) load.is_known = false;
  }
  load.decoding =
      decode_cores / static_cast<double>(std::max<std::size_t>(1, report.machine.cores));
  return load;
}

void look_at_build(DoctorReport& report) {
  if (report.runtimes.empty())
    fix(report, "this build has no inference runtime",
        "build with -DFRAMEMILL_OPENVINO=ON or -DFRAMEMILL_ONNXRUNTIME=ON (the defaults)");
  else
    for (const AbsentRuntime& runtime : report.absent_runtimes)
      advise(
          report, fmt::format("this build has no {}", runtime.name),
          fmt::format(
              "only models that name it, or a device or format of its own, need it; build with {}",
              runtime.option));
  for (const RuntimeFacts& runtime : report.runtimes) {
    for (const std::string& missing : runtime.missing)
      advise(report, fmt::format("{}: {}", runtime.name, missing),
             "only models that name this runtime or one of its devices need it");
    if (runtime.devices.empty() && runtime.missing.empty())
      fix(report, fmt::format("{} finds no device", runtime.name),
          "install it as scripts/setup.sh does: its plugins must lie beside it");
  }
  const auto& missing = report.ffmpeg.missing;
  if (std::ranges::find(missing, "h264") != missing.end())
    fix(report, "this FFmpeg cannot decode h264, which most cameras send",
        "install libavcodec with its H.264 decoder");
}

void look_at_models(DoctorReport& report) {
  for (const CheckedModel& model : report.models) {
    if (!model.error.empty())
      fix(report, fmt::format("model {} does not load", model.name), model.error);
  }
}

void look_at_cameras(DoctorReport& report) {
  // The same trouble of many cameras is one thing to fix.
  std::vector<std::pair<std::string, std::vector<std::string>>> by_error, by_class;
  const auto gather = [](auto& groups, const std::string& key, const std::string& id) {
    const auto found =
        std::ranges::find_if(groups, [&key](const auto& group) { return group.first == key; });
    if (found == groups.end())
      groups.push_back({key, {id}});
    else
      found->second.push_back(id);
  };
  for (const CheckedCamera& camera : report.cameras) {
    if (!camera.error.empty()) gather(by_error, camera.error, camera.id);
    for (const std::string& label : camera.unknown_classes) gather(by_class, label, camera.id);
  }
  for (const auto& [error, ids] : by_error)
    fix(report, fmt::format("{} {} no pictures", list_ids(ids), ids.size() == 1 ? "gives" : "give"),
        error);
  for (const auto& [label, ids] : by_class)
    fix(report, fmt::format("{}: \"{}\" is no label of the model", list_ids(ids), label),
        "correct `classes`, or give the model the `labels` it was trained with");
}

void look_at_slo(DoctorReport& report) {
  std::vector<std::string> ids;
  Duration longest{0};
  for (const CheckedCamera& camera : report.cameras) {
    if (camera.model >= report.models.size() || camera.slo <= Duration::zero()) continue;
    const Duration service = report.models[camera.model].service_p95;
    if (service == Duration::zero() || service < camera.slo) continue;
    ids.push_back(camera.id);
    longest = std::max(longest, service);
  }
  if (!ids.empty())
    fix(report,
        fmt::format("{}: an inference takes {:.0f} ms here (p95), longer than the slo",
                    list_ids(ids), to_ms(longest)),
        fmt::format("raise `slo` above {:.0f} ms, or choose a smaller model",
                    to_ms(longest) * 1.2));
}

/// What makes inference take `share` of what it takes now.
std::string how_to_infer_less(double share, double machines, std::string_view such) {
  return fmt::format(
      "`policy: adaptive` with `budget: {:.2f}`, `rate` at {:.0f} % of what it is, a smaller "
      "model, or {:.1f} such {}",
      std::max(.01, std::floor(share * 100) / 100), share * 100, machines, such);
}

/// True where the processor is full.
bool look_at_processor(DoctorReport& report) {
  const LoadEstimate& load = report.load;
  if (load.processor() <= kLoadLimit) return false;
  const std::string text = fmt::format(
      "the cameras need about {:.0f} % of this machine's processor ({:.0f} % inference, {:.0f} % "
      "decoding)",
      load.processor() * 100, load.inference * 100, load.decoding * 100);
  // As plan counts, so that the remedy is one for it, too.
  const double left = 1 - load.decoding / Workload().decode_limit;
  if (left <= 0)
    fix(report, text,
        "decoding alone is too much: let the cameras send a smaller stream or fewer frames, or "
        "share them among machines");
  else
    fix(report, text,
        how_to_infer_less(kLoadLimit * left / load.inference, load.processor() / kLoadLimit,
                          "machines"));
  return true;
}

/// What plan counts beyond the simple sum: room for bursts within the SLO, memory.
void look_at_plan(DoctorReport& report, const DevicePlan& plan) {
  const std::string ask = "`framemill bench` and `framemill plan` say more (docs/plan.md)";
  if (!plan.problem.empty())
    return advise(report, fmt::format("`framemill plan` would refuse this: {}", plan.problem), ask);
  const auto count = [&plan](std::int64_t devices) {
    return plan.device == "CPU" ? fmt::format("{} such machines", devices)
                                : fmt::format("{} such devices as {}", devices, plan.device);
  };
  if (plan.needed > 1)
    return fix(
        report,
        fmt::format("`framemill plan` counts {} for these cameras, by {}: {}", count(plan.needed),
                    plan.binding, plan.reason),
        "fewer cameras, a lower `rate`, a `budget` under policy adaptive, or a smaller model");
  if (plan.needed_with_reserve > 1)
    advise(report,
           fmt::format("the cameras fit, but without the reserve that `framemill plan` recommends "
                       "({:g} times the load), which takes {}",
                       kPlanReserve, count(plan.needed_with_reserve)),
           "expect late answers at peaks, or leave room: a lower `rate`, a `budget`, a smaller "
           "model");
}

void look_at_load(DoctorReport& report, bool is_memory_full) {
  std::vector<std::string> full;
  if (look_at_processor(report)) full.emplace_back("CPU");
  for (const auto& [device, share] : report.load.devices) {
    if (share <= kLoadLimit) continue;
    full.push_back(device);
    fix(report, fmt::format("the cameras need about {:.0f} % of {}", share * 100, device),
        how_to_infer_less(kLoadLimit / share, share / kLoadLimit, "devices"));
  }
  for (const DevicePlan& plan : report.plans) {
    // What is full by the simple sums needs no second word.
    const bool is_refused = !plan.problem.empty() || plan.binding == "memory";
    if (is_memory_full && plan.device == "CPU" && is_refused) continue;
    if (std::ranges::find(full, plan.device) == full.end()) look_at_plan(report, plan);
  }
}

void look_at_decoder(DoctorReport& report) {
  if (report.decoder.error.empty()) return;
  advise(report,
         fmt::format("{}: `decode: auto`, but the processor decodes",
                     list_ids(report.decoder.cameras)),
         report.decoder.error);
}

void look_at_machine(DoctorReport& report) {
  const MachineFacts& machine = report.machine;
  std::int64_t free = machine.memory_available_bytes;
  if (machine.memory_limit_bytes)
    free = std::min(free, *machine.memory_limit_bytes - machine.memory_used_bytes.value_or(0));
  if (machine.memory_bytes > 0 && free < kMemoryLow)
    fix(report, fmt::format("only {:.0f} MB of memory are free", static_cast<double>(free) / 1e6),
        machine.memory_limit_bytes && free < machine.memory_available_bytes
            ? "raise the container's limit"
            : "end what else runs here, or add memory");
  if (!machine.locked.empty())
    advise(report,
           fmt::format("{} may not be opened by this user", fmt::join(machine.locked, ", ")),
           "add the user to the group that owns it (ls -l shows it; often render or video)");
  if (!machine.gpus.empty() && machine.locked.size() < machine.gpus.size()) {
    const auto is_gpu = [](const std::string& device) {
      return device.starts_with("GPU") || device.starts_with("cuda:");
    };
    const bool has_gpu = std::ranges::any_of(report.runtimes, [&](const RuntimeFacts& runtime) {
      return std::ranges::any_of(runtime.devices, is_gpu);
    });
    if (!has_gpu)
      advise(report, "there is a GPU, but no runtime of this build can use it",
             "for Intel, install the compute driver (intel-opencl-icd); for NVIDIA run "
             "`scripts/setup.sh gpu` and see docs/inference.md");
  }
  if (machine.cores < machine.machine_cores)
    advise(report, fmt::format("{} of {} cores may be used", machine.cores, machine.machine_cores),
           "raise the container's CPU quota or the affinity mask if that is not meant");
  if (machine.governor && *machine.governor == "powersave")
    advise(report, "the cores are set to save power, which may make inference slower",
           "set the governor to performance: cpupower frequency-set -g performance");
  if (machine.load_average > kBusyShare * static_cast<double>(machine.cores))
    advise(report,
           fmt::format("the machine is busy: a load average of {:.1f} on {} cores",
                       machine.load_average, machine.cores),
           "what was measured here is slower than on an idle machine; end it and look again");
  const auto has = [&machine](std::string_view feature) {
    return std::ranges::find(machine.cpu_features, feature) != machine.cpu_features.end();
  };
  const bool is_x86 = has("sse4_2") || has("avx");
  if (is_x86 && !has("avx2"))
    advise(report, "the processor has no AVX2, so inference is several times slower",
           "use a machine from 2015 or later; in a virtual machine, pass the host's CPU through");
}

std::string describe_memory(const MachineFacts& machine) {
  std::string text = fmt::format("{}, {} available", gigabytes(machine.memory_bytes),
                                 gigabytes(machine.memory_available_bytes));
  if (machine.memory_limit_bytes)
    text += fmt::format("; the container may use {}, of which {} are used",
                        gigabytes(*machine.memory_limit_bytes),
                        gigabytes(machine.memory_used_bytes.value_or(0)));
  return text;
}

std::string or_none(const std::vector<std::string>& items, std::string_view separator = ", ") {
  return items.empty() ? "none" : fmt::format("{}", fmt::join(items, separator));
}

std::string describe_camera(const CheckedCamera& camera) {
  if (!camera.error.empty()) return camera.error;
  std::string text = fmt::format("{} {}x{} at {:.4g}/s", camera.codec, camera.size.width,
                                 camera.size.height, camera.frame_rate_hz);
  if (camera.decode_time > Duration::zero())
    text += fmt::format(", {:.2f} ms to decode a frame", to_ms(camera.decode_time));
  return text;
}

}  // namespace

bool DoctorReport::has_to_be_fixed() const {
  return std::ranges::any_of(
      findings, [](const Finding& finding) { return finding.kind == Finding::Kind::kFix; });
}

void diagnose(DoctorReport& report) {
  report.load = estimate_load(report);
  report.memory = estimate_memory(report);
  report.plans = plan_devices(report);
  report.findings.clear();
  // In the order in which one trouble hides the next.
  look_at_build(report);
  look_at_models(report);
  look_at_cameras(report);
  look_at_slo(report);
  const bool is_memory_full = look_at_memory(report);
  look_at_load(report, is_memory_full);
  look_at_decoder(report);
  look_at_machine(report);
  std::ranges::stable_sort(report.findings, {}, &Finding::kind);
}

std::string format_doctor_report(const DoctorReport& report) {
  std::string out = "machine\n";
  auto end = std::back_inserter(out);
  const MachineFacts& machine = report.machine;
  const auto line = [&end](std::string_view name, const std::string& text) {
    fmt::format_to(end, "  {:<10} {}\n", name, text);
  };
  line("cpu", fmt::format("{}, {} of {} cores", machine.cpu, machine.cores, machine.machine_cores));
  line("features", or_none(machine.cpu_features, " "));
  line("memory", describe_memory(machine));
  line("load", fmt::format("average {:.1f} in the last minute", machine.load_average));
  if (machine.governor) line("governor", *machine.governor);
  line("kernel", machine.kernel);
  line("gpus", or_none(machine.gpus));
  if (machine.nvidia) line("driver", *machine.nvidia);
  for (const RuntimeFacts& runtime : report.runtimes) {
    std::string text = runtime.name + "; " + or_none(runtime.devices, "; ");
    if (!runtime.providers.empty())
      text += fmt::format("; providers {}", fmt::join(runtime.providers, " "));
    line("runtime", text);
  }
  for (const AbsentRuntime& runtime : report.absent_runtimes)
    line("runtime", runtime.name + " is not in this build");
  line("decoders", or_none(report.ffmpeg.decoders, " ") + "; " + report.ffmpeg.version);
  line("hardware", or_none(report.ffmpeg.hardware, " ") + " (what FFmpeg was built for)");

  std::size_t width = 8;
  for (const CheckedModel& model : report.models) width = std::max(width, model.name.size());
  for (const CheckedCamera& camera : report.cameras) width = std::max(width, camera.id.size());
  const auto row = [&](const std::string& name, bool is_good, const std::string& text) {
    fmt::format_to(end, "  {:<4} {:<{}}  {}\n", is_good ? "ok" : "FIX", name, width, text);
  };
  if (!report.models.empty()) out += "\nmodels\n";
  for (const CheckedModel& model : report.models) {
    std::string text = model.error.empty() ? model.description : model.error;
    if (model.frames_per_s > 0)
      text += fmt::format(", {:.0f}/s, p95 {:.1f} ms ({})", model.frames_per_s,
                          to_ms(model.service_p95),
                          model.is_from_profile ? "from the profile" : "tried just now");
    row(model.name, model.error.empty(), text);
  }
  for (const std::string& note : report.profile_notes) fmt::format_to(end, "  note {}\n", note);
  if (!report.cameras.empty()) out += "\ncameras\n";
  for (const CheckedCamera& camera : report.cameras)
    row(camera.id, camera.error.empty() && camera.unknown_classes.empty(), describe_camera(camera));
  if (!report.cameras.empty()) {
    fmt::format_to(
        end,
        "\nload{}\n  processor: inference {:.0f} %, decoding {:.0f} %: {:.0f} %; {:.0f} % "
        "is a good limit\n",
        report.load.is_known ? "" : " (of what could be looked at)", report.load.inference * 100,
        report.load.decoding * 100, report.load.processor() * 100, kLoadLimit * 100);
    for (const auto& [device, share] : report.load.devices)
      fmt::format_to(end, "  {}: inference {:.0f} %; {:.0f} % is a good limit\n", device,
                     share * 100, kLoadLimit * 100);
    fmt::format_to(end, "  memory: {}\n", describe_memory_need(report.memory));
  }
  for (const DevicePlan& plan : report.plans) {
    if (!plan.problem.empty())
      fmt::format_to(end, "  by `plan`, {}: {}\n", plan.device, plan.problem);
    else
      fmt::format_to(end, "  by `plan`, {}: {} needed ({}), {} with its reserve\n", plan.device,
                     plan.needed, plan.binding, plan.needed_with_reserve);
  }
  out += report.findings.empty() ? "\nnothing to fix\n" : "\nwhat to do first\n";
  std::size_t number = 0;
  for (const Finding& finding : report.findings)
    fmt::format_to(end, "  {}. {}{}\n     {}\n", ++number,
                   finding.kind == Finding::Kind::kFix ? "" : "(advice) ", finding.text,
                   finding.remedy);
  return out;
}

std::string to_doctor_json(const DoctorReport& report) {
  const MachineFacts& machine = report.machine;
  const auto optional = [](const auto& value) { return value ? Json(*value) : Json(nullptr); };
  Json json;
  json["schema"] = "framemill.doctor/1";
  json["ok"] = !report.has_to_be_fixed();
  json["machine"] = {{"cpu", machine.cpu},
                     {"features", machine.cpu_features},
                     {"cores", machine.cores},
                     {"machine_cores", machine.machine_cores},
                     {"memory_bytes", machine.memory_bytes},
                     {"memory_available_bytes", machine.memory_available_bytes},
                     {"memory_limit_bytes", optional(machine.memory_limit_bytes)},
                     {"memory_used_bytes", optional(machine.memory_used_bytes)},
                     {"load_average", machine.load_average},
                     {"kernel", machine.kernel},
                     {"governor", optional(machine.governor)},
                     {"gpus", machine.gpus},
                     {"gpus_locked", machine.locked},
                     {"nvidia_driver", optional(machine.nvidia)}};
  json["decoding"] = {{"version", report.ffmpeg.version},
                      {"decoders", report.ffmpeg.decoders},
                      {"missing", report.ffmpeg.missing},
                      {"hardware", report.ffmpeg.hardware}};
  json["runtimes"] = Json::array();
  for (const RuntimeFacts& runtime : report.runtimes)
    json["runtimes"].push_back({{"name", runtime.name},
                                {"devices", runtime.devices},
                                {"providers", runtime.providers},
                                {"missing", runtime.missing}});
  json["config"] = report.config.empty() ? Json(nullptr) : Json(report.config);
  json["models"] = Json::array();
  for (const CheckedModel& model : report.models)
    json["models"].push_back({{"name", model.name},
                              {"path", model.path},
                              {"ok", model.error.empty()},
                              {"error", model.error.empty() ? Json(nullptr) : Json(model.error)},
                              {"description", model.description},
                              {"device", model.device},
                              {"frames_per_s", model.frames_per_s},
                              {"service_p95_ms", to_ms(model.service_p95)},
                              {"measured", model.is_from_profile ? "profile" : "now"}});
  json["profile_notes"] = report.profile_notes;
  json["cameras"] = Json::array();
  for (const CheckedCamera& camera : report.cameras)
    json["cameras"].push_back({{"camera", camera.id},
                               {"url", camera.url},
                               {"ok", camera.error.empty() && camera.unknown_classes.empty()},
                               {"error", camera.error.empty() ? Json(nullptr) : Json(camera.error)},
                               {"unknown_classes", camera.unknown_classes},
                               {"codec", camera.codec},
                               {"width", camera.size.width},
                               {"height", camera.size.height},
                               {"frame_rate_hz", camera.frame_rate_hz},
                               {"decode_ms", to_ms(camera.decode_time)}});
  json["load"] = report.cameras.empty() ? Json(nullptr)
                                        : Json{{"inference", report.load.inference},
                                               {"decoding", report.load.decoding},
                                               {"total", report.load.processor()},
                                               {"devices", report.load.devices},
                                               {"limit", kLoadLimit},
                                               {"complete", report.load.is_known}};
  const MemoryNeed& memory = report.memory;
  json["memory"] = report.cameras.empty() ? Json(nullptr)
                                          : Json{{"cameras_bytes", memory.cameras_bytes},
                                                 {"models_bytes", memory.models_bytes},
                                                 {"process_bytes", memory.process_bytes},
                                                 {"total_bytes", memory.total_bytes()},
                                                 {"limit_bytes", memory.limit_bytes},
                                                 {"free_bytes", memory.free_bytes},
                                                 {"complete", memory.is_known}};
  json["plan"] = Json::array();
  for (const DevicePlan& plan : report.plans) {
    const bool is_possible = plan.problem.empty();
    json["plan"].push_back(
        {{"device", plan.device},
         {"problem", is_possible ? Json(nullptr) : Json(plan.problem)},
         {"needed", is_possible ? Json(plan.needed) : Json(nullptr)},
         {"binding", is_possible ? Json(plan.binding) : Json(nullptr)},
         {"reason", is_possible ? Json(plan.reason) : Json(nullptr)},
         {"needed_with_reserve", is_possible ? Json(plan.needed_with_reserve) : Json(nullptr)}});
  }
  json["hardware_decoder"] =
      report.decoder.cameras.empty()
          ? Json(nullptr)
          : Json{{"cameras", report.decoder.cameras},
                 {"ok", report.decoder.error.empty()},
                 {"error",
                  report.decoder.error.empty() ? Json(nullptr) : Json(report.decoder.error)}};
  json["findings"] = Json::array();
  for (const Finding& finding : report.findings)
    json["findings"].push_back({{"kind", finding.kind == Finding::Kind::kFix ? "fix" : "advice"},
                                {"text", finding.text},
                                {"remedy", finding.remedy}});
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace framemill
