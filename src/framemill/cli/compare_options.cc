#include "framemill/cli/compare_options.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include <fmt/format.h>

#include "framemill/base/url.h"
#include "framemill/cli/run_options.h"
#include "framemill/config/camera_ids.h"
#include "framemill/config/output_clashes.h"
#include "framemill/config/setting_value.h"
#include "framemill/config/validate.h"

namespace framemill {
namespace {

/// Agreement looks down to this score, whatever is published in operation.
constexpr std::string_view kDefaultScore = "0.2";
constexpr std::string_view kDefaultPolicies = "hold,similarity,adaptive";
constexpr std::string_view kDefaultBudgets = "0.5,0.33,0.2,0.1,0.05";
constexpr std::string_view kDefaultSimilarities = "0.8,0.9,0.95,0.98,0.99,0.995,0.999";
constexpr std::string_view kDefaultFidelity = "0.98";

/// Options of `run` which compare sets itself, or which have no meaning without answers written.
constexpr std::array<std::string_view, 12> kSetByCompare = {
    "--policy",  "--budget",  "--similarity", "--audit", "--pace",   "--loop",
    "--results", "--summary", "--snapshot",   "--trace", "--listen", "--log-level"};

Failure wrong(std::string message) { return fail(ErrorCode::kInvalidArgument, std::move(message)); }

/// The own options as texts.
struct OwnTexts {
  std::optional<std::string> policies, budgets, similarities, score, out, fidelity, seed;
  bool is_json_wanted = false;
};

RunLikeCommand describe_command(OwnTexts& own) {
  RunLikeCommand command;
  command.name = "compare";
  command.description =
      "Runs several policies on the same clips and holds each against full inference.\n\n"
      "  framemill compare --source gate.mp4 --source dock.mp4 --model yolo11n.onnx --out report\n"
      "  framemill compare site.yaml --policies hold,adaptive --budgets 0.2,0.1\n\n"
      "With a configuration, classes, masks, models and priorities count as in operation.\n";
  command.footer =
      "Table and JSON go to standard output, progress to standard error. SIGINT or SIGTERM stops\n"
      "without a result and exits 1; a second one ends at once.\n"
      "Exit status: 0 done, 1 a clip or the work failed, 2 wrong usage or configuration.\n"
      "docs/compare.md says how to read the figures.";
  command.own_group = "What to compare";
  command.own = {
      {.name = "--policies",
       .type = "LIST",
       .help = fmt::format("Of hold, similarity, adaptive. Ratios are to hold. Default: {}.",
                           kDefaultPolicies),
       .value = &own.policies},
      {.name = "--budgets",
       .type = "LIST",
       .help = fmt::format("Shares of the sampled frames, or inferences a second like 30/s, for "
                           "hold and adaptive. Default: {}.",
                           kDefaultBudgets),
       .value = &own.budgets},
      {.name = "--similarities",
       .type = "LIST",
       .help = fmt::format("Thresholds for similarity: pictures at least so alike are one. "
                           "Default: {}.",
                           kDefaultSimilarities),
       .value = &own.similarities},
      {.name = "--score",
       .type = "S",
       .help =
           fmt::format("Detections from this score on are compared. Default: {}.", kDefaultScore),
       .value = &own.score},
      {.name = "--fidelity",
       .type = "F",
       .help = fmt::format(
           "Recall and sure precision that the headline asks for. Default: engine.fidelity, "
           "else {}.",
           kDefaultFidelity),
       .value = &own.fidelity},
      {.name = "--seed",
       .type = "N",
       .help = "Of the confidence intervals. Default: 1.",
       .value = &own.seed},
      {.name = "--out",
       .type = "DIR",
       .help = "Writes compare.html and compare.json there; made where it is missing.",
       .value = &own.out},
      {.name = "--json",
       .help = "Prints the JSON document in place of the table.",
       .flag = &own.is_json_wanted}};
  command.left_out.assign(kSetByCompare.begin(), kSetByCompare.end());
  command.left_out.emplace_back("--score");
  command.left_out.emplace_back("--fidelity");
  return command;
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    parts.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

Failure repeated(std::string_view option, const std::string& text) {
  return wrong(fmt::format("{}: {} stands twice; keep one", option, quote(text)));
}

Result<std::vector<InferenceBudget>> parse_budgets(std::string_view list) {
  std::vector<InferenceBudget> budgets;
  for (const std::string& text : split_list(list)) {
    const Result<InferenceBudget> budget = parse_budget(text);
    if (!budget) return fail(budget.error().at("--budgets"));
    if (std::ranges::find(budgets, *budget) != budgets.end()) return repeated("--budgets", text);
    budgets.push_back(*budget);
  }
  return budgets;
}

Result<std::vector<double>> parse_similarities(std::string_view list) {
  std::vector<double> values;
  for (const std::string& text : split_list(list)) {
    const std::optional<double> value = parse_number(text);
    if (!value || *value <= 0 || *value > 1) {
      return wrong(
          fmt::format("--similarities: {} is not a threshold; write numbers above 0 and up to 1, "
                      "like 0.9,0.95",
                      quote(text)));
    }
    if (std::ranges::find(values, *value) != values.end()) return repeated("--similarities", text);
    values.push_back(*value);
  }
  return values;
}

Result<std::vector<PolicyKind>> parse_policies(std::string_view list) {
  std::vector<PolicyKind> policies;
  for (const std::string& text : split_list(list)) {
    constexpr std::array kSaving{PolicyKind::kHold, PolicyKind::kSimilarity, PolicyKind::kAdaptive};
    const auto* const policy =
        std::ranges::find(kSaving, text, [](PolicyKind kind) { return to_string(kind); });
    if (policy == kSaving.end()) {
      return wrong(
          fmt::format("--policies: {} is not a policy that saves inference; write some of hold, "
                      "similarity, adaptive (full is what they are compared with)",
                      quote(text)));
    }
    if (std::ranges::find(policies, *policy) != policies.end()) return repeated("--policies", text);
    policies.push_back(*policy);
  }
  return policies;
}

Result<std::vector<PolicyVariant>> make_variants(const OwnTexts& own) {
  const auto policies = parse_policies(own.policies.value_or(std::string(kDefaultPolicies)));
  if (!policies) return fail(policies.error());
  const auto budgets = parse_budgets(own.budgets.value_or(std::string(kDefaultBudgets)));
  if (!budgets) return fail(budgets.error());
  const auto similarities =
      parse_similarities(own.similarities.value_or(std::string(kDefaultSimilarities)));
  if (!similarities) return fail(similarities.error());
  std::vector<PolicyVariant> variants;
  for (const PolicyKind policy : *policies) {
    if (policy == PolicyKind::kSimilarity) {
      for (const double value : *similarities) {
        variants.push_back(
            {.policy = policy, .similarity = value, .label = fmt::format("threshold {}", value)});
      }
      continue;
    }
    for (const InferenceBudget& budget : *budgets) {
      variants.push_back({.policy = policy,
                          .budget = budget,
                          .label = budget.share ? fmt::format("budget {}", *budget.share)
                                                : fmt::format("budget {}/s", *budget.per_second)});
    }
  }
  return variants;
}

/// A number for an option, or the default.
Result<double> number_of(std::string_view option, const std::optional<std::string>& text,
                         std::string_view fallback, double least, double most) {
  const std::string shown = text.value_or(std::string(fallback));
  const std::optional<double> number = parse_number(shown);
  if (!number || *number < least || *number > most) {
    return wrong(
        fmt::format("{}: {} is not a number from {:g} to {:g}", option, quote(shown), least, most));
  }
  return *number;
}

/// `args` as one line that a shell would take again, credentials aside.
std::string join_command(const std::vector<std::string>& args) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,:=+@%";
  std::string line = "framemill compare";
  for (const std::string& arg : args) {
    const std::string shown = redact(arg);
    if (!shown.empty() && shown.find_first_not_of(kPlain) == std::string::npos) {
      line += " " + shown;
      continue;
    }
    line += " '";
    for (const char c : shown) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += "'";
  }
  return line;
}

Result<void> check_clips(const std::vector<CameraSettings>& cameras) {
  std::vector<std::string> lines;
  for (const CameraSettings& camera : cameras) {
    if (!is_file_path(camera.url)) {
      lines.push_back(
          fmt::format("camera {}: {} is not a file; every policy has to see the same frames, so "
                      "record some minutes and compare on the clip",
                      camera.id, redact(camera.url)));
    } else if (camera.is_looped) {
      lines.push_back(
          fmt::format("camera {}: a clip is compared once, from start to end; take `loop: true` "
                      "out of the configuration",
                      camera.id));
    }
  }
  if (lines.empty()) return {};
  return fail(list_problems(lines, ErrorCode::kInvalidArgument));
}

Result<void> check_variants(const CompareRequest& request) {
  for (const PolicyVariant& variant : request.variants) {
    const std::vector<SettingProblem> problems = find_problems(settings_for(request, variant));
    if (!problems.empty()) {
      return wrong(fmt::format("{} {}: {}: {}", to_string(variant.policy), variant.label,
                               describe_place(problems.front().place, request.settings),
                               problems.front().message));
    }
  }
  return {};
}

Result<void> check_report(const CompareRequest& request, const std::string& config_path) {
  if (request.out_dir.empty()) return {};
  PlaceNames names;
  if (config_path.empty())
    names = [&request](const SettingPlace& place) { return option_of(place, request.settings); };
  FileClashes files;
  add_inputs(files, request.settings, config_path, names);
  for (const char* const name : {kComparePageName, kCompareDocumentName}) {
    const std::string path = (std::filesystem::path(request.out_dir) / name).string();
    const std::string problem =
        files.add_output("--out", path, FileClashes::Twice::kTaken, FileClashes::kOtherFolder);
    if (!problem.empty()) return wrong(fmt::format("--out: {}", problem));
  }
  return {};
}

}  // namespace

RunSettings settings_for(const CompareRequest& request, const PolicyVariant& variant) {
  RunSettings settings = request.settings;
  settings.engine.policy = variant.policy;
  settings.engine.budget = variant.budget;
  if (variant.similarity) settings.engine.similarity = *variant.similarity;
  return settings;
}

RunSettings settings_for_full(const CompareRequest& request) {
  return settings_for(request, {.policy = PolicyKind::kFull});
}

Result<CompareRequest> parse_compare_options(const std::vector<std::string>& args) {
  for (const std::string& arg : args) {
    const std::string name = arg.substr(0, arg.find('='));
    if (std::ranges::find(kSetByCompare, name) != kSetByCompare.end())
      return wrong(
          fmt::format("{} is not an option of compare, which sets it itself or has no "
                      "use for it; leave it out (see framemill compare --help)",
                      name));
  }
  OwnTexts own;
  Result<RunOptions> run = parse_run_like_options(args, describe_command(own));
  if (!run) return fail(run.error());
  CompareRequest request;
  request.is_help_wanted = run->is_help_wanted;
  if (request.is_help_wanted) return request;
  request.command = join_command(args);
  request.settings = std::move(run->settings);
  RunSettings& settings = request.settings;
  if (Result<void> checked = check_clips(settings.cameras); !checked) return fail(checked.error());
  settings.output = {};
  settings.sinks.clear();
  settings.alarms.rules.clear();
  for (CameraSettings& camera : settings.cameras) camera.rules.clear();
  settings.server.listen = "off";
  settings.engine.pace = Pace::kFast;
  settings.engine.audit = 0;
  // Every variant has a budget of its own; a target that shifts it would spoil the curve.
  const std::string configured_fidelity = settings.engine.fidelity
                                              ? fmt::format("{}", *settings.engine.fidelity)
                                              : std::string(kDefaultFidelity);
  settings.engine.fidelity.reset();
  for (ModelSettings& model : settings.models) model.ladder.clear();
  for (CameraSettings& camera : settings.cameras) {
    if (camera.policy != PolicyKind::kFull) camera.policy.reset();
    camera.score.reset();
  }
  const Result<double> score = number_of("--score", own.score, kDefaultScore, 0, 1);
  if (!score) return fail(score.error());
  for (ModelSettings& model : settings.models) model.score = *score;
  Result<std::vector<PolicyVariant>> variants = make_variants(own);
  if (!variants) return fail(variants.error());
  request.variants = std::move(*variants);
  if (Result<void> checked = check_variants(request); !checked) return fail(checked.error());
  const Result<double> fidelity = number_of("--fidelity", own.fidelity, configured_fidelity, 0, 1);
  if (!fidelity) return fail(fidelity.error());
  request.fidelity = *fidelity;
  const Result<double> seed = number_of("--seed", own.seed, "1", 0, 4294967295);
  if (!seed) return fail(seed.error());
  request.seed = static_cast<std::uint64_t>(*seed);
  if (static_cast<double>(request.seed) != *seed) {
    return wrong(fmt::format("--seed: {} is not a whole number", quote(*own.seed)));
  }
  if (own.out && own.out->empty()) return wrong("--out: names no folder; write one like report");
  request.out_dir = own.out.value_or("");
  if (Result<void> checked = check_report(request, run->config_path); !checked)
    return fail(checked.error());
  request.is_json_wanted = own.is_json_wanted;
  if (run->config_path.empty()) request.source_option = "--source";
  return request;
}

std::string compare_help() {
  OwnTexts own;
  return run_like_help(describe_command(own));
}

}  // namespace framemill
