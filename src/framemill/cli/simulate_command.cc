#include "framemill/cli/simulate_command.h"

#include <algorithm>
#include <chrono>
#include <ostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "framemill/cli/simulate_report.h"
#include "framemill/cli/typed_words.h"
#include "framemill/config/duration.h"
#include "framemill/config/nearest_word.h"
#include "framemill/config/workload.h"
#include "framemill/plan/capacity.h"
#include "framemill/plan/catalogue.h"
#include "framemill/plan/profile_json.h"
#include "framemill/plan/service_model.h"
#include "framemill/plan/simulator.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;

constexpr int kDone = 0;
constexpr int kWrongUsage = 2;
constexpr Duration kLengthMin = 6s;  // a scenario changes after a third, and a second later counts
constexpr Duration kLengthMax = 24h;
constexpr Duration kBarsLength = 60s;

struct Options {
  std::string workload;
  std::vector<std::string> profiles;
  std::string scenario = "all";
  std::uint64_t seed = 1;
  std::string length = "120s";
  std::string trace;
  std::size_t devices = 0;
  std::optional<double> eta;
  bool has_bars = false;
  bool is_json = false;
};

Result<std::vector<Scenario>> scenarios_of(const std::string& name) {
  if (name == "all") return std::vector(kScenarios.begin(), kScenarios.end());
  if (const std::optional<Scenario> scenario = scenario_of(name)) return std::vector{*scenario};
  std::vector<std::string_view> names;
  for (const Scenario scenario : kScenarios) names.push_back(to_string(scenario));
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("--scenario: there is no \"{}\";{} there are all, {}", name,
                          did_you_mean(name, names), fmt::join(names, ", ")));
}

Result<Duration> length_of(const std::string& text) {
  const Result<Duration> length = parse_duration(text);
  if (!length) return fail(ErrorCode::kInvalidArgument, "--for: " + length.error().message());
  if (*length >= kLengthMin && *length <= kLengthMax) return *length;
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("--for: {} is out of range; give {} to {}", text,
                          format_duration(kLengthMin), format_duration(kLengthMax)));
}

/// Where the workload wants other devices than the one that was measured; empty: it does not.
std::string other_devices(const Workload& workload, const SimulatedSite& site) {
  if (workload.devices.empty()) return "";
  std::vector<std::string> names;
  for (const DeviceCandidate& wanted : workload.devices) {
    const LoadedProfile measured{.profile = site.profiles.front()};
    if (find_profile_of(wanted, {measured}, built_in_catalogue()) != nullptr) return "";
    names.push_back(wanted.name);
  }
  return fmt::format("the workload's devices are {}; simulated is {}, which the profile is of",
                     fmt::join(names, ", "), site.device_name);
}

/// How full a device may be says how many there are, so it goes with no number of them.
Result<void> check_eta_of(const Options& options) {
  if (!options.eta) return {};
  if (options.devices > 0)
    return fail(ErrorCode::kInvalidArgument,
                "--eta is for the count of devices, which --devices gives: leave out one of them");
  return check_eta(*options.eta);
}

Result<SimulateReport> simulate_all(const Options& options, std::ostream& err) {
  const Result<std::vector<Scenario>> scenarios = scenarios_of(options.scenario);
  if (!scenarios) return fail(scenarios.error());
  const Result<Duration> length = length_of(options.length);
  if (!length) return fail(length.error());
  if (const Result<void> eta = check_eta_of(options); !eta) return fail(eta.error());
  Result<Workload> workload = load_workload(options.workload);
  if (!workload) return fail(workload.error());
  SimulateReport report{.workload = workload->name, .seed = options.seed, .length = *length};
  for (const std::string& path : options.profiles) {
    Result<DeviceProfile> profile = read_profile(path);
    if (!profile) return fail(profile.error());
    report.profiles.push_back(*std::move(profile));
  }
  if (!options.trace.empty()) {
    Result<RecordedScenes> recorded = read_scenes(options.trace);
    if (!recorded) return fail(recorded.error());
    report.trace = *std::move(recorded);
    if (const std::string& difference = report.trace->difference; !difference.empty()) {
      err << fmt::format(
          "framemill simulate: warning: {}; this framemill decides otherwise than "
          "the recorded run from there on\n",
          difference);
    }
  }
  SiteOptions site_options{.eta = options.eta, .length = *length, .seed = options.seed};
  if (options.devices > 0) site_options.devices = options.devices;
  if (report.trace) site_options.trace = report.trace->scenes;
  const Result<SimulatedSite> site = make_site(*workload, report.profiles, site_options);
  if (!site) return fail(site.error());
  if (const std::string warning = other_devices(*workload, *site); !warning.empty()) {
    err << fmt::format("framemill simulate: warning: {}\n", warning);
  }
  if (const std::string warning = decoding_shortage(*site); !warning.empty()) {
    err << fmt::format("framemill simulate: warning: {}\n", warning);
  }
  report.device_name = site->device_name;
  report.devices = site->devices.size();
  report.devices_reason = site->devices_reason;
  report.eta = site->eta;
  report.layouts = site->layouts;
  report.decoding = site->decoding;
  report.demand_per_s = site->demand_per_s;
  report.capacity_per_s = site->capacity_per_s;
  const auto began_at = std::chrono::steady_clock::now();
  std::int64_t events = 0;
  for (const Scenario scenario : *scenarios) {
    report.results.push_back(simulate(*site, scenario));
    events += report.results.back().total.events;
  }
  const double seconds = to_seconds(std::chrono::steady_clock::now() - began_at);
  err << fmt::format("simulated {:.2f} million events in {:.1f} s, {:.2f} million a second\n",
                     static_cast<double>(events) / 1e6, seconds,
                     static_cast<double>(events) / 1e6 / std::max(seconds, 1e-9));
  if (options.has_bars) report.bars = measure_bars(*site, kBarsLength);
  return report;
}

}  // namespace

int simulate_command(const std::vector<std::string>& arguments, std::ostream& out,
                     std::ostream& err) {
  Options options;
  CLI::App app(
      "Runs a workload on measured devices in simulated time, with the engine's own policy.");
  app.name("framemill simulate");
  app.footer(
      "Exit status: 0 done, 2 wrong usage, workload or profile. docs/simulate.md says how to read "
      "the "
      "figures.");
  app.add_option("WORKLOAD", options.workload, "Camera groups, as for plan.")
      ->required()
      ->option_text("YAML");
  app.add_option("--profile", options.profiles, "What bench measured; one a model.")
      ->required()
      ->option_text("JSON...");
  app.add_option("--trace", options.trace,
                 "Cameras move and come as those of a recorded run did (run --trace).")
      ->option_text("PATH");
  app.add_option("--scenario", options.scenario,
                 "all (default), steady, all-active, burst, device-lost, flood, thermal or "
                 "cold-switch.")
      ->option_text("NAME");
  app.add_option("--devices", options.devices,
                 "So many devices, which all run all models; default: those that plan counts, with "
                 "redundancy and N+1, as it lays them out.")
      ->option_text("N")
      ->check(CLI::PositiveNumber);
  app.add_option("--eta", options.eta,
                 "How full plan may make a device, as its own option; `plan.eta` in the file "
                 "counts more (default 0.85).")
      ->option_text("SHARE");
  app.add_option("--for", options.length, "Simulated time of each scenario (default 120s).")
      ->option_text("DURATION");
  app.add_option("--seed", options.seed, "Same seed, same output (default 1).")->option_text("N");
  app.add_flag("--baselines", options.has_bars,
               "Also how EDF, a dynamic batcher and round robin do at twice the capacity.");
  app.add_flag("--json", options.is_json, "As a JSON document.");
  try {
    std::vector<std::string> words = put_yaml_first(arguments);
    std::ranges::reverse(words);
    app.parse(words);
  } catch (const CLI::CallForHelp&) {
    out << app.help();
    return kDone;
  } catch (const CLI::Error& error) {
    err << fmt::format("framemill simulate: {}; see framemill simulate --help\n", error.what());
    return kWrongUsage;
  }
  const Result<SimulateReport> report = simulate_all(options, err);
  if (!report) {
    err << fmt::format("framemill simulate: {}\n", report.error().message());
    return kWrongUsage;
  }
  out << (options.is_json ? simulate_json(*report) : simulate_table(*report));
  return kDone;
}

}  // namespace framemill
