#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "framemill/config/run_settings.h"
#include "framemill/core/geometry.h"

/// The tables of all settings: a setting is declared once, its default in run_settings.h and
/// everything else in one row here. Parser, range check, command line, `framemill config explain`
/// and docs/reference/settings.md read them.

namespace framemill {

/// What a text stands for, where that changes how it is read or shown.
enum class TextKind : std::uint8_t {
  kPlain,
  kName,    ///< letters, digits, '.', '_', '-'; 1 to 64 characters
  kPath,    ///< relative paths count from the configuration file's folder
  kUrl,     ///< a URL, or a path as above; shown without credentials
  kListen,  ///< HOST:PORT or off
  kSecret,  ///< never shown
};

/// A text that may also be given as a list in place.
template <typename Settings>
struct TextOrList {
  std::string Settings::*text;
  std::vector<std::string> Settings::*list;
};

/// Where a setting's value lies. An enum's values are named by `choices`, in the enum's order.
template <typename Settings>
using SettingField = std::variant<
    std::string Settings::*, Duration Settings::*, double Settings::*, std::int64_t Settings::*,
    std::size_t Settings::*, bool Settings::*, std::optional<double> Settings::*,
    std::optional<std::int64_t> Settings::*, Size Settings::*, std::vector<std::string> Settings::*,
    Priority Settings::*, Transport Settings::*, PolicyKind Settings::*,
    std::optional<PolicyKind> Settings::*, std::optional<Pace> Settings::*,
    MotionMethod Settings::*, std::optional<MotionMethod> Settings::*, InferenceBudget Settings::*,
    std::optional<Duration> Settings::*, std::optional<RuleKind> Settings::*,
    AlarmSeverity Settings::*, BoxAnchor Settings::*, LineDirection Settings::*,
    std::vector<ZoneSettings> Settings::*, std::vector<LineSettings> Settings::*,
    std::vector<RuleSettings> Settings::*, std::vector<std::vector<RelativePoint>> Settings::*,
    TextOrList<Settings>>;

/// One key of one section.
template <typename Settings>
struct Setting {
  std::string_view key;
  SettingField<Settings> field;
  double min = 0, max = 0;             ///< inclusive, in `unit`; numbers and durations only
  std::string_view unit = {};          ///< "ms" or "s" for durations; else for people
  std::string_view choices = {};       ///< "a|b": the only texts allowed
  TextKind text = TextKind::kPlain;    ///< texts only
  bool is_own = false;                 ///< cameras: may not stand in `defaults:`
  bool may_repeat = false;             ///< lists: a value may stand there twice
  std::string_view default_text = {};  ///< where the struct's default does not speak for itself
  std::string_view help = {};
};

inline constexpr double kCountMax = 1e12;

inline constexpr std::array kModelSettings{
    Setting<ModelSettings>{.key = "path",
                           .field = &ModelSettings::path,
                           .text = TextKind::kPath,
                           .default_text = "required",
                           .help = "The model, .onnx or .xml (OpenVINO IR)."},
    Setting<ModelSettings>{
        .key = "labels",
        .field = TextOrList<ModelSettings>{&ModelSettings::labels, &ModelSettings::label_list},
        .text = TextKind::kPath,
        .default_text = "the model's own",
        .help = "Names of the classes: coco, a file with one a line, or a list."},
    Setting<ModelSettings>{.key = "score",
                           .field = &ModelSettings::score,
                           .min = 0,
                           .max = 1,
                           .default_text = "the model's own, else 0.35",
                           .help = "Detections below this score are not published."},
    Setting<ModelSettings>{.key = "nms_iou",
                           .field = &ModelSettings::nms_iou,
                           .min = 0,
                           .max = 1,
                           .default_text = "the model's own, else 0.65",
                           .help =
                               "Of two boxes of a class that overlap more than this, the better "
                               "one stays."},
    Setting<ModelSettings>{.key = "head",
                           .field = &ModelSettings::head,
                           .choices = "auto|v8|v5|yolox|yolox_decoded|end2end",
                           .help = "Layout of the model's output; auto recognises it."},
    Setting<ModelSettings>{.key = "runtime",
                           .field = &ModelSettings::runtime,
                           .choices = "auto|openvino|onnxruntime",
                           .help = "What runs it; auto is OpenVINO, and ONNX Runtime for its own "
                                   "devices (cuda, tensorrt, rtx)."},
    Setting<ModelSettings>{
        .key = "device",
        .field = TextOrList<ModelSettings>{&ModelSettings::device, &ModelSettings::device_list},
        .may_repeat = true,
        .default_text = "auto",
        .help = "Where it runs: auto, or a device as the runtime names it. OpenVINO: CPU, GPU, "
                "GPU.1, NPU, HETERO:GPU,CPU; ONNX Runtime: CPU, cuda:0, tensorrt:0, rtx:0. A list: "
                "on each of "
                "them, behind one scheduler; a device that is named twice runs it twice."},
    Setting<ModelSettings>{
        .key = "precision",
        .field = &ModelSettings::precision,
        .choices = "auto|fp32|fp16|bf16",
        .help = "Arithmetic of floating-point layers, where the device can do it. auto on a CPU is "
                "fp32, so that answers are the same on all; bf16 is faster where AMX is, and moves "
                "scores."},
    Setting<ModelSettings>{
        .key = "letterbox_on",
        .field = &ModelSettings::letterbox_on,
        .choices = "auto|host|device",
        .help = "Where pictures are scaled and turned into the model's input. auto is the device "
                "with cuda and tensorrt, where driver and compiler are there and compute what the "
                "host does, else the host; the log says why."},
    Setting<ModelSettings>{.key = "weight",
                           .field = &ModelSettings::weight,
                           .min = .01,
                           .max = 100,
                           .help = "Where cameras of several models want one device: how often one "
                                   "of this model's is inferred, beside one of a model of weight "
                                   "1. Critical cameras go first whatever it is."},
    Setting<ModelSettings>{.key = "color",
                           .field = &ModelSettings::color,
                           .choices = "rgb|bgr",
                           .default_text = "the model's own, else rgb",
                           .help = "Order of the colours in the model's input."},
    Setting<ModelSettings>{.key = "range",
                           .field = &ModelSettings::range,
                           .choices = "unit|byte",
                           .default_text = "the model's own, else unit",
                           .help = "Values of the model's input: unit is 0..1, byte is 0..255."},
    Setting<ModelSettings>{.key = "letterbox",
                           .field = &ModelSettings::letterbox,
                           .choices = "center|top_left",
                           .default_text = "the model's own, else center",
                           .help = "Where the picture lies inside the model's input."},
    Setting<ModelSettings>{
        .key = "ladder",
        .field = &ModelSettings::ladder,
        .text = TextKind::kPath,
        .default_text = "none",
        .help = "Cheaper models of the same classes for times of overload, best first: "
                "[smaller.onnx, smallest.onnx]. Each camera's rung follows the load and its scene; "
                "fidelity counts against the model of path. Pace fast stays at that one, so that "
                "equal inputs give equal answers."},
};

inline constexpr std::array kCameraSettings{
    Setting<CameraSettings>{.key = "id",
                            .field = &CameraSettings::id,
                            .text = TextKind::kName,
                            .is_own = true,
                            .default_text = "required; a file's name without extension",
                            .help = "The camera's name in results, metrics and alarms."},
    Setting<CameraSettings>{
        .key = "url",
        .field = &CameraSettings::url,
        .text = TextKind::kUrl,
        .is_own = true,
        .default_text = "required",
        .help =
            "rtsp://, rtsps://, http://, https://, udp:// (MPEG-TS), synthetic://, /dev/videoN, or "
            "a file."},
    Setting<CameraSettings>{.key = "username",
                            .field = &CameraSettings::username,
                            .default_text = "none",
                            .help = "Who signs in at the camera."},
    Setting<CameraSettings>{.key = "password",
                            .field = &CameraSettings::password,
                            .text = TextKind::kSecret,
                            .default_text = "none",
                            .help = "Never printed; keep it in a variable: ${NAME}."},
    Setting<CameraSettings>{
        .key = "decode",
        .field = &CameraSettings::decode,
        .choices = "cpu|auto",
        .help = "What decodes the video. auto takes NVIDIA's decoder where there is one that takes "
                "the stream and where the policy wants no motion vectors of the decoder, else the "
                "processor."},
    Setting<CameraSettings>{.key = "transport",
                            .field = &CameraSettings::transport,
                            .choices = "auto|tcp|udp",
                            .help = "How RTSP carries the video; auto is TCP."},
    Setting<CameraSettings>{.key = "model",
                            .field = &CameraSettings::model,
                            .text = TextKind::kName,
                            .default_text = "the first one",
                            .help = "Which entry of models: looks at this camera."},
    Setting<CameraSettings>{.key = "rate",
                            .field = &CameraSettings::rate_hz,
                            .min = 0.01,
                            .max = 240,
                            .unit = "1/s",
                            .help = "Frames answered per second; the others end as sampled_out."},
    Setting<CameraSettings>{.key = "every",
                            .field = &CameraSettings::every,
                            .min = 1,
                            .max = 1e6,
                            .unit = "frames",
                            .default_text = "by rate",
                            .help = "Each Nth frame is answered, in place of rate."},
    Setting<CameraSettings>{.key = "priority",
                            .field = &CameraSettings::priority,
                            .choices = "critical|normal|background",
                            .help = "Whose frames go first when capacity is short."},
    Setting<CameraSettings>{.key = "slo",
                            .field = &CameraSettings::slo,
                            .min = 1,
                            .max = 60'000,
                            .unit = "ms",
                            .help =
                                "Latency promised, from capture to answer; sets the deadline of "
                                "each frame."},
    Setting<CameraSettings>{.key = "policy",
                            .field = &CameraSettings::policy,
                            .choices = "full|hold|similarity|adaptive",
                            .default_text = "engine.policy",
                            .help = "How this camera's sampled frames are answered."},
    Setting<CameraSettings>{.key = "motion",
                            .field = &CameraSettings::motion,
                            .choices = "auto|vectors|flow",
                            .default_text = "engine.motion",
                            .help = "How this camera's boxes follow motion."},
    Setting<CameraSettings>{
        .key = "score",
        .field = &CameraSettings::score,
        .min = 0,
        .max = 1,
        .default_text = "the model's",
        .help = "Detections of this camera below this score are not published."},
    Setting<CameraSettings>{.key = "classes",
                            .field = &CameraSettings::classes,
                            .default_text = "all",
                            .help = "Labels to answer; others are ignored."},
    Setting<CameraSettings>{.key = "mask",
                            .field = &CameraSettings::mask,
                            .default_text = "none",
                            .help =
                                "Polygons [[[x,y],[x,y],[x,y]], ...] in 0..1 of width and height; "
                                "detections there are ignored."},
    Setting<CameraSettings>{
        .key = "zones",
        .field = &CameraSettings::zones,
        .is_own = true,
        .default_text = "none",
        .help = "Named areas for rules: {dock: [[0.1,0.5], [0.9,0.5], [0.9,1], [0.1,1]]}, corners "
                "in 0..1 of width and height."},
    Setting<CameraSettings>{
        .key = "lines",
        .field = &CameraSettings::lines,
        .is_own = true,
        .default_text = "none",
        .help = "Named lines for rules: {gate: [[0.5,1], [0.5,0]]}. Looking from the first point "
                "to the second, forward is from left to right."},
    Setting<CameraSettings>{.key = "rules",
                            .field = &CameraSettings::rules,
                            .default_text = "none",
                            .help = "What raises an alarm, see rules below. Those of defaults hold "
                                    "for each camera; its own one of the same id replaces one."},
    Setting<CameraSettings>{.key = "loop",
                            .field = &CameraSettings::is_looped,
                            .is_own = true,
                            .help = "Files only: starts again at the end."},
    Setting<CameraSettings>{.key = "start",
                            .field = &CameraSettings::start,
                            .min = 0,
                            .max = 86'400,
                            .unit = "s",
                            .is_own = true,
                            .help = "Files only: where the first round starts."},
    Setting<CameraSettings>{.key = "frozen_after",
                            .field = &CameraSettings::frozen_after,
                            .min = 1,
                            .max = 86'400,
                            .unit = "s",
                            .help = "Identical pictures for so long are reported."},
};

inline constexpr std::array kEngineSettings{
    Setting<EngineSettings>{.key = "policy",
                            .field = &EngineSettings::policy,
                            .choices = "full|hold|similarity|adaptive",
                            .help = "full infers every sampled frame. hold infers a fixed share, "
                                    "similarity what differs from the last inferred picture; the "
                                    "others reuse the last boxes. adaptive infers where need is "
                                    "highest and carries boxes by motion."},
    Setting<EngineSettings>{.key = "budget",
                            .field = &EngineSettings::budget,
                            .default_text = "no limit",
                            .help = "At most this share of the sampled frames (0.2), or this many "
                                    "inferences a second (30/s): of media time at pace fast, else "
                                    "of the clock. On top come the first frame of each camera, "
                                    "also after a reconnect (policy hold: after a loop, too), and "
                                    "once an inference for each ten cameras, at least one: a short "
                                    "run takes more than its share."},
    Setting<EngineSettings>{.key = "fidelity",
                            .field = &EngineSettings::fidelity,
                            .min = 0.5,
                            .max = 0.999,
                            .default_text = "none; infers all that the budget allows",
                            .help =
                                "Policy adaptive: the agreement with full inference to hold with "
                                "as little inference as it takes, never above the budget. Audits "
                                "say whether it holds; the log and the summary tell."},
    Setting<EngineSettings>{.key = "motion",
                            .field = &EngineSettings::motion,
                            .choices = "auto|vectors|flow",
                            .help =
                                "Policy adaptive: how boxes follow motion. vectors are the "
                                "decoder's (H.264, MPEG-4), flow works with every codec and costs "
                                "more, auto takes vectors where they agree with the picture."},
    Setting<EngineSettings>{.key = "similarity",
                            .field = &EngineSettings::similarity,
                            .min = 0,
                            .max = 1,
                            .help = "Policy similarity: a picture more alike than this to the last "
                                    "inferred one (1 - mean absolute difference / 255) reuses its "
                                    "boxes."},
    Setting<EngineSettings>{.key = "audit",
                            .field = &EngineSettings::audit,
                            .min = 0,
                            .max = 0.5,
                            .help =
                                "Policy adaptive: share of the inferences that check answers given "
                                "without one; 0: none, and fidelity stays unknown."},
    Setting<EngineSettings>{.key = "batch",
                            .field = &EngineSettings::batch,
                            .choices = "knee|utilisation|1|2|4|8|16|32",
                            .help =
                                "Frames to a batch, at most. knee measures at the start from "
                                "where on more of them gain nothing (1 on most CPUs); utilisation "
                                "grows batches while the device is below 50 % busy and shrinks "
                                "them above 80 %; a number is that many. Models of one picture "
                                "at a time stay at 1. Pace fast: only a number counts, else 1."},
    Setting<EngineSettings>{
        .key = "critical_slot",
        .field = &EngineSettings::critical_slot,
        .choices = "auto|always",
        .help = "When one of the batches at once is kept free for critical cameras. auto: where "
                "their slo or rate does not let them wait for a batch that has just begun, or it "
                "is another model's and longer than their own; around the times at which their "
                "frames are due. always: at all times, so that other models at full load cost "
                "them least. Where a device runs a single batch at a time nothing is kept."},
    Setting<EngineSettings>{
        .key = "pace",
        .field = &EngineSettings::pace,
        .choices = "live|fast",
        .default_text = "fast where every source is a file without loop, else live",
        .help = "Files at their own speed, or as fast as they can be processed."},
    Setting<EngineSettings>{
        .key = "answer_delay",
        .field = &EngineSettings::answer_delay,
        .min = 0,
        .max = 60'000,
        .unit = "ms",
        .help = "Pace fast, policy adaptive: results are usable only that much media time later."},
    Setting<EngineSettings>{.key = "tick",
                            .field = &EngineSettings::tick,
                            .min = 1,
                            .max = 60'000,
                            .unit = "ms",
                            .help = "Pace fast: the step of media time."},
    Setting<EngineSettings>{.key = "for",
                            .field = &EngineSettings::run_for,
                            .min = 0,
                            .max = 87'600.0 * 3600,
                            .unit = "s",
                            .default_text = "no limit",
                            .help = "Stops after this time."},
    Setting<EngineSettings>{.key = "max_frames",
                            .field = &EngineSettings::max_frames,
                            .min = 0,
                            .max = kCountMax,
                            .unit = "frames",
                            .default_text = "no limit",
                            .help = "Stops a camera after so many delivered frames."},
    Setting<EngineSettings>{.key = "max_answers",
                            .field = &EngineSettings::max_answers,
                            .min = 0,
                            .max = kCountMax,
                            .unit = "frames",
                            .default_text = "no limit",
                            .help = "Stops a camera after so many sampled frames."},
    Setting<EngineSettings>{.key = "streams",
                            .field = &EngineSettings::streams,
                            .min = 0,
                            .max = 256,
                            .default_text = "by the cores",
                            .help = "Inferences that run in parallel on a device."},
    Setting<EngineSettings>{.key = "threads",
                            .field = &EngineSettings::threads,
                            .min = 0,
                            .max = 1024,
                            .default_text = "by the cores",
                            .help = "Inference threads on a CPU."},
    Setting<EngineSettings>{.key = "data",
                            .field = &EngineSettings::data,
                            .text = TextKind::kPath,
                            .help = "Folder for what has to survive a restart: alarms, their "
                                    "pictures, what waits for a sink's peer. Made where rules or "
                                    "such sinks need it; one run at a time."},
};

/// One entry of `rules:`, of a camera, of `defaults:`, or of `alarms:`.
inline constexpr std::array kRuleSettings{
    Setting<RuleSettings>{.key = "id",
                          .field = &RuleSettings::id,
                          .text = TextKind::kName,
                          .default_text = "required",
                          .help = "Its name in alarms, unique in its camera."},
    Setting<RuleSettings>{
        .key = "kind",
        .field = &RuleSettings::kind,
        .choices = kRuleKindNames,
        .default_text = "required",
        .help = "presence, absence, count: objects in the zone. dwell: one object stays in it for "
                "the time of for. line_crossing: an object crosses the line. defect: seen in "
                "frames of the last of answers. rate: objects a minute that enter the zone or "
                "cross the line. camera_down, camera_frozen: the camera's state. fidelity: the "
                "camera's, as audits estimate it. device_busy: the share of time "
                "in which the busiest device is in use, only in alarms.rules."},
    Setting<RuleSettings>{.key = "severity",
                          .field = &RuleSettings::severity,
                          .choices = "info|warning|critical",
                          .help = "How much it matters to the person on watch."},
    Setting<RuleSettings>{.key = "zone",
                          .field = &RuleSettings::zone,
                          .text = TextKind::kName,
                          .default_text = "the whole picture",
                          .help = "One of the camera's zones."},
    Setting<RuleSettings>{
        .key = "line",
        .field = &RuleSettings::line,
        .text = TextKind::kName,
        .default_text = "none",
        .help = "One of the camera's lines; line_crossing needs one, rate may have one."},
    Setting<RuleSettings>{
        .key = "direction",
        .field = &RuleSettings::direction,
        .choices = "both|forward|backward",
        .help = "Which crossings count. Looking along the line, forward is from left to right."},
    Setting<RuleSettings>{
        .key = "anchor",
        .field = &RuleSettings::anchor,
        .choices = "bottom|center|top",
        .help = "The point of a box that has to lie in the zone or cross the line: the middle of "
                "its bottom edge, its centre, or the middle of its top edge."},
    Setting<RuleSettings>{.key = "classes",
                          .field = &RuleSettings::classes,
                          .default_text = "all that the camera answers",
                          .help = "Labels that count."},
    Setting<RuleSettings>{.key = "score",
                          .field = &RuleSettings::score,
                          .min = 0,
                          .max = 1,
                          .default_text = "all that the camera answers",
                          .help = "Detections below it do not count."},
    Setting<RuleSettings>{.key = "over",
                          .field = &RuleSettings::over,
                          .min = 0,
                          .max = 1e6,
                          .default_text = "device_busy 0.9, else none",
                          .help = "Raised above this: objects (count), objects a minute (rate), "
                                  "share of time (device_busy)."},
    Setting<RuleSettings>{
        .key = "under",
        .field = &RuleSettings::under,
        .min = 0,
        .max = 1e6,
        .default_text = "fidelity 0.95, else none",
        .help =
            "Raised below this: objects (count), objects a minute (rate), agreement (fidelity)."},
    Setting<RuleSettings>{.key = "hysteresis",
                          .field = &RuleSettings::hysteresis,
                          .min = 0,
                          .max = 1e6,
                          .default_text = "rate a tenth, fidelity 0.01, device_busy 0.05, else 0",
                          .help = "How far the value has to come back past over or under before "
                                  "the alarm counts as gone."},
    Setting<RuleSettings>{.key = "frames",
                          .field = &RuleSettings::frames,
                          .min = 1,
                          .max = 1000,
                          .default_text = "1",
                          .help = "defect: so many of the last answers have to show it."},
    Setting<RuleSettings>{.key = "of",
                          .field = &RuleSettings::of,
                          .min = 1,
                          .max = 1000,
                          .default_text = "as frames",
                          .help = "defect: how many of the last answers are looked at."},
    Setting<RuleSettings>{.key = "window",
                          .field = &RuleSettings::window,
                          .min = 1,
                          .max = 86400,
                          .unit = "s",
                          .default_text = "1m",
                          .help = "rate: the time over which objects are counted."},
    Setting<RuleSettings>{
        .key = "for",
        .field = &RuleSettings::hold_for,
        .min = 0,
        .max = 86400,
        .unit = "s",
        .default_text = "absence, camera_down 10s, dwell 30s, fidelity, device_busy 1m, else 0s",
        .help = "The condition has to hold so long before the alarm is raised."},
    Setting<RuleSettings>{
        .key = "clear_after",
        .field = &RuleSettings::clear_after,
        .min = 0,
        .max = 86400,
        .unit = "s",
        .default_text =
            "line_crossing, defect, fidelity, device_busy 10s, camera_frozen 0s, else 2s",
        .help = "It has to be gone so long before the alarm is cleared."},
    Setting<RuleSettings>{
        .key = "latch",
        .field = &RuleSettings::is_latched,
        .help = "Stays raised until somebody acknowledges it, also when its cause has gone."},
    Setting<RuleSettings>{.key = "schedule",
                          .field = &RuleSettings::schedule,
                          .default_text = "always",
                          .help = "When it is watched, in local time: [mon-fri 06:00-22:00, sat]. "
                                  "Outside of it the condition counts as gone."},
};

inline constexpr std::array kAlarmSettings{
    Setting<AlarmSettings>{
        .key = "keep",
        .field = &AlarmSettings::keep,
        .min = 60,
        .max = 3.2e8,
        .unit = "s",
        .help = "Alarms that were cleared longer ago are forgotten, with their pictures."},
    Setting<AlarmSettings>{
        .key = "pictures_mb",
        .field = &AlarmSettings::pictures_mb,
        .min = 1,
        .max = 1e7,
        .unit = "MB",
        .help = "Most that the pictures of alarms may take on disk; the oldest go first."},
    Setting<AlarmSettings>{.key = "rules",
                           .field = &AlarmSettings::rules,
                           .default_text = "none",
                           .help = "Rules of the whole run: of kind device_busy."},
};

inline constexpr std::array kSinkSettings{
    Setting<SinkSettings>{
        .key = "type",
        .field = &SinkSettings::type,
        .choices = "jsonl|sqlite|mqtt|webhook|modbus|postgres|kafka",
        .default_text = "required",
        .help = "jsonl: JSON lines in files. sqlite: a database. mqtt: a broker. webhook: an HTTP "
                "address. modbus: a Modbus/TCP server for PLCs and SCADA. postgres: a PostgreSQL "
                "database. kafka: a Kafka cluster."},
    Setting<SinkSettings>{
        .key = "name",
        .field = &SinkSettings::name,
        .text = TextKind::kName,
        .default_text = "the type",
        .help =
            "Its name in counters, logs and its spool; give one where two sinks are of one type."},
    Setting<SinkSettings>{
        .key = "path",
        .field = &SinkSettings::path,
        .text = TextKind::kPath,
        .default_text = "required by them",
        .help = "jsonl, sqlite: the file to write; - is standard output (jsonl)."},
    Setting<SinkSettings>{.key = "send",
                          .field = &SinkSettings::send,
                          .choices = "answers|alarms|all",
                          .default_text = "jsonl answers, webhook alarms, else all",
                          .help = "What goes there."},
    Setting<SinkSettings>{.key = "keep",
                          .field = &SinkSettings::keep,
                          .min = 60,
                          .max = 3.2e8,
                          .unit = "s",
                          .default_text = "for ever",
                          .help = "sqlite: rows that are older are deleted."},
    Setting<SinkSettings>{
        .key = "size_mb",
        .field = &SinkSettings::size_mb,
        .min = 1,
        .max = 1e7,
        .unit = "MB",
        .default_text = "no limit",
        .help = "jsonl: a file that is larger is closed and a new one begun. sqlite: the oldest "
                "rows are deleted where the database gets larger."},
    Setting<SinkSettings>{
        .key = "files",
        .field = &SinkSettings::files,
        .min = 1,
        .max = 10000,
        .help = "jsonl: closed files that are kept beside the current one, with size_mb."},
    Setting<SinkSettings>{.key = "spool_mb",
                          .field = &SinkSettings::spool_mb,
                          .min = 1,
                          .max = 1e6,
                          .unit = "MB",
                          .help = "Of those with a url: most that may wait on disk for the peer; "
                                  "then the oldest is dropped and counted."},
    Setting<SinkSettings>{
        .key = "url",
        .field = &SinkSettings::url,
        .default_text = "required by them",
        .help = "mqtt: mqtt://HOST[:PORT] or mqtts://; webhook: http:// or https://; postgres: "
                "postgresql://HOST[:PORT]/DATABASE, without a host the socket of this machine; "
                "kafka: kafka://HOST[:PORT][,HOST...] or kafkas://."},
    Setting<SinkSettings>{.key = "username",
                          .field = &SinkSettings::username,
                          .default_text = "none",
                          .help = "Who signs in at the peer."},
    Setting<SinkSettings>{.key = "password",
                          .field = &SinkSettings::password,
                          .text = TextKind::kSecret,
                          .default_text = "none",
                          .help = "Never printed; keep it in a variable: ${NAME}."},
    Setting<SinkSettings>{
        .key = "ca_file",
        .field = &SinkSettings::ca_file,
        .text = TextKind::kPath,
        .default_text = "the system's",
        .help = "The authorities that the peer's certificate is checked against, PEM."},
    Setting<SinkSettings>{.key = "cert_file",
                          .field = &SinkSettings::cert_file,
                          .text = TextKind::kPath,
                          .default_text = "none",
                          .help = "The client's own certificate for the peer, PEM."},
    Setting<SinkSettings>{.key = "key_file",
                          .field = &SinkSettings::key_file,
                          .text = TextKind::kPath,
                          .default_text = "none",
                          .help = "Its key, PEM."},
    Setting<SinkSettings>{
        .key = "topic",
        .field = &SinkSettings::topic,
        .help = "mqtt: what all topics begin with; kafka: that of TOPIC.answers and TOPIC.alarms."},
    Setting<SinkSettings>{.key = "client_id",
                          .field = &SinkSettings::client_id,
                          .text = TextKind::kName,
                          .default_text = "framemill, the host and the name",
                          .help = "mqtt: unique at the broker; kafka: what the brokers log."},
    Setting<SinkSettings>{.key = "version",
                          .field = &SinkSettings::version,
                          .choices = "3.1.1|5",
                          .help = "mqtt: of the protocol."},
    Setting<SinkSettings>{.key = "discovery",
                          .field = &SinkSettings::discovery,
                          .default_text = "none",
                          .help = "mqtt: prefix of Home Assistant's discovery, usually "
                                  "homeassistant; then cameras and rules appear there."},
    Setting<SinkSettings>{
        .key = "secret",
        .field = &SinkSettings::secret,
        .text = TextKind::kSecret,
        .default_text = "none, unsigned",
        .help =
            "webhook: key of the signature (HMAC-SHA256) in each request; keep it in a variable."},
    Setting<SinkSettings>{.key = "batch",
                          .field = &SinkSettings::batch,
                          .min = 1,
                          .max = 1000,
                          .help = "webhook: up to so many messages to a request."},
    Setting<SinkSettings>{.key = "sslmode",
                          .field = &SinkSettings::sslmode,
                          .choices = "disable|prefer|require|verify-ca|verify-full",
                          .default_text = "verify-full with a ca_file, else prefer",
                          .help = "postgres: whether the connection is encrypted and the server's "
                                  "certificate checked, as libpq names it."},
    Setting<SinkSettings>{.key = "schema",
                          .field = &SinkSettings::schema,
                          .text = TextKind::kName,
                          .help = "postgres: where the tables are; made at the start."},
    Setting<SinkSettings>{.key = "sasl",
                          .field = &SinkSettings::sasl,
                          .choices = "plain|scram-sha-256|scram-sha-512",
                          .default_text = "scram-sha-512 with a username, else none",
                          .help = "kafka: how username and password are shown to the brokers."},
    Setting<SinkSettings>{
        .key = "timeout",
        .field = &SinkSettings::timeout,
        .min = 100,
        .max = 300000,
        .unit = "ms",
        .help = "Of those with a url: how long a request or connection may take."},
    Setting<SinkSettings>{.key = "listen",
                          .field = &SinkSettings::listen,
                          .text = TextKind::kListen,
                          .help = "modbus: HOST:PORT of the server."},
    Setting<SinkSettings>{
        .key = "map",
        .field = &SinkSettings::map,
        .text = TextKind::kPath,
        .default_text = "none",
        .help = "modbus: a file to which the register map of this run is written (Markdown)."},
};

inline constexpr std::array kServerSettings{
    Setting<ServerSettings>{
        .key = "listen",
        .field = &ServerSettings::listen,
        .text = TextKind::kListen,
        .help = "HOST:PORT of the HTTP API, the dashboard and /metrics, or off."},
    Setting<ServerSettings>{.key = "token",
                            .field = &ServerSettings::token,
                            .text = TextKind::kSecret,
                            .default_text = "none",
                            .help = "Asked of every client, and lets it do everything; at least 16 "
                                    "characters. Keep it in a variable: ${NAME}. Needed to listen "
                                    "anywhere but on loopback."},
    Setting<ServerSettings>{
        .key = "operate_token",
        .field = &ServerSettings::operate_token,
        .text = TextKind::kSecret,
        .default_text = "none",
        .help =
            "A second token, which reads, acknowledges alarms, and pauses and restarts cameras one "
            "by one."},
    Setting<ServerSettings>{.key = "view_token",
                            .field = &ServerSettings::view_token,
                            .text = TextKind::kSecret,
                            .default_text = "none",
                            .help = "A third token, which only reads; for dashboards on a wall and "
                                    "Prometheus."},
    Setting<ServerSettings>{
        .key = "hosts",
        .field = &ServerSettings::hosts,
        .default_text = "loopback names",
        .help = "Further names under which browsers reach it, such as that of a proxy."},
    Setting<ServerSettings>{
        .key = "camera_networks",
        .field = &ServerSettings::camera_networks,
        .default_text = "none",
        .help =
            "Networks such as 127.0.0.0/8 where cameras that are added over HTTP may be, though "
            "they are loopback, link-local or multicast."},
    Setting<ServerSettings>{.key = "audit_log",
                            .field = &ServerSettings::audit_log,
                            .text = TextKind::kPath,
                            .default_text = "the log",
                            .help = "A file that gets one JSON line for each change asked for over "
                                    "HTTP: when, who, what, from where, and what came of it."},
    Setting<ServerSettings>{.key = "cert_file",
                            .field = &ServerSettings::cert_file,
                            .text = TextKind::kPath,
                            .default_text = "none: plain HTTP",
                            .help = "The server's certificate in PEM, followed by those that lead "
                                    "to its authority: HTTPS only. Read again with the "
                                    "configuration, so that it can be renewed."},
    Setting<ServerSettings>{.key = "key_file",
                            .field = &ServerSettings::key_file,
                            .text = TextKind::kPath,
                            .default_text = "none",
                            .help = "The private key of cert_file in PEM, without a password."},
    Setting<ServerSettings>{
        .key = "client_ca_file",
        .field = &ServerSettings::client_ca_file,
        .text = TextKind::kPath,
        .default_text = "none",
        .help = "Authorities of clients in PEM: who has no certificate of one of them is not "
                "served. Roles are still those of tokens; without tokens such clients may do "
                "everything."},
    Setting<ServerSettings>{
        .key = "watch",
        .field = &ServerSettings::is_watched,
        .help = "Whether the configuration, and the files of the certificate, are read again as "
                "soon as they change, as by SIGHUP. Not at pace fast."},
    Setting<ServerSettings>{
        .key = "save_changes",
        .field = &ServerSettings::save_changes,
        .choices = "ask|always|never",
        .help = "Whether cameras that were added, changed or removed over HTTP are written into "
                "the configuration: when somebody asks for it, after each change, or never."},
};

/// What the configuration format knows but this version does not do; refused with that message.
struct ReservedSetting {
  std::string_view section;  ///< "cameras" counts for `defaults:` too; "run": the command line
  std::string_view key;
  std::string_view value;  ///< only this value is reserved; empty: the whole key
  std::string_view
      accepted;  ///< of a whole key: the value that asks for what this version does anyway
  std::string_view help;
};

/// The one list of what is reserved; building a feature starts with deleting its row.
inline constexpr std::array kReservedSettings{
    ReservedSetting{"cameras", "tls", "", "", "How the camera's certificate is checked."},
    ReservedSetting{"cameras", "substream", "", "", "A smaller stream for inference."},
    ReservedSetting{"cameras", "clip", "", "", "Video kept around an alarm."},
};

/// The row of a reserved key or value, or null. `section` "defaults" looks under "cameras".
[[nodiscard]] constexpr const ReservedSetting* find_reserved(std::string_view section,
                                                             std::string_view key,
                                                             std::string_view value = {}) {
  if (section == "defaults") section = "cameras";
  for (const ReservedSetting& row : kReservedSettings)
    if (row.section == section && row.key == key && row.value == value) return &row;
  return nullptr;
}

/// The table of a struct and the name of its section.
template <typename Settings>
struct SettingsTable;
template <>
struct SettingsTable<ModelSettings> {
  static constexpr std::string_view kSection = "models";
  static constexpr const auto& kRows = kModelSettings;
};
template <>
struct SettingsTable<CameraSettings> {
  static constexpr std::string_view kSection = "cameras";
  static constexpr const auto& kRows = kCameraSettings;
};
template <>
struct SettingsTable<EngineSettings> {
  static constexpr std::string_view kSection = "engine";
  static constexpr const auto& kRows = kEngineSettings;
};
template <>
struct SettingsTable<RuleSettings> {
  static constexpr std::string_view kSection = "rules";
  static constexpr const auto& kRows = kRuleSettings;
};
template <>
struct SettingsTable<AlarmSettings> {
  static constexpr std::string_view kSection = "alarms";
  static constexpr const auto& kRows = kAlarmSettings;
};
template <>
struct SettingsTable<SinkSettings> {
  static constexpr std::string_view kSection = "sinks";
  static constexpr const auto& kRows = kSinkSettings;
};
template <>
struct SettingsTable<ServerSettings> {
  static constexpr std::string_view kSection = "server";
  static constexpr const auto& kRows = kServerSettings;
};

/// The row of `key`, or null.
template <typename Settings>
[[nodiscard]] constexpr const Setting<Settings>* find_setting(std::string_view key) {
  for (const Setting<Settings>& row : SettingsTable<Settings>::kRows)
    if (row.key == key) return &row;
  return nullptr;
}

}  // namespace framemill
