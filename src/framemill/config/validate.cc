#include "framemill/config/validate.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <iterator>
#include <map>
#include <set>

#include <fmt/format.h>

#include "framemill/base/text_case.h"
#include "framemill/base/url.h"
#include "framemill/config/camera_ids.h"
#include "framemill/config/nearest_word.h"
#include "framemill/config/output_clashes.h"
#include "framemill/config/rule_defaults.h"
#include "framemill/config/setting_value.h"
#include "framemill/config/week_schedule.h"
#include "framemill/core/inference_budget.h"

namespace framemill {
namespace {

constexpr std::size_t kCamerasMax = 10'000;
constexpr std::size_t kPolygonsMax = 64;
constexpr std::size_t kRulesMax = 256;  ///< of one camera
constexpr std::size_t kRungsMax = 8;    ///< below the model itself
constexpr std::size_t kModelDevicesMax = 16;
constexpr std::size_t kTokenBytesMin = 16;

Failure wrong(std::string message) { return fail(ErrorCode::kInvalidArgument, std::move(message)); }

PolicyKind policy_of(const CameraSettings& camera, const RunSettings& settings) {
  return camera.policy.value_or(settings.engine.policy);
}

class Checker {
 public:
  explicit Checker(const RunSettings& settings) : settings_(settings) {}

  std::vector<SettingProblem> run() {
    check_models();
    check_cameras();
    check_engine();
    check_rows(settings_.alarms, "alarms", SettingPlace::kNoIndex);
    check_rules(settings_.alarms.rules, "alarms", SettingPlace::kNoIndex, nullptr);
    check_sinks();
    check_server();
    return std::move(problems_);
  }

 private:
  void add(std::string section, std::size_t index, std::string key, std::string message,
           std::size_t other = SettingPlace::kNoIndex) {
    problems_.push_back({{std::move(section), index, std::move(key)}, std::move(message), other});
  }
  void add_if_failed(const std::string& section, std::size_t index, std::string_view key,
                     const Result<void>& result) {
    if (!result) add(section, index, std::string(key), result.error().message());
  }
  template <typename Settings>
  void check_rows(const Settings& settings, const std::string& section, std::size_t index) {
    for (const Setting<Settings>& row : SettingsTable<Settings>::kRows)
      add_if_failed(section, index, row.key, check_value(row, settings));
  }

  void check_models() {
    const std::vector<ModelSettings>& models = settings_.models;
    if (models.empty())
      add("models", SettingPlace::kNoIndex, "",
          "no model is given; write `models: {objects: {path: model.onnx}}`, or use --model");
    for (std::size_t i = 0; i < models.size(); ++i) {
      check_rows(models[i], "models", i);
      if (!is_valid_name(models[i].name))
        add("models", i, "",
            "is not a name; write 1 to 64 letters, digits, dots, underscores or hyphens");
      add_if_failed("models", i, "path", check_model_path(models[i].path));
      check_ladder(models[i], i);
      check_devices(models[i], i);
    }
  }

  void check_devices(const ModelSettings& model, std::size_t i) {
    if (model.device_list.size() > kModelDevicesMax)
      add("models", i, "device", fmt::format("has more than {} devices", kModelDevicesMax));
  }

  void check_ladder(const ModelSettings& model, std::size_t i) {
    if (model.ladder.size() > kRungsMax)
      add("models", i, "ladder", fmt::format("has more than {} rungs", kRungsMax));
    for (const std::string& path : model.ladder) {
      add_if_failed("models", i, "ladder", check_model_path(path));
      if (path == model.path)
        add("models", i, "ladder", quote(path) + " is the model itself; name cheaper ones");
    }
  }

  void check_cameras() {
    const std::vector<CameraSettings>& cameras = settings_.cameras;
    if (cameras.empty())
      add("cameras", SettingPlace::kNoIndex, "",
          "no camera is given; write `cameras: [{id: gate-1, url: \"rtsp://...\"}]`, or use "
          "--source");
    if (cameras.size() > kCamerasMax)
      add("cameras", SettingPlace::kNoIndex, "",
          fmt::format("{} cameras are more than one run takes ({}); split them", cameras.size(),
                      kCamerasMax));
    std::map<std::string_view, std::size_t> ids;
    for (std::size_t i = 0; i < cameras.size(); ++i) {
      check_camera(cameras[i], i);
      if (cameras[i].id.empty()) continue;
      const auto [first, is_new] = ids.emplace(cameras[i].id, i);
      if (!is_new)
        add("cameras", i, "id",
            fmt::format("{} is the id of another camera too; give each its own",
                        quote(cameras[i].id)),
            first->second);
    }
  }

  void check_camera(const CameraSettings& camera, std::size_t i) {
    check_rows(camera, "cameras", i);
    if (camera.id.empty())
      add("cameras", i, "id", "is missing; give the camera a name, such as `id: gate-1`");
    add_if_failed("cameras", i, "url", check_source_url(camera.url));
    if (!camera.password.empty() && camera.username.empty())
      add("cameras", i, "password", "stands without a username; add `username:`");
    if (!camera.username.empty() && has_credentials(camera.url))
      add("cameras", i, "username", "stands in the url too; keep one of them");
    if (!is_file_path(camera.url)) {
      const char* const message = "is for files only; this source is none, so leave it out";
      if (camera.is_looped) add("cameras", i, "loop", message);
      if (camera.start > Duration(0)) add("cameras", i, "start", message);
    }
    check_model_reference(camera.model, i);
    if (camera.mask.size() > kPolygonsMax)
      add("cameras", i, "mask", fmt::format("holds more than {} polygons", kPolygonsMax));
    check_rules(camera.rules, "cameras", i, &camera);
    if (settings_.engine.pace == Pace::kFast && !camera.url.empty() && !is_file_path(camera.url) &&
        url_scheme(camera.url) != "synthetic")
      add("cameras", i, "url", "is a live camera, which cannot run at pace fast; use `pace: live`");
  }

  /// `camera` is null for the rules of the whole run.
  void check_rules(const std::vector<RuleSettings>& rules, const std::string& section,
                   std::size_t i, const CameraSettings* camera) {
    if (rules.size() > kRulesMax)
      add(section, i, "rules", fmt::format("has more than {} entries", kRulesMax));
    for (const RuleSettings& rule : rules) {
      const std::string name = fmt::format("rules[{}]", rule.id);
      if (!rule.kind) {
        add(section, i, name, "has no kind; write one, such as `kind: presence`");
        continue;
      }
      for (const Setting<RuleSettings>& row : kRuleSettings)
        add_if_failed(section, i, fmt::format("{}.{}", name, row.key), check_value(row, rule));
      for (const auto& [key, message] : rule_problems(rule, camera))
        add(section, i, key.empty() ? name : fmt::format("{}.{}", name, key), message);
    }
  }

  using KeyAndMessage = std::pair<std::string, std::string>;

  std::vector<KeyAndMessage> rule_problems(const RuleSettings& rule, const CameraSettings* camera) {
    std::vector<KeyAndMessage> problems;
    const auto say = [&](std::string_view key, std::string message) {
      problems.emplace_back(key, std::move(message));
    };
    const RuleKind kind = *rule.kind;
    if ((kind == RuleKind::kDeviceBusy) != (camera == nullptr)) {
      say("kind", camera == nullptr ? fmt::format("{} belongs to a camera; move the rule to its "
                                                  "`rules:` or to those of `defaults:`",
                                                  to_string(kind))
                                    : "device_busy is of the whole run; move the rule to `alarms: "
                                      "{rules: [...]}`");
      return problems;
    }
    const std::vector<std::string_view> keys = split_choices(keys_of(kind));
    static constexpr std::array<std::string_view, 7> kOfAll = {
        "id", "kind", "severity", "for", "clear_after", "latch", "schedule"};
    for (const Setting<RuleSettings>& row : kRuleSettings)
      if (is_changed(row, rule) && std::ranges::find(kOfAll, row.key) == kOfAll.end() &&
          std::ranges::find(keys, row.key) == keys.end())
        say(row.key,
            fmt::format(
                "means nothing for kind {}{}; leave it out", to_string(kind),
                keys.empty() ? "" : fmt::format(", which reads {}", fmt::join(keys, ", "))));
    if (const Result<WeekSchedule> schedule = WeekSchedule::parse(rule.schedule); !schedule)
      say("schedule", schedule.error().message());
    if (!problems.empty()) return problems;

    if (camera != nullptr) {
      if (std::string message = unknown_area(rule.zone, camera->zones, "zones"); !message.empty())
        say("zone", message);
      if (std::string message = unknown_area(rule.line, camera->lines, "lines"); !message.empty())
        say("line", message);
    }
    if (kind == RuleKind::kLineCrossing && rule.line.empty())
      say("", "has no line; write `line: gate`, and the line under the camera's `lines:`");
    if (kind == RuleKind::kLineCrossing && rule.hold_for.value_or(Duration(0)) > Duration(0))
      say("for", "would never be over: a crossing takes one moment; leave it out");
    if (!rule.zone.empty() && !rule.line.empty())
      say("", "has a zone and a line; keep one of them");
    const bool needs_limit = kind == RuleKind::kCount || kind == RuleKind::kRate;
    if (needs_limit && rule.over.has_value() == rule.under.has_value())
      say("", rule.over ? "has over and under; make two rules of it"
                        : "has neither over nor under; write one of them");
    if (kind == RuleKind::kFidelity || kind == RuleKind::kDeviceBusy) {
      const Threshold threshold = threshold_of(rule);
      if (threshold.limit <= 0 || threshold.limit >= 1)
        say(threshold.is_over ? "over" : "under", "is a share; write one above 0 and below 1");
    }
    if (kind == RuleKind::kFidelity && policy_of(*camera, settings_) != PolicyKind::kAdaptive)
      say("kind", "fidelity is known under policy adaptive only; use `policy: adaptive`");
    else if (kind == RuleKind::kFidelity && settings_.engine.audit <= 0)
      say("kind", "fidelity is what audits find, and `audit: 0` allows none");
    if (kind == RuleKind::kDefect &&
        rule.of.value_or(rule.frames.value_or(1)) < rule.frames.value_or(1))
      say("of", "is less than frames; it is how many of the last answers are looked at");
    if (camera != nullptr && !camera->classes.empty())
      for (const std::string& label : rule.classes)
        if (std::ranges::find(camera->classes, label) == camera->classes.end())
          say("classes", fmt::format("{} is not among the camera's classes, which are all that it "
                                     "answers: {}",
                                     quote(label), fmt::join(camera->classes, ", ")));
    return problems;
  }

  template <typename Area>
  static std::string unknown_area(const std::string& name, const std::vector<Area>& areas,
                                  std::string_view key) {
    if (name.empty()) return {};
    std::vector<std::string_view> names;
    for (const Area& area : areas) names.push_back(area.name);
    if (std::ranges::find(names, name) != names.end()) return {};
    return fmt::format("{} is not in the camera's {};{} it has {}", quote(name), key,
                       did_you_mean(name, names),
                       names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
  }

  void check_model_reference(const std::string& model, std::size_t i) {
    if (model.empty()) return;
    std::vector<std::string_view> names;
    for (const ModelSettings& known : settings_.models) names.push_back(known.name);
    if (std::ranges::find(names, model) != names.end()) return;
    add("cameras", i, "model",
        fmt::format("is not in models;{} models has: {}", did_you_mean(model, names),
                    names.empty() ? "nothing" : fmt::format("{}", fmt::join(names, ", "))));
  }

  void check_engine() {
    check_rows(settings_.engine, "engine", SettingPlace::kNoIndex);
    const InferenceBudget& budget = settings_.engine.budget;
    const bool is_limiting = budget.per_second.has_value() || budget.share.value_or(1) < 1;
    const bool can_save = std::ranges::any_of(settings_.cameras, [&](const CameraSettings& camera) {
      return policy_of(camera, settings_) != PolicyKind::kFull;
    });
    if (is_limiting && !can_save && !settings_.cameras.empty())
      add("engine", SettingPlace::kNoIndex, "budget",
          "cannot be held by policy full, which infers every sampled frame; use `policy: "
          "adaptive`");
    check_fidelity();
    if (is_limiting) check_critical_cameras();
  }

  void check_fidelity() {
    if (!settings_.engine.fidelity) return;
    const auto is_adaptive = [&](const CameraSettings& camera) {
      return policy_of(camera, settings_) == PolicyKind::kAdaptive;
    };
    if (!settings_.cameras.empty() && std::ranges::none_of(settings_.cameras, is_adaptive))
      add("engine", SettingPlace::kNoIndex, "fidelity",
          fmt::format("cannot be held by policy {}; use `policy: adaptive`, or leave it out",
                      to_string(policy_of(settings_.cameras.front(), settings_))));
    else if (settings_.engine.audit <= 0)
      add("engine", SettingPlace::kNoIndex, "fidelity",
          "is held by what audits find, and `audit: 0` allows none; use `audit: 0.05`, or leave "
          "fidelity out");
  }

  /// Frames of critical cameras are inferred whatever the budget says, so it has to suffice for
  /// them. Only adaptive cameras draw on it.
  void check_critical_cameras() {
    const InferenceBudget& budget = settings_.engine.budget;
    std::vector<BudgetedCamera> adaptive;
    double sampled_hz = 0;
    double adaptive_hz = 0;
    bool is_guessed = false;
    for (const CameraSettings& camera : settings_.cameras) {
      const double rate_hz = sampled_rate_hz(camera);
      sampled_hz += rate_hz;
      is_guessed |= camera.every > 0;
      if (policy_of(camera, settings_) != PolicyKind::kAdaptive) continue;
      adaptive_hz += rate_hz;
      adaptive.push_back({rate_hz, camera.priority == Priority::kCritical});
    }
    if (is_budget_enough(budget_share(budget, sampled_hz), adaptive)) return;
    // A budget a second is spread over all cameras by their rates.
    const double per_second =
        std::ceil(least_budget_per_second(adaptive) * sampled_hz / adaptive_hz * 10 - 1e-6) / 10;
    add("engine", SettingPlace::kNoIndex, "budget",
        fmt::format(
            "is too small for the critical cameras alone, which are always inferred; give "
            "at least {}, or make fewer cameras critical{}",
            budget.per_second ? fmt::format("{:.1f}/s", per_second)
                              : fmt::format("{}", least_budget_share(adaptive)),
            is_guessed ? " (with `every: N` a camera counts as 25/N frames a second here)" : ""));
  }

  void check_sinks() {
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < settings_.sinks.size(); ++i) {
      const SinkSettings& sink = settings_.sinks[i];
      check_rows(sink, "sinks", i);
      if (sink.type.empty()) {
        add("sinks", i, "type", "is missing; write `type: jsonl`");
        continue;
      }
      const std::vector<std::string_view> keys = split_choices(sink_keys(sink.type));
      if (keys.empty()) continue;  // an unknown type was reported above
      const auto reads = [&](std::string_view key) {
        return std::ranges::find(keys, key) != keys.end();
      };
      bool is_clear = true;
      for (const Setting<SinkSettings>& row : kSinkSettings) {
        const bool is_common = row.key == "type" || row.key == "name" || row.key == "send";
        if (is_common || reads(row.key) || !is_changed(row, sink)) continue;
        is_clear = false;
        add("sinks", i, std::string(row.key),
            fmt::format("means nothing for type {}, which reads {}; leave it out", sink.type,
                        fmt::join(keys, ", ")));
      }
      if (!is_clear) continue;
      if (reads("path") && sink.path.empty())
        add("sinks", i, "path", "is missing; name the file to write");
      if (reads("spool_mb") && !names.insert(sink.name.empty() ? sink.type : sink.name).second)
        add("sinks", i, "name", "is that of another sink; give each `name:` of its own");
      if (reads("url")) check_sink_url(sink, i);
      for (const auto& [key, topic] :
           {std::pair("topic", sink.topic), {"discovery", sink.discovery}})
        if (topic.find_first_of("#+") != std::string::npos || topic.starts_with('/') ||
            topic.ends_with('/'))
          add("sinks", i, key,
              quote(topic) +
                  " is not the beginning of a topic; write one like plant/vision, without "
                  "wildcards and without a slash at its ends");
      if (sink.type == "modbus" && sink.listen == "off")
        add("sinks", i, "listen", "is off; write HOST:PORT, or leave the sink out");
      if (sink.type == "jsonl" && sink.path == "-" && sink.size_mb > 0)
        add("sinks", i, "size_mb", "is for files, and - is standard output; leave it out");
      if (!sink.password.empty() && sink.username.empty())
        add("sinks", i, "password", "stands without a username; add `username:`");
      if (sink.cert_file.empty() != sink.key_file.empty())
        add("sinks", i, sink.cert_file.empty() ? "key_file" : "cert_file",
            "stands alone; cert_file and key_file go together");
    }
  }

  void check_postgres(const SinkSettings& sink, std::size_t i) {
    const std::string scheme = url_scheme(sink.url);
    const std::string rest = scheme.empty() ? "" : sink.url.substr(scheme.size() + 3);
    const std::size_t slash = rest.find('/');
    const bool has_database = slash != std::string::npos && slash + 1 < rest.size() &&
                              rest.find('/', slash + 1) == std::string::npos;
    if (sink.url.empty())
      add("sinks", i, "url", "is missing; write postgresql://HOST/DATABASE");
    else if (has_credentials(sink.url))
      add("sinks", i, "url", "holds credentials; use username and password");
    else if (sink.url.find('?') != std::string::npos)
      add("sinks", i, "url", "holds parameters; there are settings for what can be changed");
    else if ((scheme != "postgresql" && scheme != "postgres") || !has_database)
      add("sinks", i, "url",
          quote(sink.url) + " is not the address of a database; write postgresql://HOST/DATABASE");
    else if (sink.sslmode == "disable" && (!sink.ca_file.empty() || !sink.cert_file.empty()))
      add("sinks", i, "sslmode", "is disable, so certificates mean nothing; write verify-full");
    const auto is_plain = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    };
    if (!std::ranges::all_of(sink.schema, is_plain) || sink.schema.starts_with("pg_") ||
        sink.schema.size() > 63)
      add("sinks", i, "schema",
          quote(sink.schema) +
              " is no name for a schema; use a-z, 0-9 and _, and no pg_ at the "
              "beginning");
  }

  void check_sink_url(const SinkSettings& sink, std::size_t i) {
    if (sink.type == "postgres") return check_postgres(sink, i);
    const std::string plain = sink.type == "webhook" ? "http" : sink.type;
    const std::string safe = plain + "s";
    const std::string scheme = url_scheme(sink.url);
    if (sink.url.empty())
      add("sinks", i, "url", fmt::format("is missing; write {}://HOST", plain));
    else if ((scheme != plain && scheme != safe) || sink.url.size() <= scheme.size() + 3)
      add("sinks", i, "url",
          fmt::format("{} is not the address of a {}; write {}://HOST or {}://HOST",
                      quote(sink.url), sink.type == "webhook" ? "webhook" : "broker", plain, safe));
    else if (has_credentials(sink.url))
      add("sinks", i, "url", "holds credentials; use username and password");
    else if (scheme == plain && (!sink.ca_file.empty() || !sink.cert_file.empty()))
      add("sinks", i, "url",
          fmt::format("is not encrypted, so certificates mean nothing; write {}://", safe));
    else if (sink.type == "kafka")
      check_kafka(sink, i);
  }

  void check_kafka(const SinkSettings& sink, std::size_t i) {
    if (sink.url.substr(sink.url.find("://") + 3).find_first_of("/?# ") != std::string::npos)
      add("sinks", i, "url",
          quote(sink.url) + " holds more than brokers; write kafka://HOST:PORT,HOST:PORT");
    const auto is_plain = [](unsigned char c) {
      return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
    };
    if (sink.topic.empty() || sink.topic.size() > 240 || !std::ranges::all_of(sink.topic, is_plain))
      add("sinks", i, "topic",
          quote(sink.topic) + " is no name for a topic; use letters, digits, '.', '_' and '-'");
    if (!sink.sasl.empty() && sink.username.empty())
      add("sinks", i, "sasl", "stands without a username; add `username:` and `password:`");
  }

  void check_server() {
    check_rows(settings_.server, "server", SettingPlace::kNoIndex);
    const ServerSettings& server = settings_.server;
    std::set<std::string_view> seen;
    const std::pair<std::string_view, const std::string&> tokens[] = {
        {"token", server.token},
        {"operate_token", server.operate_token},
        {"view_token", server.view_token}};
    for (const auto& [key, token] : tokens) {
      if (token.empty()) continue;
      if (token.size() < kTokenBytesMin)
        add("server", SettingPlace::kNoIndex, std::string(key),
            fmt::format("is shorter than {} characters; make one with `openssl rand -hex 24`",
                        kTokenBytesMin));
      else if (!seen.insert(token).second)
        add("server", SettingPlace::kNoIndex, std::string(key),
            "is that of another role too; give each its own");
    }
    const bool has_token =
        !server.token.empty() || !server.operate_token.empty() || !server.view_token.empty();
    check_tls(server);
    // A certificate of the server hides what is said, but lets everybody in.
    if (server.listen != "off" && is_valid_listen(server.listen) && !has_token &&
        server.client_ca_file.empty() && !is_loopback_listen(server.listen))
      add("server", SettingPlace::kNoIndex, "listen",
          fmt::format("{} is reached by other machines, and neither a token nor certificates of "
                      "clients are asked for; write `token: ${{FRAMEMILL_TOKEN}}` or "
                      "`client_ca_file:` in `server:`, or listen at 127.0.0.1:8460",
                      quote(server.listen)));
  }

  void check_tls(const ServerSettings& server) {
    const auto need = [this](const char* key, const char* other) {
      add("server", SettingPlace::kNoIndex, key,
          fmt::format("has no {}; give both, in PEM, or neither", other));
    };
    if (!server.cert_file.empty() && server.key_file.empty()) need("cert_file", "key_file");
    if (!server.key_file.empty() && server.cert_file.empty()) need("key_file", "cert_file");
    if (!server.client_ca_file.empty() && server.cert_file.empty())
      need("client_ca_file", "cert_file and key_file");
  }

  const RunSettings& settings_;
  std::vector<SettingProblem> problems_;
};

}  // namespace

std::string describe_place(const SettingPlace& place, const RunSettings& settings) {
  std::string text = place.section;
  if (place.index != SettingPlace::kNoIndex) {
    if (place.section == "models" && place.index < settings.models.size())
      text += "." + settings.models[place.index].name;
    else if (place.section == "cameras" && place.index < settings.cameras.size() &&
             is_valid_name(settings.cameras[place.index].id))
      text += "[" + settings.cameras[place.index].id + "]";
    else
      text += fmt::format("[{}]", place.index);
  }
  if (!place.key.empty()) text += "." + place.key;
  return text;
}

std::vector<SettingProblem> find_problems(const RunSettings& settings,
                                          const std::string& config_path, const PlaceNames& names) {
  std::vector<SettingProblem> problems = Checker(settings).run();
  std::ranges::move(find_output_clashes(settings, config_path, names),
                    std::back_inserter(problems));
  return problems;
}

Error list_problems(const std::vector<std::string>& lines, ErrorCode code) {
  const std::size_t shown = std::min(lines.size(), kProblemsShownMax);
  std::string message = fmt::format(
      "{}", fmt::join(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(shown), "\n"));
  if (lines.size() > shown) message += fmt::format("\n... and {} more", lines.size() - shown);
  return {code, std::move(message)};
}

Result<void> validate(const RunSettings& settings) {
  std::vector<std::string> lines;
  for (const SettingProblem& problem : find_problems(settings))
    lines.push_back(describe_place(problem.place, settings) + ": " + problem.message);
  if (lines.empty()) return {};
  return fail(list_problems(lines, ErrorCode::kInvalidArgument));
}

std::string_view sink_keys(std::string_view type) {
  if (type == "jsonl") return "path|size_mb|files";
  if (type == "sqlite") return "path|keep|size_mb";
  if (type == "mqtt")
    return "url|username|password|ca_file|cert_file|key_file|topic|client_id|version|discovery|"
           "timeout|spool_mb";
  if (type == "webhook")
    return "url|username|password|ca_file|cert_file|key_file|secret|batch|timeout|spool_mb";
  if (type == "modbus") return "listen|map";
  if (type == "postgres")
    return "url|username|password|sslmode|ca_file|cert_file|key_file|schema|timeout|spool_mb";
  if (type == "kafka")
    return "url|username|password|sasl|ca_file|cert_file|key_file|topic|client_id|timeout|spool_mb";
  return {};
}

Result<void> check_source_url(std::string_view url) {
  static constexpr std::array<std::string_view, 6> kSchemes = {"rtsp",  "rtsps", "http",
                                                               "https", "udp",   "synthetic"};
  if (url.empty()) return wrong("is missing; write an rtsp:// URL, a device, or a file's path");
  const std::string scheme = url_scheme(url);
  if (scheme.empty()) return {};
  if (scheme == "file") return wrong("is a file:// URL; write the file's plain path");
  if (std::ranges::find(kSchemes, scheme) == kSchemes.end())
    return wrong(
        fmt::format("{}:// is not a source framemill reads;{} write one of {}://, or a path",
                    scheme, did_you_mean(scheme, kSchemes), fmt::join(kSchemes, "://, ")));
  if (scheme != "synthetic" && redact(url).size() <= scheme.size() + 3)
    return wrong("names no host; write one like rtsp://10.0.0.5/1");
  return {};
}

Result<void> check_model_path(std::string_view path) {
  if (path.empty()) return wrong("is missing; name the model's .onnx or .xml file");
  const std::string ending =
      to_lower(path.substr(path.size() - std::min<std::size_t>(path.size(), 5)));
  if (ending.ends_with(".onnx") || ending.ends_with(".xml")) return {};
  return wrong(quote(path) + " is not a model framemill loads; name an .onnx or .xml file");
}

}  // namespace framemill
