#include "framemill/config/validate.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include "framemill/base/url.h"
#include "framemill/config/camera_ids.h"
#include "framemill/config/nearest_word.h"
#include "framemill/config/setting_value.h"
#include "framemill/core/inference_budget.h"

namespace framemill {
namespace {

constexpr std::size_t kCamerasMax = 10'000;
constexpr std::size_t kPolygonsMax = 64;
constexpr std::size_t kTokenBytesMin = 16;
constexpr std::size_t kRungsMax = 8;  ///< below the model itself

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
    check_outputs();
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
    }
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
    if (settings_.engine.pace == Pace::kFast && !camera.url.empty() && !is_file_path(camera.url) &&
        url_scheme(camera.url) != "synthetic")
      add("cameras", i, "url", "is a live camera, which cannot run at pace fast; use `pace: live`");
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
    for (const CameraSettings& camera : settings_.cameras) {
      const double rate_hz = sampled_rate_hz(camera);
      sampled_hz += rate_hz;
      if (policy_of(camera, settings_) != PolicyKind::kAdaptive) continue;
      adaptive_hz += rate_hz;
      adaptive.push_back({rate_hz, camera.priority == Priority::kCritical});
    }
    if (is_budget_enough(budget_share(budget, sampled_hz), adaptive)) return;
    // A budget a second is spread over all cameras by their rates.
    const double per_second =
        std::ceil(least_budget_per_second(adaptive) * sampled_hz / adaptive_hz * 10 - 1e-6) / 10;
    add("engine", SettingPlace::kNoIndex, "budget",
        fmt::format("is too small for the critical cameras alone, which are always inferred; give "
                    "at least {}, or make fewer cameras critical",
                    budget.per_second ? fmt::format("{:.1f}/s", per_second)
                                      : fmt::format("{}", least_budget_share(adaptive))));
  }

  void check_outputs() {
    std::set<std::string_view> taken;
    const OutputSettings& output = settings_.output;
    if (!output.results.empty()) taken.insert(output.results);
    const char* const shared = "is written to by something else too; name another file";
    if (!output.summary.empty() && !taken.insert(output.summary).second)
      add("output", SettingPlace::kNoIndex, "summary", shared);
    for (std::size_t i = 0; i < settings_.sinks.size(); ++i) {
      const SinkSettings& sink = settings_.sinks[i];
      check_rows(sink, "sinks", i);
      if (sink.type.empty()) add("sinks", i, "type", "is missing; write `type: jsonl`");
      if (sink.path.empty())
        add("sinks", i, "path", "is missing; name the file to write");
      else if (!taken.insert(sink.path).second)
        add("sinks", i, "path", shared);
    }
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
    if (server.listen != "off" && is_valid_listen(server.listen) && !has_token &&
        !is_loopback_listen(server.listen))
      add("server", SettingPlace::kNoIndex, "listen",
          fmt::format("{} is reached by other machines, and no token is set; write `token: "
                      "${{FRAMEMILL_TOKEN}}` in `server:`, or listen at 127.0.0.1:8460",
                      quote(server.listen)));
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

std::vector<SettingProblem> find_problems(const RunSettings& settings) {
  return Checker(settings).run();
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

Result<void> check_source_url(std::string_view url) {
  static constexpr std::array<std::string_view, 5> kSchemes = {"rtsp", "rtsps", "http", "https",
                                                               "synthetic"};
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
  std::string ending(path.substr(path.size() - std::min<std::size_t>(path.size(), 5)));
  std::ranges::transform(ending, ending.begin(), [](unsigned char c) { return std::tolower(c); });
  if (ending.ends_with(".onnx") || ending.ends_with(".xml")) return {};
  return wrong(quote(path) + " is not a model framemill loads; name an .onnx or .xml file");
}

}  // namespace framemill
