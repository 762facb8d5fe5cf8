#include "framemill/config/output_clashes.h"

#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "framemill/base/file_identity.h"
#include "framemill/config/camera_ids.h"

namespace framemill {
namespace {

PlaceNames or_default(const PlaceNames& names, const RunSettings& settings) {
  if (names) return names;
  return [&settings](const SettingPlace& place) { return describe_place(place, settings); };
}

class ClashFinder {
 public:
  ClashFinder(const RunSettings& settings, const std::string& config_path, PlaceNames names)
      : settings_(settings), names_(std::move(names)) {
    add_inputs(files_, settings, config_path, names_);
  }

  std::vector<SettingProblem> find() {
    check_options();
    check_sinks();
    check_output({"server", SettingPlace::kNoIndex, "audit_log"}, settings_.server.audit_log,
                 Twice::kTaken);
    check_snapshots();
    return std::move(problems_);
  }

 private:
  using Twice = FileClashes::Twice;

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
          if (!check_beside(place, sink.path + end)) break;
      if (sink.type == "jsonl" && sink.size_mb > 0) check_old_files(place, sink);
    }
  }

  /// A file that is full moves up the older ones: PATH.1, PATH.2, ... without a gap.
  void check_old_files(const SettingPlace& place, const SinkSettings& sink) {
    for (std::int64_t n = 1; n <= sink.files; ++n) {
      const std::string path = fmt::format("{}.{}", sink.path, n);
      const auto file = identify_file(path);
      if (!file || file->number == 0 || !check_beside(place, path)) return;
    }
  }

  /// The newest picture of a camera is DIR/ID.jpg.
  void check_snapshots() {
    if (settings_.output.snapshot_dir.empty()) return;
    for (const CameraSettings& camera : settings_.cameras) {
      const std::string path = settings_.output.snapshot_dir + "/" + camera.id + ".jpg";
      if (!check_beside({"output", SettingPlace::kNoIndex, "snapshot"}, path)) return;
    }
  }

  /// False where a problem was found.
  bool check_output(const SettingPlace& place, const std::string& path, Twice twice) {
    return add_if_wrong(place, files_.add_output(names_(place), path, twice));
  }
  bool check_beside(const SettingPlace& place, const std::string& path) {
    return add_if_wrong(place, files_.check_path(path));
  }
  bool add_if_wrong(const SettingPlace& place, std::string problem) {
    if (problem.empty()) return true;
    problems_.push_back({place, std::move(problem)});
    return false;
  }

  const RunSettings& settings_;
  const PlaceNames names_;
  FileClashes files_;
  std::vector<SettingProblem> problems_;
};

}  // namespace

void add_inputs(FileClashes& files, const RunSettings& settings, const std::string& config_path,
                const PlaceNames& given_names) {
  const PlaceNames names = or_default(given_names, settings);
  const auto add = [&](const SettingPlace& place, const std::string& path) {
    if (!path.empty()) files.add_input(names(place), path);
  };
  files.add_config(config_path);
  for (std::size_t i = 0; i < settings.cameras.size(); ++i)
    if (const std::string& url = settings.cameras[i].url; is_file_path(url))
      add({"cameras", i, "url"}, url);
  for (std::size_t i = 0; i < settings.models.size(); ++i) {
    const ModelSettings& model = settings.models[i];
    files.add_model(names({"models", i, "path"}), model.path);
    for (const std::string& path : model.ladder)
      files.add_model(names({"models", i, "ladder"}), path);
    if (model.labels != "coco") add({"models", i, "labels"}, model.labels);
  }
  for (std::size_t i = 0; i < settings.sinks.size(); ++i) {
    const SinkSettings& sink = settings.sinks[i];
    add({"sinks", i, "ca_file"}, sink.ca_file);
    add({"sinks", i, "cert_file"}, sink.cert_file);
    add({"sinks", i, "key_file"}, sink.key_file);
  }
  const ServerSettings& server = settings.server;
  add({"server", SettingPlace::kNoIndex, "cert_file"}, server.cert_file);
  add({"server", SettingPlace::kNoIndex, "key_file"}, server.key_file);
  add({"server", SettingPlace::kNoIndex, "client_ca_file"}, server.client_ca_file);
}

std::vector<SettingProblem> find_output_clashes(const RunSettings& settings,
                                                const std::string& config_path,
                                                const PlaceNames& names) {
  return ClashFinder(settings, config_path, or_default(names, settings)).find();
}

}  // namespace framemill
