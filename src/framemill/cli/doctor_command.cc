#include "framemill/cli/doctor_command.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "framemill/cli/doctor_checks.h"
#include "framemill/cli/doctor_report.h"
#include "framemill/cli/log_to_stderr.h"
#include "framemill/config/load_settings.h"
#include "framemill/plan/profile_json.h"

namespace framemill {
namespace {

constexpr int kFine = 0, kToFix = 1, kWrongUsage = 2;

struct DoctorRequest {
  std::string config, profile;
  bool is_json_wanted = false;
};

void declare(CLI::App& app, DoctorRequest& request) {
  app.name("framemill doctor");
  app.description(
      "Says what this machine has, what a configuration will meet on it, and what to do first.\n\n"
      "  framemill doctor\n"
      "  framemill doctor site.yaml --profile profile.json\n\n"
      "With a configuration, its models are loaded and tried, and its cameras are opened; nothing\n"
      "is written, and no password is shown.\n");
  app.footer(
      "\nExit status: 0 nothing has to be fixed, 1 something has, 2 wrong usage or "
      "configuration.");
  app.add_option("CONFIG", request.config, "The configuration.")->option_text("YAML");
  app.add_option("--profile", request.profile,
                 "Takes a model's speed from what `framemill bench` measured of it.")
      ->option_text("FILE");
  app.add_flag("--json", request.is_json_wanted, "Prints a JSON document in place of the text.");
}

int say(int status, const std::string& message) {
  fmt::print(stderr, "framemill doctor: {}\n", message);
  return status;
}

/// The size that most cameras have; the usual one where none answered.
Size usual_size(const std::vector<CheckedCamera>& cameras) {
  Size best{1920, 1080};
  std::ptrdiff_t most = 0;
  for (const CheckedCamera& camera : cameras) {
    if (camera.size.width < 1 || camera.size.height < 1) continue;
    const auto count = std::ranges::count(cameras, camera.size, &CheckedCamera::size);
    if (count <= most) continue;
    most = count;
    best = camera.size;
  }
  return best;
}

void find_unknown_classes(DoctorReport& report, const RunSettings& settings,
                          const std::vector<std::vector<std::string>>& labels) {
  for (std::size_t i = 0; i < report.cameras.size(); ++i) {
    const std::vector<std::string>& known = labels[report.cameras[i].model];
    if (known.empty()) continue;  // the model itself is the trouble
    for (const std::string& label : settings.cameras[i].classes) {
      if (std::ranges::find(known, label) == known.end())
        report.cameras[i].unknown_classes.push_back(label);
    }
  }
}

}  // namespace

int doctor_command(const std::vector<std::string>& args) {
  DoctorRequest request;
  CLI::App app;
  declare(app, request);
  try {
    app.parse(std::vector<std::string>(args.rbegin(), args.rend()));
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return kFine;
  } catch (const CLI::Error& error) {
    return say(kWrongUsage, fmt::format("{}; see framemill doctor --help", error.what()));
  }
  if (!request.profile.empty() && request.config.empty())
    return say(kWrongUsage, "--profile goes with a configuration, whose models it is of");
  std::optional<RunSettings> settings;
  if (!request.config.empty()) {
    Result<RunSettings> loaded = load_settings(request.config);
    if (!loaded) return say(kWrongUsage, loaded.error().message());
    settings = *std::move(loaded);
  }
  std::optional<DeviceProfile> profile;
  if (!request.profile.empty()) {
    Result<DeviceProfile> read = read_profile(request.profile);
    if (!read) return say(kWrongUsage, read.error().at("--profile").message());
    profile = *std::move(read);
  }
  log_to_stderr("off");  // what is wrong stands in the report

  static const SystemClock clock;  // threads left behind use it to the end
  const DoctorLimits limits;
  DoctorReport report;
  report.machine = read_machine_facts();
  report.ffmpeg = read_ffmpeg_facts();
  report.runtimes = list_runtimes();
  report.absent_runtimes = list_absent_runtimes();
  bool is_hung = false;
  if (settings) {
    report.config = request.config;
    fmt::print(stderr, "looking at {} cameras and {} models\n", settings->cameras.size(),
               settings->models.size());
    FoundDecoder found = find_decoder(*settings);
    report.decoder = std::move(found.check);
    report.cameras = check_cameras(*settings, limits, found.decoder, clock);
    // After the cameras: decoding beside it would make a model look slow.
    ModelsCheck models =
        check_models(*settings, usual_size(report.cameras), profile ? &*profile : nullptr, limits);
    report.models = std::move(models.models);
    report.profile_notes = std::move(models.profile_notes);
    is_hung = models.is_hung;
    find_unknown_classes(report, *settings, models.labels);
  }
  diagnose(report);
  const std::string text =
      request.is_json_wanted ? to_doctor_json(report) : format_doctor_report(report);
  int status = report.has_to_be_fixed() ? kToFix : kFine;
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    status = say(kToFix, fmt::format("standard output: {}", std::strerror(errno)));
  if (is_hung) {
    std::fflush(nullptr);
    _exit(status);
  }
  return status;
}

}  // namespace framemill
