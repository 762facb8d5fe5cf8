#include "framemill/config/output_clashes.h"

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "framemill/base/file_identity.h"
#include "framemill/base/url.h"
#include "framemill/config/camera_ids.h"
#include "framemill/config/setting_value.h"

namespace framemill {
namespace {

/// What may be written to twice although it is no file: nothing else uses these at the same time.
enum class Twice { kRefused, kTaken };

/// The file behind a camera's URL; empty where it is none.
std::string source_file(const std::string& url) {
  constexpr std::string_view kFileScheme = "file://";
  if (url_scheme(url) == "file") return url.substr(kFileScheme.size());
  return is_file_path(url) ? url : "";
}

class ClashFinder {
 public:
  explicit ClashFinder(const RunSettings& settings) : settings_(settings) {}

  std::vector<SettingProblem> find(const std::string& config_path) {
    gather_inputs(config_path);
    check_options();
    check_sinks();
    check_output({"server", SettingPlace::kNoIndex, "audit_log"}, settings_.server.audit_log,
                 Twice::kTaken);
    check_snapshots();
    return std::move(problems_);
  }

 private:
  void add_input(SettingPlace place, const std::string& path) {
    if (const auto file = identify_file(path)) inputs_.emplace(*file, std::move(place));
  }

  void add_model(const SettingPlace& place, const std::string& path) {
    add_input(place, path);
    namespace fs = std::filesystem;
    // OpenVINO's weights; what exporters call the external data of an ONNX file.
    if (path.ends_with(".xml")) add_input(place, fs::path(path).replace_extension(".bin").string());
    if (path.ends_with(".onnx"))
      for (const char* const end : {".data", "_data"}) add_input(place, path + end);
  }

  void gather_inputs(const std::string& config_path) {
    if (const auto file = identify_file(config_path)) config_ = *file;
    for (std::size_t i = 0; i < settings_.cameras.size(); ++i)
      add_input({"cameras", i, "url"}, source_file(settings_.cameras[i].url));
    for (std::size_t i = 0; i < settings_.models.size(); ++i) {
      const ModelSettings& model = settings_.models[i];
      add_model({"models", i, "path"}, model.path);
      for (const std::string& path : model.ladder) add_model({"models", i, "ladder"}, path);
      if (model.labels != "coco") add_input({"models", i, "labels"}, model.labels);
    }
    for (std::size_t i = 0; i < settings_.sinks.size(); ++i) {
      const SinkSettings& sink = settings_.sinks[i];
      add_input({"sinks", i, "ca_file"}, sink.ca_file);
      add_input({"sinks", i, "cert_file"}, sink.cert_file);
      add_input({"sinks", i, "key_file"}, sink.key_file);
    }
    const ServerSettings& server = settings_.server;
    add_input({"server", SettingPlace::kNoIndex, "cert_file"}, server.cert_file);
    add_input({"server", SettingPlace::kNoIndex, "key_file"}, server.key_file);
    add_input({"server", SettingPlace::kNoIndex, "client_ca_file"}, server.client_ca_file);
  }

  void check_options() {
    const OutputSettings& output = settings_.output;
    check_output({"output", SettingPlace::kNoIndex, "results"}, output.results, Twice::kRefused);
    check_output({"output", SettingPlace::kNoIndex, "summary"}, output.summary, Twice::kRefused);
    check_output({"output", SettingPlace::kNoIndex, "trace"}, output.trace, Twice::kTaken);
  }

  void check_sinks() {
    for (std::size_t i = 0; i < settings_.sinks.size(); ++i) {
      const SinkSettings& sink = settings_.sinks[i];
      if (sink.type == "modbus") check_output({"sinks", i, "map"}, sink.map, Twice::kTaken);
      if (sink.type != "jsonl" && sink.type != "sqlite") continue;
      const SettingPlace place{"sinks", i, "path"};
      if (!check_output(place, sink.path, Twice::kRefused) || sink.path == "-") continue;
      if (sink.type == "sqlite")
        for (const char* const end : {"-wal", "-shm", "-journal"})
          if (!check_against_inputs(place, sink.path + end)) break;
      if (sink.type == "jsonl" && sink.size_mb > 0) check_old_files(place, sink);
    }
  }

  /// A file that is full moves up the older ones: PATH.1, PATH.2, ... without a gap.
  void check_old_files(const SettingPlace& place, const SinkSettings& sink) {
    for (std::int64_t n = 1; n <= sink.files; ++n) {
      const std::string path = fmt::format("{}.{}", sink.path, n);
      const auto file = identify_file(path);
      if (!file || file->number == 0 || !check_against_inputs(place, path)) return;
    }
  }

  /// The newest picture of a camera is DIR/ID.jpg.
  void check_snapshots() {
    if (settings_.output.snapshot_dir.empty()) return;
    for (const CameraSettings& camera : settings_.cameras) {
      const std::string path = settings_.output.snapshot_dir + "/" + camera.id + ".jpg";
      if (!check_against_inputs({"output", SettingPlace::kNoIndex, "snapshot"}, path)) return;
    }
  }

  /// False where a problem was found.
  bool check_output(const SettingPlace& place, const std::string& path, Twice same_name) {
    if (path.empty()) return true;
    const auto file = path == "-" ? std::nullopt : identify_file(path);
    if (!file) {
      if (same_name == Twice::kRefused && !names_.insert(path).second) {
        add(place, "is written to by something else too; name another file");
        return false;
      }
      return true;
    }
    if (!check_against_inputs(place, path)) return false;
    const auto [other, is_new] = outputs_.emplace(*file, place);
    if (is_new) return true;
    add(place, fmt::format("is written to by something else too ({}); name another file",
                           describe_place(other->second, settings_)));
    return false;
  }

  bool check_against_inputs(const SettingPlace& place, const std::string& path) {
    const auto file = identify_file(path);
    if (!file) return true;
    if (config_ == file) {
      add(place, fmt::format("{} is the configuration itself, and would be overwritten; name "
                             "another file",
                             quote(path)));
      return false;
    }
    const auto input = inputs_.find(*file);
    if (input == inputs_.end()) return true;
    add(place, fmt::format("{} is read as {}, and would be overwritten; name another file",
                           quote(path), describe_place(input->second, settings_)));
    return false;
  }

  void add(const SettingPlace& place, std::string message) {
    problems_.push_back({place, std::move(message)});
  }

  const RunSettings& settings_;
  std::optional<FileIdentity> config_;
  std::map<FileIdentity, SettingPlace> inputs_, outputs_;
  std::set<std::string_view> names_;  ///< of what is written to and is no file
  std::vector<SettingProblem> problems_;
};

}  // namespace

std::vector<SettingProblem> find_output_clashes(const RunSettings& settings,
                                                const std::string& config_path) {
  return ClashFinder(settings).find(config_path);
}

}  // namespace framemill
