#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/config/rule_settings.h"
#include "framemill/core/camera.h"
#include "framemill/core/motion.h"
#include "framemill/core/policy.h"

namespace framemill {

/// One entry of `models:`. Unset optionals mean: the model's own metadata, then the general
/// default.
struct ModelSettings {
  std::string name;    ///< key in `models:`; "objects" where it came from --model
  std::string path;    ///< .onnx or .xml; relative to the config file
  std::string labels;  ///< "" (the model's own), "coco", or a file with one label a line
  std::vector<std::string> label_list;  ///< given in place as a YAML list; else empty
  std::optional<double> score;          ///< 0..1, default .35
  std::optional<double> nms_iou;        ///< 0..1, default .65
  std::string head = "auto";            ///< auto|v8|v5|yolox|yolox_decoded|end2end
  std::string runtime = "auto";         ///< auto|openvino|onnxruntime
  std::string device = "auto";          ///< auto, or as the runtime names it: CPU, GPU, cuda:0, ...
  std::vector<std::string> device_list;  ///< several, given in place as a YAML list; else empty
  std::string precision = "auto";        ///< auto|fp32|fp16|bf16: of floating-point layers
  std::string letterbox_on = "auto";     ///< auto|host|device: where pictures are made its input
  std::string color;                     ///< "" (metadata, then rgb), "rgb", "bgr"
  std::string range;                ///< "" (metadata, then unit), "unit" (0..1), "byte" (0..255)
  double weight = 1;                ///< .01..100, beside other models on a device
  std::vector<std::string> ladder;  ///< cheaper models of the same classes, best first
  std::string letterbox;            ///< "" (metadata, then center), "center", "top_left"
  friend bool operator==(const ModelSettings&, const ModelSettings&) = default;
};

/// One entry of `cameras:`, `defaults:` already applied.
struct CameraSettings {
  CameraId id;
  std::string url;
  std::string username;
  std::string password;  ///< never printed
  Transport transport = Transport::kAuto;
  std::string decode = "cpu";  ///< cpu|auto: auto takes NVIDIA's decoder where it can
  std::string model;           ///< name in `models:`; empty: the only or first one
  double rate_hz = 10.0;       ///< 1/s; used where every == 0
  std::int64_t every = 0;      ///< >= 1: each Nth frame
  Priority priority = Priority::kNormal;
  Duration slo = std::chrono::milliseconds(200);
  std::optional<PolicyKind> policy;              ///< overrides engine.policy
  std::optional<MotionMethod> motion;            ///< overrides engine.motion
  std::optional<double> score;                   ///< overrides the model's
  std::vector<std::string> classes;              ///< labels to answer; empty: all
  std::vector<std::vector<RelativePoint>> mask;  ///< areas whose detections are ignored
  std::vector<ZoneSettings> zones;
  std::vector<LineSettings> lines;
  std::vector<RuleSettings> rules;  ///< those of `defaults:` first, but for the ids that it has too
  bool is_looped = false;
  Duration start{0};  ///< files: where the first round starts
  Duration frozen_after =
      std::chrono::seconds(30);  ///< identical pictures for so long are reported
  friend bool operator==(const CameraSettings&, const CameraSettings&) = default;
};

/// Sampled frames a second; of a camera that answers each Nth frame by the usual 25 frames/s.
[[nodiscard]] inline double sampled_rate_hz(const CameraSettings& camera) {
  return camera.every == 0 ? camera.rate_hz : 25.0 / static_cast<double>(camera.every);
}

/// `engine:` and the command-line options of `run` that go with it.
struct EngineSettings {
  PolicyKind policy = PolicyKind::kFull;
  InferenceBudget budget;
  std::optional<double>
      fidelity;  ///< policy adaptive: to hold with as little inference as it takes
  MotionMethod motion = MotionMethod::kAuto;  ///< policy adaptive: how boxes follow motion
  double similarity = .95;  ///< policy similarity: pictures at least so alike are one, 0..1
  double audit = .05;       ///< policy adaptive: share of the inferences that audits take, 0..0.5
  std::string batch = "knee";          ///< knee|utilisation, or a number of frames
  std::string critical_slot = "auto";  ///< auto|always: a slot kept for critical cameras
  std::optional<Pace> pace;  ///< unset: fast where every source is a file without loop, else live
  Duration answer_delay{0};  ///< pace fast: results usable only so much media time later
  Duration tick = std::chrono::milliseconds(100);  ///< pace fast: the step of media time
  Duration run_for{0};                             ///< 0: until the sources end or a signal
  std::int64_t max_frames = 0;                     ///< delivered frames a camera; 0: no limit
  std::int64_t max_answers = 0;                    ///< sampled frames a camera; 0: no limit
  std::size_t streams = 0;              ///< parallel inferences a device; 0: chosen from the cores
  std::size_t threads = 0;              ///< inference threads on a CPU; 0: chosen from the cores
  std::string data = "framemill-data";  ///< folder for what has to survive a restart
  friend bool operator==(const EngineSettings&, const EngineSettings&) = default;
};

/// One entry of `sinks:`. Which keys a type reads: sink_keys() in validate.h.
struct SinkSettings {
  std::string type;             ///< jsonl|sqlite|mqtt|webhook|modbus|postgres|kafka
  std::string name;             ///< of its spool, counters and log lines; empty: the type
  std::string path;             ///< jsonl, sqlite
  std::string send;             ///< answers|alarms|all; empty: by type
  Duration keep{0};             ///< sqlite: rows older than this go; 0: no limit
  std::int64_t size_mb = 0;     ///< jsonl: of one file; sqlite: of the database; 0: no limit
  std::int64_t files = 5;       ///< jsonl: rotated files beside the current one
  std::int64_t spool_mb = 256;  ///< of those with a url: most that waits on disk
  std::string url;              ///< mqtt, webhook, postgres, kafka
  std::string username;
  std::string password;              ///< never printed
  std::string ca_file;               ///< PEM; empty: the system's
  std::string cert_file, key_file;   ///< PEM; the client's own
  std::string topic = "framemill";   ///< mqtt, kafka
  std::string client_id;             ///< mqtt, kafka; empty: made from the host's name and `name`
  std::string version = "5";         ///< mqtt
  std::string discovery;             ///< mqtt: Home Assistant's prefix; empty: none
  std::string secret;                ///< webhook: key of the signature; never printed
  std::int64_t batch = 1;            ///< webhook: messages in one request, at most
  std::string sslmode;               ///< postgres; empty: verify-full with a ca_file, else prefer
  std::string schema = "framemill";  ///< postgres
  std::string sasl;                  ///< kafka; empty: scram-sha-512 where there is a username
  Duration timeout = std::chrono::seconds(10);  ///< of one request or connection
  std::string listen = "127.0.0.1:1502";        ///< modbus
  std::string map;                              ///< modbus: register map to write; empty: none
  friend bool operator==(const SinkSettings&, const SinkSettings&) = default;
};

struct OutputSettings {
  std::string results;       ///< --results: path or "-"; empty: none
  std::string summary;       ///< --summary: path or "-"; empty: none
  std::string snapshot_dir;  ///< --snapshot DIR[,every=5s]; empty: none
  Duration snapshot_every = std::chrono::seconds(5);
  std::string trace;  ///< --trace: a path; empty: none
  friend bool operator==(const OutputSettings&, const OutputSettings&) = default;
};

struct ServerSettings {
  std::string listen = "127.0.0.1:8460";  ///< HOST:PORT or "off"
  bool is_listen_given = false;           ///< somebody asked for it; else a taken port is no error
  // Tokens of three roles; never printed. Without any only loopback addresses may be listened at.
  std::string token;               ///< may do everything
  std::string operate_token;       ///< reads, acknowledges alarms, pauses and restarts cameras
  std::string view_token;          ///< reads
  std::vector<std::string> hosts;  ///< names under which it is reached besides loopback ones
  /// "10.0.0.0/8": where cameras added over HTTP may be, besides what is allowed anyway.
  std::vector<std::string> camera_networks;
  std::string audit_log;  ///< one line for each change that was asked for; empty: the log only
  std::string cert_file, key_file;   ///< PEM; empty: plain HTTP
  std::string client_ca_file;        ///< PEM; clients need a certificate of it; empty: none
  bool is_watched = true;            ///< the configuration is read again when its file changes
  std::string save_changes = "ask";  ///< ask|always|never: into the configuration
  friend bool operator==(const ServerSettings&, const ServerSettings&) = default;
};

/// Everything `framemill run` needs, checked; made from a YAML file, the command line, or both.
struct RunSettings {
  std::vector<ModelSettings> models;
  CameraSettings defaults;  ///< of cameras that are added while the run goes on
  std::vector<CameraSettings> cameras;
  EngineSettings engine;
  AlarmSettings alarms;
  std::vector<SinkSettings> sinks;
  OutputSettings output;
  ServerSettings server;
};

}  // namespace framemill
