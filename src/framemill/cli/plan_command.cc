#include "framemill/cli/plan_command.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "framemill/base/content_hash.h"
#include "framemill/cli/typed_words.h"
#include "framemill/config/workload.h"
#include "framemill/engine/fingerprint.h"
#include "framemill/plan/capacity.h"
#include "framemill/plan/plan_report.h"
#include "framemill/plan/profile_json.h"

namespace framemill {
namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;

struct PlanOptions {
  std::string workload;
  std::vector<std::string> profiles;
  std::string format = "table";
  std::optional<double> eta;
  bool is_json_wanted = false;
  bool is_catalogue_wanted = false;
};

int say(int status, const std::string& message) {
  fmt::print(stderr, "framemill: {}\n", message);
  return status;
}

void describe(CLI::App& app, PlanOptions& options) {
  app.description(
      "Plans the hardware for a workload: how many devices of which kind, and why.\n\n"
      "  framemill plan site.yaml --profile bench.json\n"
      "  framemill plan site.yaml --profile cpu.json t4.json --format md > hardware.md\n"
      "  framemill plan --catalogue");
  app.footer(
      "Each figure says whether it was measured (`framemill bench`), scaled (+-30 %) or "
      "published.\n"
      "Exit status: 0 a plan, 1 it could not be written, 2 wrong usage or input, or no device can\n"
      "serve the workload. docs/plan.md explains the terms, docs/reference/workload.md the file.");
  app.add_option("workload", options.workload, "The workload file (YAML).")->type_name("FILE");
  app.add_option("--profile", options.profiles, "Profiles that `framemill bench` wrote.")
      ->type_name("FILE...");
  app.add_option("--format", options.format, "table, json, md or csv. Default: table.")
      ->type_name("FORMAT");
  app.add_option("--eta", options.eta,
                 "Share of the knee's throughput at which 99 % keep the SLO, see docs/simulate.md; "
                 "`plan.eta` in the file counts more. Default: 0.85.")
      ->type_name("SHARE");
  app.add_flag("--json", options.is_json_wanted, "The same as --format json.");
  app.add_flag("--catalogue", options.is_catalogue_wanted,
               "Lists the hardware with published figures (--json: all of them, with sources).");
}

int write_out(std::string_view text) {
  const bool is_written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (is_written) return kDone;
  return say(kFailed, fmt::format("standard output: {}", std::strerror(errno)));
}

int make_plan(const PlanOptions& options) {
  Result<Workload> workload = load_workload(options.workload);
  if (!workload) return say(kWrongUsage, workload.error().message());
  PlanRequest request{
      .workload = *std::move(workload), .target = read_machine_fingerprint(), .eta = options.eta};
  for (const std::string& path : options.profiles) {
    Result<DeviceProfile> profile = read_profile(path);
    if (!profile) return say(kWrongUsage, profile.error().message());
    std::string hash = hash_text(profile_to_json(*profile));  // whatever the file's layout
    const auto is_same = [&](const LoadedProfile& one) { return one.hash == hash; };
    if (std::ranges::any_of(request.profiles, is_same)) continue;
    request.profiles.push_back({*std::move(profile), path, std::move(hash)});
  }
  const Result<Plan> plan = plan_capacity(request, built_in_catalogue());
  if (!plan) return say(kWrongUsage, plan.error().message());
  if (options.format == "json") return write_out(format_plan_json(*plan, FRAMEMILL_VERSION));
  if (options.format == "md") return write_out(format_plan_markdown(*plan, FRAMEMILL_VERSION));
  if (options.format == "csv") return write_out(format_plan_csv(*plan));
  return write_out(format_plan_table(*plan));
}

}  // namespace

int plan_command(const std::vector<std::string>& args) {
  PlanOptions options;
  CLI::App app("", "framemill plan");
  describe(app, options);
  try {
    std::vector<std::string> words = put_yaml_first(args);
    std::ranges::reverse(words);
    app.parse(words);
  } catch (const CLI::CallForHelp&) {
    return write_out(app.help());
  } catch (const CLI::ParseError& error) {
    return say(kWrongUsage, fmt::format("plan: {}; see `framemill plan --help`", error.what()));
  }
  if (options.is_json_wanted) options.format = "json";
  if (options.is_catalogue_wanted)
    return write_out(options.is_json_wanted ? std::string(built_in_catalogue_json())
                                            : format_catalogue(built_in_catalogue()));
  constexpr std::array<std::string_view, 4> kFormats{"table", "json", "md", "csv"};
  if (std::ranges::find(kFormats, options.format) == kFormats.end())
    return say(kWrongUsage,
               fmt::format("--format {}: there are table, json, md and csv", options.format));
  if (options.eta)
    if (const Result<void> share = check_eta(*options.eta); !share)
      return say(kWrongUsage, share.error().message());
  if (options.workload.empty())
    return say(kWrongUsage,
               "plan: no workload file is given; see docs/reference/workload.md for its keys, and "
               "`framemill plan --help`");
  return make_plan(options);
}

}  // namespace framemill
