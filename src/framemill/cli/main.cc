#include "framemill/cli/main.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "framemill/cli/bench_command.h"
#include "framemill/cli/compare_command.h"
#include "framemill/cli/config_command.h"
#include "framemill/cli/doctor_command.h"
#include "framemill/cli/eval_command.h"
#include "framemill/cli/plan_command.h"
#include "framemill/cli/prepare_command.h"
#include "framemill/cli/run_command.h"
#include "framemill/cli/simulate_command.h"
#include "framemill/cli/verify_command.h"
#include "framemill/config/nearest_word.h"

namespace framemill {
namespace {

int config_on_standard_streams(const std::vector<std::string>& args) {
  return run_config_command(args, std::cout, std::cerr);
}

int simulate_on_standard_streams(const std::vector<std::string>& args) {
  return simulate_command(args, std::cout, std::cerr);
}

int verify_on_standard_streams(const std::vector<std::string>& args) {
  return verify_command(args, std::cout, std::cerr);
}

struct Subcommand {
  std::string_view name;
  std::string_view help;
  int (*run)(const std::vector<std::string>& args);
};

constexpr std::array kSubcommands{
    Subcommand{"run", "answer every sampled frame of the cameras", run_command},
    Subcommand{"bench", "measure a model on this machine", bench_command},
    Subcommand{"plan", "the hardware that a workload needs", plan_command},
    Subcommand{"compare", "what saving inference costs, on your own clips", compare_command},
    Subcommand{"eval", "how well a model detects, and whether two detect the same", eval_command},
    Subcommand{"prepare", "from an exported model to a set that can be deployed", prepare_command},
    Subcommand{"simulate", "what a workload meets on measured devices, in simulated time",
               simulate_on_standard_streams},
    Subcommand{"verify", "a workload on this machine, predicted beside measured",
               verify_on_standard_streams},
    Subcommand{"doctor", "what this machine has, what a configuration will meet", doctor_command},
    Subcommand{"config", "check a configuration, explain its settings", config_on_standard_streams},
};

void print_usage(std::FILE* out) {
  fmt::print(out, "framemill {}: many-camera YOLO detection, every frame answered\n\n",
             FRAMEMILL_VERSION);
  fmt::print(out, "usage: framemill COMMAND [OPTIONS]\n\n");
  for (const Subcommand& subcommand : kSubcommands) {
    fmt::print(out, "  {:<8} {}\n", subcommand.name, subcommand.help);
  }
  fmt::print(out,
             "\n`framemill help COMMAND` or `framemill COMMAND --help` lists the options of a "
             "command,\n`framemill --version` or `-V` says which framemill this is.\n");
}

/// Runs the subcommand `name`. 2 where there is none.
int run_subcommand(const std::string& name, const std::vector<std::string>& args) {
  const auto found = std::ranges::find(kSubcommands, name, &Subcommand::name);
  if (found != kSubcommands.end()) return found->run(args);
  std::vector<std::string_view> names;
  for (const Subcommand& subcommand : kSubcommands) names.push_back(subcommand.name);
  const std::string meant = did_you_mean(name, names);
  fmt::print(stderr, "framemill: there is no command \"{}\"{}{}\n\n", name,
             meant.empty() ? "" : ";", meant);
  print_usage(stderr);
  return 2;
}

}  // namespace

int run_command_line(int argc, char** argv) {
  const std::vector<std::string> args(argv + (argc > 0 ? 1 : 0), argv + argc);
  if (args.empty()) {
    print_usage(stderr);
    return 2;
  }
  if (args[0] == "help" && args.size() > 1) {  // of "config check" as well
    std::vector<std::string> rest(args.begin() + 2, args.end());
    rest.emplace_back("--help");
    return run_subcommand(args[1], rest);
  }
  if (args[0] == "--help" || args[0] == "-h" || args[0] == "help") {
    print_usage(stdout);
    return 0;
  }
  if (args[0] == "--version" || args[0] == "-V") {
    fmt::print("framemill {}\n", FRAMEMILL_VERSION);
    return 0;
  }
  return run_subcommand(args[0], {args.begin() + 1, args.end()});
}

}  // namespace framemill
