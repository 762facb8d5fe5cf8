#pragma once

#include <array>

#include "framemill/config/settings_tables.h"
#include "framemill/config/workload.h"

/// The tables of a workload file's keys, one row a key, as settings_tables.h has those of a
/// configuration: parser, range check and docs/reference/workload.md read them.

namespace framemill {

inline constexpr std::array kWorkloadKeys{
    Setting<Workload>{.key = "name",
                      .field = &Workload::name,
                      .default_text = "the file's name",
                      .help = "Of the site, for headings."},
    Setting<Workload>{
        .key = "redundancy",
        .field = &Workload::redundancy,
        .min = 1,
        .max = 10,
        .help = "Capacity over mean load: peaks, two versions during an update, switching cost."},
    Setting<Workload>{.key = "n_plus_1",
                      .field = &Workload::n_plus_1,
                      .help = "The loss of one device must not break the promise."},
    Setting<Workload>{
        .key = "eta",
        .field = &Workload::eta,
        .min = .05,
        .max = 1,
        .default_text = "0.85",
        .help = "Share of the knee's throughput at which 99 % of the answers keep their SLO; "
                "docs/simulate.md says how to find it."},
    Setting<Workload>{.key = "decode_limit",
                      .field = &Workload::decode_limit,
                      .min = .05,
                      .max = 1,
                      .help = "Share of the decoders that may be used."},
    Setting<Workload>{.key = "memory_limit",
                      .field = &Workload::memory_limit,
                      .min = .05,
                      .max = 1,
                      .help = "Share of the memory that may be used."},
    Setting<Workload>{.key = "currency",
                      .field = &Workload::currency,
                      .text = TextKind::kName,
                      .help = "Of all prices."},
    Setting<Workload>{.key = "energy_price",
                      .field = &Workload::energy_price,
                      .min = 0,
                      .max = 1000,
                      .unit = "a kWh",
                      .default_text = "energy is not priced",
                      .help = "Adds the energy of `years` to the cost."},
    Setting<Workload>{.key = "years",
                      .field = &Workload::years,
                      .min = .1,
                      .max = 50,
                      .help = "For which energy is counted."},
};

inline constexpr std::array kCameraGroupKeys{
    Setting<CameraGroup>{.key = "name",
                         .field = &CameraGroup::name,
                         .text = TextKind::kName,
                         .is_own = true,
                         .default_text = "group-1, group-2, ...",
                         .help = "Of the group, in tables and messages."},
    Setting<CameraGroup>{.key = "count",
                         .field = &CameraGroup::count,
                         .min = 1,
                         .max = 1e9,
                         .is_own = true,
                         .help = "Cameras in the group."},
    Setting<CameraGroup>{.key = "codec",
                         .field = &CameraGroup::codec,
                         .choices = "h264|hevc|mjpeg|mpeg4|av1|vp9",
                         .help = "Of the stream."},
    Setting<CameraGroup>{.key = "resolution",
                         .field = &CameraGroup::resolution,
                         .min = 16,
                         .max = 16'384,
                         .help = "Of the stream."},
    Setting<CameraGroup>{.key = "fps",
                         .field = &CameraGroup::fps,
                         .min = .1,
                         .max = 240,
                         .unit = "1/s",
                         .help = "Frames a camera delivers a second; all of them cost decoding."},
    Setting<CameraGroup>{.key = "decode",
                         .field = &CameraGroup::decode,
                         .choices = "cpu|auto",
                         .help =
                             "What decodes, as in a configuration: auto takes NVIDIA's decoder, "
                             "cpu the processor of the machine. Policy adaptive wants motion "
                             "vectors, so its h264 and mpeg4 stay with the processor."},
    Setting<CameraGroup>{.key = "bitrate",
                         .field = &CameraGroup::mbit_per_s,
                         .min = .01,
                         .max = 10'000,
                         .unit = "Mbit/s",
                         .default_text = "estimated",
                         .help = "Of one stream, for network and disk. The estimate is 0.1 bit a "
                                 "pixel (hevc, av1, vp9: 0.06; mjpeg: 1.2)."},
    Setting<CameraGroup>{.key = "rate",
                         .field = &CameraGroup::rate_hz,
                         .min = .01,
                         .max = 240,
                         .unit = "1/s",
                         .help = "Frames answered a second and camera; at most `fps`."},
    Setting<CameraGroup>{.key = "slo",
                         .field = &CameraGroup::slo,
                         .min = 1,
                         .max = 60'000,
                         .unit = "ms",
                         .help = "Latency promised, from capture to answer."},
    Setting<CameraGroup>{.key = "priority",
                         .field = &CameraGroup::priority,
                         .choices = "critical|normal|background",
                         .help = "Whose frames go first when capacity is short."},
    Setting<CameraGroup>{.key = "model",
                         .field = &CameraGroup::model,
                         .default_text = "the only one that was profiled",
                         .help = "File name of the model, as its profile says it."},
    Setting<CameraGroup>{.key = "precision",
                         .field = &CameraGroup::precision,
                         .choices = "fp32|fp16|int8",
                         .default_text = "any",
                         .help = "Only profiles and figures of this precision count."},
    Setting<CameraGroup>{
        .key = "duty",
        .field = &CameraGroup::duty,
        .min = .001,
        .max = 1,
        .default_text = "what the budget allows, else 1",
        .help = "Share of the sampled frames that the model runs on, as `framemill compare` and "
                "audits find it."},
    Setting<CameraGroup>{.key = "policy",
                         .field = &CameraGroup::policy,
                         .choices = "full|hold|similarity|adaptive",
                         .help = "How sampled frames are answered."},
    Setting<CameraGroup>{.key = "budget",
                         .field = &CameraGroup::budget,
                         .default_text = "no limit",
                         .help = "Policies hold and adaptive: a share of the sampled frames (0.2), "
                                 "or inferences a second of the whole group (30/s)."},
};

inline constexpr std::array kDeviceCandidateKeys{
    Setting<DeviceCandidate>{
        .key = "name",
        .field = &DeviceCandidate::name,
        .default_text = "required",
        .help = "A profile's device, or one of the catalogue (`framemill plan --catalogue`)."},
    Setting<DeviceCandidate>{.key = "at_most",
                             .field = &DeviceCandidate::at_most,
                             .min = 1,
                             .max = 1e9,
                             .default_text = "any number",
                             .help = "So many can be had."},
    Setting<DeviceCandidate>{.key = "per_node",
                             .field = &DeviceCandidate::per_node,
                             .min = 1,
                             .max = 64,
                             .help = "Devices in one machine."},
    Setting<DeviceCandidate>{.key = "price",
                             .field = &DeviceCandidate::price,
                             .min = 0,
                             .max = 1e9,
                             .default_text = "no cost is shown",
                             .help = "Of one device."},
    Setting<DeviceCandidate>{.key = "node_price",
                             .field = &DeviceCandidate::node_price,
                             .min = 0,
                             .max = 1e9,
                             .default_text = "0",
                             .help = "Of the machine around the devices."},
    Setting<DeviceCandidate>{.key = "power",
                             .field = &DeviceCandidate::power_w,
                             .min = 0,
                             .max = 1e5,
                             .unit = "W",
                             .default_text = "measured, else the catalogue's",
                             .help = "Of one busy device."},
    Setting<DeviceCandidate>{.key = "node_power",
                             .field = &DeviceCandidate::node_power_w,
                             .min = 0,
                             .max = 1e5,
                             .unit = "W",
                             .default_text = "0",
                             .help = "Of the machine around the devices."},
    Setting<DeviceCandidate>{.key = "memory",
                             .field = &DeviceCandidate::memory_gib,
                             .min = .1,
                             .max = 1e6,
                             .unit = "GiB",
                             .default_text = "the profile's, else the catalogue's",
                             .help = "Of one device; of the whole machine for a CPU."},
    Setting<DeviceCandidate>{.key = "cores",
                             .field = &DeviceCandidate::cores,
                             .min = 1,
                             .max = 4096,
                             .default_text = "the profile's, else the catalogue's",
                             .help = "Of one machine: the cores that decode, beside GPUs too. On a "
                                     "CPU they infer as well, and a number other than the "
                                     "profile's scales its figures (+-30 %)."},
    Setting<DeviceCandidate>{
        .key = "throughput",
        .field = &DeviceCandidate::throughput,
        .min = .01,
        .max = 1e9,
        .unit = "1/s",
        .default_text = "measured, else the catalogue's",
        .help = "Inferences a second within the SLO that somebody promised, of any model; counts "
                "as published, and eta is not applied."},
};

inline constexpr std::array kWorkloadLinkKeys{
    Setting<WorkloadLinks>{.key = "network",
                           .field = &WorkloadLinks::network_gbit_per_s,
                           .min = .001,
                           .max = 10'000,
                           .unit = "Gbit/s",
                           .default_text = "not looked at",
                           .help = "Into one machine."},
    Setting<WorkloadLinks>{.key = "pcie",
                           .field = &WorkloadLinks::pcie_gbyte_per_s,
                           .min = .01,
                           .max = 10'000,
                           .unit = "GB/s",
                           .default_text = "not looked at",
                           .help = "To one device."},
    Setting<WorkloadLinks>{.key = "disk",
                           .field = &WorkloadLinks::disk_mbyte_per_s,
                           .min = .1,
                           .max = 1e7,
                           .unit = "MB/s",
                           .default_text = "not looked at",
                           .help = "What one machine's disk can write."},
    Setting<WorkloadLinks>{.key = "recording",
                           .field = &WorkloadLinks::is_recorded,
                           .help = "The streams are written to that disk."},
};

template <>
struct SettingsTable<Workload> {
  static constexpr std::string_view kSection = "plan";
  static constexpr const auto& kRows = kWorkloadKeys;
};
template <>
struct SettingsTable<CameraGroup> {
  static constexpr std::string_view kSection = "groups";  // not a configuration's cameras
  static constexpr const auto& kRows = kCameraGroupKeys;
};
template <>
struct SettingsTable<DeviceCandidate> {
  static constexpr std::string_view kSection = "devices";
  static constexpr const auto& kRows = kDeviceCandidateKeys;
};
template <>
struct SettingsTable<WorkloadLinks> {
  static constexpr std::string_view kSection = "links";
  static constexpr const auto& kRows = kWorkloadLinkKeys;
};

}  // namespace framemill
