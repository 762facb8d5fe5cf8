#include "framemill/cli/run_options.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "framemill/base/url.h"
#include "framemill/cli/misplaced_keys.h"
#include "framemill/config/camera_ids.h"
#include "framemill/config/duration.h"
#include "framemill/config/load_settings.h"
#include "framemill/config/nearest_word.h"
#include "framemill/config/setting_value.h"
#include "framemill/config/validate.h"

namespace framemill {
namespace {

constexpr std::size_t kNameColumn = 32;  // of --help: where the explanations start
constexpr std::string_view kLogLevels = "trace|debug|info|warning|error|off";
constexpr std::array<std::string_view, 3> kSourceKeys = {"every", "rate", "id"};
constexpr std::array<std::string_view, 1> kSnapshotKeys = {"every"};

Failure wrong(std::string message) { return fail(ErrorCode::kInvalidArgument, std::move(message)); }

/// The options as texts; what they mean is settled by the tables of settings.
struct RawOptions {
  std::string config;
  std::vector<std::string> sources;
  std::optional<std::string> model, labels, score, nms_iou, runtime, device, precision;
  std::optional<std::string> policy, budget, fidelity, motion, similarity, audit, batch, rate,
      every, slo;
  std::optional<std::string> pace, run_for, max_frames, max_answers, answer_delay, tick;
  std::optional<std::string> streams, threads;
  std::optional<std::string> results, summary, snapshot, trace, listen, log_level;
  bool is_looped = false;
};

template <typename Settings>
std::string help_of(std::string_view key) {
  const Setting<Settings>* const row = find_setting<Settings>(key);
  CHECK(row != nullptr);
  const std::string text(row->help);
  const std::string fallback = describe_default(*row);
  const bool has_default = !fallback.empty() && fallback != "required";
  return has_default ? fmt::format("{} Default: {}.", text, fallback) : text;
}

/// `text` in lines that fit beside the options' names.
std::string wrap(std::string_view text) {
  constexpr std::size_t kWidth = 100 - kNameColumn;
  std::string result;
  while (text.size() > kWidth) {
    const std::size_t space = text.rfind(' ', kWidth);
    if (space == std::string_view::npos) break;
    result += text.substr(0, space);
    result += '\n';
    text.remove_prefix(space + 1);
  }
  return result += text;
}

const RunLikeCommand& run_itself() {
  static const RunLikeCommand command{
      .name = "run",
      .description =
          "Answers every sampled frame of every camera by its deadline.\n\n"
          "  framemill run site.yaml\n"
          "  framemill run --source clip.mp4,every=3 --model yolo11n.onnx --results "
          "answers.jsonl\n\n"
          "Options override the configuration.\n",
      .footer =
          "SIGINT or SIGTERM drains, writes the summary and exits 0; a second one ends at once.\n"
          "Exit status: 0 done, 1 the work failed, 2 wrong usage or configuration.\n"
          "`framemill config explain` lists what a configuration may hold."};
  return command;
}

void declare(CLI::App& app, RawOptions& raw, const RunLikeCommand& command) {
  app.name(fmt::format("framemill {}", command.name));
  app.description(std::string(command.description));
  app.footer(std::string(command.footer));
  app.allow_extras();
  app.set_help_flag("-h,--help", "Print this and exit.");
  app.get_formatter()->column_width(kNameColumn);
  app.get_formatter()->label("REQUIRED", "");

  const auto add_own = [&app](const std::string& group, const std::string& name,
                              const std::string& type, auto& variable, const std::string& help) {
    app.add_option(name, variable, wrap(help))->option_text(type)->group(group);
  };
  const auto is_left_out = [&command](std::string_view name) {
    return std::ranges::find(command.left_out, name) != command.left_out.end();
  };
  const auto add = [&](const char* group, const char* name, const char* type, auto& variable,
                       const std::string& help) {
    if (!is_left_out(name)) add_own(group, name, type, variable, help);
  };
  add("Positionals", "CONFIG", "YAML", raw.config,
      fmt::format("The configuration to {}.", command.name));

  const std::string own_group(command.own_group);
  for (const OwnOption& own : command.own) {
    if (own.flag != nullptr)
      app.add_flag(own.name, *own.flag, wrap(own.help))->group(own_group);
    else
      add_own(own_group, own.name, own.type, *own.value, own.help);
  }

  const char* group = "What to look at";
  add(group, "--source", "CLIP|URL[,every=N]...", raw.sources,
      "In place of a configuration; repeatable. every=N, rate=HZ and id=NAME may follow.");
  app.get_option("--source")->allow_extra_args(false);
  add(group, "--rate", "HZ", raw.rate, help_of<CameraSettings>("rate"));
  add(group, "--every", "N", raw.every, "Each Nth frame from the first on, in place of --rate.");
  if (!is_left_out("--loop"))
    app.add_flag("--loop", raw.is_looped, "Files start again at the end.")->group(group);
  add(group, "--pace", "live|fast", raw.pace,
      "Files at their own speed, or as fast as they can be processed. Default: fast where every "
      "source is a file without loop, else live.");

  group = "How to answer";
  add(group, "--model", "FILE", raw.model, help_of<ModelSettings>("path"));
  add(group, "--runtime", "auto|openvino|onnxruntime", raw.runtime,
      help_of<ModelSettings>("runtime"));
  add(group, "--device", "D", raw.device, help_of<ModelSettings>("device"));
  add(group, "--precision", "auto|fp32|fp16|bf16", raw.precision,
      help_of<ModelSettings>("precision"));
  add(group, "--labels", "coco|FILE", raw.labels, help_of<ModelSettings>("labels"));
  add(group, "--score", "S", raw.score, help_of<ModelSettings>("score"));
  add(group, "--nms-iou", "T", raw.nms_iou, help_of<ModelSettings>("nms_iou"));
  add(group, "--policy", "NAME", raw.policy, help_of<EngineSettings>("policy"));
  add(group, "--budget", "SHARE|N/s", raw.budget, help_of<EngineSettings>("budget"));
  add(group, "--fidelity", "F", raw.fidelity, help_of<EngineSettings>("fidelity"));
  add(group, "--motion", "auto|vectors|flow", raw.motion, help_of<EngineSettings>("motion"));
  add(group, "--similarity", "S", raw.similarity, help_of<EngineSettings>("similarity"));
  add(group, "--audit", "SHARE", raw.audit, help_of<EngineSettings>("audit"));
  add(group, "--batch", "RULE|N", raw.batch, help_of<EngineSettings>("batch"));
  add(group, "--slo", "DURATION", raw.slo, help_of<CameraSettings>("slo"));
  add(group, "--answer-delay", "DURATION", raw.answer_delay,
      help_of<EngineSettings>("answer_delay"));
  add(group, "--tick", "DURATION", raw.tick, help_of<EngineSettings>("tick"));
  add(group, "--streams", "N", raw.streams, help_of<EngineSettings>("streams"));
  add(group, "--threads", "N", raw.threads, help_of<EngineSettings>("threads"));

  group = "When to stop";
  add(group, "--for", "DURATION", raw.run_for, help_of<EngineSettings>("for"));
  add(group, "--max-frames", "N", raw.max_frames, help_of<EngineSettings>("max_frames"));
  add(group, "--max-answers", "N", raw.max_answers, help_of<EngineSettings>("max_answers"));

  group = "What to write";
  add(group, "--results", "PATH|-", raw.results, "JSON lines, one per sampled frame.");
  add(group, "--summary", "PATH|-", raw.summary, "One JSON object at the end: counts and figures.");
  add(group, "--snapshot", "DIR[,every=5s]", raw.snapshot, "Annotated pictures.");
  add(group, "--trace", "PATH", raw.trace,
      "Motion, need and timing of each frame for simulate; at pace live.");
  add(group, "--listen", "HOST:PORT|off", raw.listen, help_of<ServerSettings>("listen"));
  add(group, "--log-level", "LEVEL", raw.log_level,
      "trace, debug, info, warning, error or off. Default: info.");
}

/// A file's name ends at the comma, and there is none that goes on behind it.
bool is_file_before(std::string_view text, std::size_t comma) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(text.substr(0, comma), ignored) &&
         !std::filesystem::exists(text, ignored);
}

/// `text` without the known ",key=value" at its end, and these.
struct SplitOption {
  std::string text;
  std::vector<std::pair<std::string, std::string>> values;
};
Result<SplitOption> split_option(std::string_view text, std::span<const std::string_view> keys) {
  SplitOption split;
  while (true) {
    const std::size_t comma = text.rfind(',');
    if (comma == std::string_view::npos) break;
    const std::string_view tail = text.substr(comma + 1);
    const std::size_t equals = tail.find('=');
    if (equals == std::string_view::npos) break;
    const std::string_view key = tail.substr(0, equals);
    if (std::ranges::find(keys, key) == keys.end()) {
      // The query of a URL may hold "a=1,b=2"; elsewhere it is more likely a slip.
      const std::string_view meant = nearest_word(key, keys);
      if (meant.empty() && is_file_before(text, comma))
        return wrong(fmt::format("unknown key {}; behind a file stand {}", quote(key),
                                 fmt::join(keys, ", ")));
      if (meant.empty() || text.find('?') != std::string_view::npos) break;
      return wrong(fmt::format(
          R"(unknown key {}; did you mean "{}"?{})", quote(key), meant,
          url_scheme(text).empty() ? "" : " A configuration's `url` takes it as part of the URL"));
    }
    if (std::ranges::find(split.values, key, &std::pair<std::string, std::string>::first) !=
        split.values.end())
      return wrong(fmt::format("{} stands twice; keep one", key));
    split.values.emplace_back(key, tail.substr(equals + 1));
    text = text.substr(0, comma);
  }
  split.text = text;
  std::ranges::reverse(split.values);
  return split;
}

/// Applies the options to settings and gathers what is wrong with them.
class OptionReader {
 public:
  /// `names`: the options that the command has.
  OptionReader(const RawOptions& raw, std::span<const std::string_view> names)
      : raw_(raw), names_(names) {}

  Result<void> apply(RunSettings& settings) {
    apply_models(settings);
    apply_cameras(settings);
    EngineSettings& engine = settings.engine;
    set("--policy", "policy", engine, raw_.policy);
    if (raw_.policy)
      for (CameraSettings& camera : settings.cameras) camera.policy.reset();
    set("--budget", "budget", engine, raw_.budget);
    set("--fidelity", "fidelity", engine, raw_.fidelity);
    set("--motion", "motion", engine, raw_.motion);
    if (raw_.motion)
      for (CameraSettings& camera : settings.cameras) camera.motion.reset();
    set("--similarity", "similarity", engine, raw_.similarity);
    set("--audit", "audit", engine, raw_.audit);
    set("--batch", "batch", engine, raw_.batch);
    set("--pace", "pace", engine, raw_.pace);
    set("--answer-delay", "answer_delay", engine, raw_.answer_delay);
    set("--tick", "tick", engine, raw_.tick);
    set("--for", "for", engine, raw_.run_for);
    set("--max-frames", "max_frames", engine, raw_.max_frames);
    set("--max-answers", "max_answers", engine, raw_.max_answers);
    set("--streams", "streams", engine, raw_.streams);
    set("--threads", "threads", engine, raw_.threads);
    set("--listen", "listen", settings.server, raw_.listen);
    settings.server.is_listen_given |= raw_.listen.has_value();
    apply_outputs(settings.output);
    if (problems_.empty()) return {};
    return fail(list_problems(
        problems_, are_all_unsupported_ ? ErrorCode::kUnsupported : ErrorCode::kInvalidArgument));
  }

 private:
  void note(std::string_view option, const Result<void>& result) {
    if (result) return;
    problems_.push_back(fmt::format("{}: {}", option, result.error().message()));
    if (result.error().code() != ErrorCode::kUnsupported) are_all_unsupported_ = false;
  }
  template <typename Settings>
  void set(std::string_view option, std::string_view key, Settings& settings,
           const std::optional<std::string>& text) {
    if (text) note(option, set_by_key(key, settings, *text));
  }

  void apply_models(RunSettings& settings) {
    if (raw_.model) {
      if (settings.models.size() > 1) {
        note("--model", wrong(fmt::format("the configuration has {} models; change it there",
                                          settings.models.size())));
      } else {
        if (settings.models.empty()) settings.models.emplace_back().name = "objects";
        set("--model", "path", settings.models.front(), raw_.model);
        note("--model", check_model_path(*raw_.model));
      }
    } else if (settings.models.empty() && raw_.config.empty()) {
      note("--model", wrong("is missing; name the model's .onnx or .xml file"));
    }
    ModelSettings common;
    set("--labels", "labels", common, raw_.labels);
    set("--score", "score", common, raw_.score);
    set("--nms-iou", "nms_iou", common, raw_.nms_iou);
    set("--runtime", "runtime", common, raw_.runtime);
    set("--device", "device", common, raw_.device);
    set("--precision", "precision", common, raw_.precision);
    for (ModelSettings& model : settings.models) {
      if (raw_.labels) {
        model.labels = common.labels;
        model.label_list.clear();
      }
      if (raw_.score) model.score = common.score;
      if (raw_.nms_iou) model.nms_iou = common.nms_iou;
      if (raw_.runtime) model.runtime = common.runtime;
      if (raw_.device) {
        model.device = common.device;
        model.device_list.clear();
      }
      if (raw_.precision) model.precision = common.precision;
    }
    if (raw_.score)
      for (CameraSettings& camera : settings.cameras) camera.score.reset();
  }

  void apply_cameras(RunSettings& settings) {
    CameraSettings common;
    set("--rate", "rate", common, raw_.rate);
    set("--every", "every", common, raw_.every);
    set("--slo", "slo", common, raw_.slo);
    if (raw_.rate && raw_.every)
      note("--rate", wrong("--rate and --every exclude each other; keep one"));
    for (CameraSettings& camera : settings.cameras) override_camera(camera, common);

    for (const std::string& source : raw_.sources) {
      if (const auto misplaced = find_misplaced_keys(source, kSourceKeys)) {
        note("--source " + misplaced->source, wrong(explain(*misplaced, kSourceKeys, names_)));
        continue;
      }
      // What stands with a source counts more than what is said for all.
      Result<CameraSettings> camera = parse_source_option(source, common);
      if (camera)
        settings.cameras.push_back(*std::move(camera));
      else
        note(fmt::format("--source {}", redact(source)), fail(camera.error()));
    }
    // Those of a configuration have theirs, or are told that they need one.
    if (raw_.config.empty()) assign_camera_ids(settings.cameras);
    if (!raw_.is_looped) return;
    bool has_file = false;
    for (CameraSettings& camera : settings.cameras) {
      camera.is_looped = camera.is_looped || is_file_path(camera.url);
      has_file = has_file || is_file_path(camera.url);
    }
    if (!has_file && !settings.cameras.empty())
      note("--loop", wrong("is for files; none of the sources is one"));
  }

  void override_camera(CameraSettings& camera, const CameraSettings& common) const {
    if (raw_.rate) {
      camera.rate_hz = common.rate_hz;
      camera.every = 0;
    }
    if (raw_.every) camera.every = common.every;
    if (raw_.slo) camera.slo = common.slo;
  }

  void apply_outputs(OutputSettings& output) {
    const auto take = [this](std::string_view option, const std::optional<std::string>& text,
                             std::string& field) {
      if (!text) return;
      if (text->empty())
        note(option, wrong("names no file; write a path, or - for standard output"));
      field = *text;
    };
    take("--results", raw_.results, output.results);
    take("--summary", raw_.summary, output.summary);
    if (raw_.trace) {
      if (raw_.trace->empty() || *raw_.trace == "-")
        note("--trace", wrong("names no file; write a path like trace.jsonl"));
      output.trace = *raw_.trace;
    }
    if (raw_.snapshot) note("--snapshot", apply_snapshot(*raw_.snapshot, output));
  }

  static Result<void> apply_snapshot(const std::string& text, OutputSettings& output) {
    const Result<SplitOption> split = split_option(text, kSnapshotKeys);
    if (!split) return fail(split.error());
    if (split->text.empty()) return wrong("names no folder; write one like snapshots,every=5s");
    output.snapshot_dir = split->text;
    for (const auto& [key, value] : split->values) {
      const Result<Duration> every = parse_duration(value);
      if (!every) return fail(every.error().at(key));
      if (*every <= Duration(0)) return wrong("every: must be longer than 0s");
      output.snapshot_every = *every;
    }
    return {};
  }

  const RawOptions& raw_;
  const std::span<const std::string_view> names_;
  std::vector<std::string> problems_;
  bool are_all_unsupported_ = true;
};

std::vector<std::string> names_of_options(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    if (!option->get_lnames().empty()) names.push_back("--" + option->get_lnames().front());
  return names;
}

/// Arguments that belong to no option: misspelt ones get a suggestion.
Result<void> check_extras(const CLI::App& app, std::span<const std::string_view> known,
                          std::string_view command) {
  std::vector<std::string> lines;
  for (const std::string& extra : app.remaining()) {
    if (extra.starts_with('-')) {
      const std::string option = extra.substr(0, extra.find('='));
      const std::string meant = did_you_mean(option, known);
      lines.push_back(
          fmt::format("unknown option {};{}", quote(option),
                      meant.empty() ? fmt::format(" see framemill {} --help", command) : meant));
    } else {
      lines.push_back(
          fmt::format("{} belongs to no option; {} takes one configuration, and each clip needs "
                      "its own --source",
                      quote(extra), command));
    }
  }
  if (lines.empty()) return {};
  return fail(list_problems(lines, ErrorCode::kInvalidArgument));
}

/// A sentence of CLI11 that may quote arguments, without credentials.
std::string redact_words(std::string_view sentence) {
  std::string result;
  while (!sentence.empty()) {
    const std::size_t end = std::min(sentence.find(' '), sentence.size() - 1) + 1;
    const std::string_view word = sentence.substr(0, end);
    result += word.find("://") == std::string_view::npos ? word : "(a URL) ";
    sentence.remove_prefix(end);
  }
  return result;
}

/// `text`: of the configuration where there is one; read from its file where it is not given.
Result<RunSettings> settle(const RawOptions& raw, std::span<const std::string_view> names,
                           std::optional<std::string>& text) {
  if (raw.config.empty() && raw.sources.empty())
    return wrong("nothing to run; name a configuration, or a --source with its --model");
  if (!raw.config.empty() && !raw.sources.empty())
    return wrong(
        fmt::format("{} and --source exclude each other; add the source to the configuration",
                    quote(raw.config)));
  OptionReader reader(raw, names);
  if (!raw.config.empty()) {
    if (!text) {
      Result<std::string> found = read_configuration(raw.config);
      if (!found) return fail(found.error());
      text = *std::move(found);
    }
    return parse_settings(*text, raw.config, process_environment,
                          [&reader](RunSettings& settings) { return reader.apply(settings); });
  }
  RunSettings settings;
  if (Result<void> applied = reader.apply(settings); !applied) return fail(applied.error());
  std::vector<std::string> lines;
  const auto name_of = [&settings](const SettingPlace& place) {
    return option_of(place, settings);
  };
  for (const SettingProblem& problem : find_problems(settings, {}, name_of))
    lines.push_back(name_of(problem.place) + ": " + problem.message);
  if (!lines.empty()) return fail(list_problems(lines, ErrorCode::kInvalidArgument));
  return settings;
}

}  // namespace

std::string option_of(const SettingPlace& place, const RunSettings& settings) {
  const std::string& key = place.key;
  if (place.section == "cameras" && (key == "url" || key == "id" || key.empty()))
    return place.index < settings.cameras.size()
               ? fmt::format("--source {}", redact(settings.cameras[place.index].url))
               : "--source";
  if (place.section == "models" && (key == "path" || key.empty())) return "--model";
  std::string option = "--" + key;
  std::ranges::replace(option, '_', '-');
  return option;
}

Result<CameraSettings> parse_source_option(const std::string& text, const CameraSettings& common) {
  const Result<SplitOption> split = split_option(text, kSourceKeys);
  if (!split) return fail(split.error());
  CameraSettings camera = common;
  if (Result<void> set = set_by_key("url", camera, split->text); !set) return fail(set.error());
  if (Result<void> checked = check_source_url(camera.url); !checked) return fail(checked.error());
  bool has_rate = false, has_every = false;
  for (const auto& [key, value] : split->values) {
    if (Result<void> set = set_by_key(key, camera, value); !set) return fail(set.error().at(key));
    has_rate = has_rate || key == "rate";
    has_every = has_every || key == "every";
  }
  if (has_rate && has_every) return wrong("rate and every exclude each other; keep one");
  if (has_rate) camera.every = 0;
  return camera;
}

Result<RunOptions> parse_run_like_options(const std::vector<std::string>& arguments,
                                          const RunLikeCommand& command,
                                          const std::optional<std::string>& config_text) {
  RawOptions raw;
  CLI::App app;
  declare(app, raw, command);
  RunOptions options;
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    options.is_help_wanted = true;
    return options;
  } catch (const CLI::ArgumentMismatch& mismatch) {
    const std::string_view what(mismatch.what());  // "--rate: At Most 1 required but received 2"
    const bool is_missing = what.ends_with("missing");  // "--source: 1 required TEXT missing"
    return wrong(std::string(what.substr(0, what.find(':'))) +
                 (is_missing ? ": needs a value" : ": stands more than once; keep one"));
  } catch (const CLI::Error& error) {
    return wrong(
        fmt::format("{}; see framemill {} --help", redact_words(error.what()), command.name));
  }
  const std::vector<std::string> names = names_of_options(app);
  const std::vector<std::string_view> known(names.begin(), names.end());
  if (Result<void> checked = check_extras(app, known, command.name); !checked)
    return fail(checked.error());
  if (raw.log_level) {
    const std::vector<std::string_view> levels = split_choices(kLogLevels);
    if (std::ranges::find(levels, *raw.log_level) == levels.end())
      return wrong(fmt::format("--log-level: {} is not one of {}", quote(*raw.log_level),
                               fmt::join(levels, ", ")));
    options.log_level = *raw.log_level;
  }
  std::optional<std::string> text = config_text;
  Result<RunSettings> settings = settle(raw, known, text);
  if (!settings) return fail(settings.error());
  options.settings = *std::move(settings);
  options.config_text = std::move(text).value_or("");
  options.config_path = raw.config;
  return options;
}

std::string run_like_help(const RunLikeCommand& command) {
  RawOptions raw;
  CLI::App app;
  declare(app, raw, command);
  std::string text = app.help();
  for (std::size_t at = 0; (at = text.find("\n\n\n", at)) != std::string::npos;) text.erase(at, 1);
  return text;
}

Result<RunOptions> parse_run_options(const std::vector<std::string>& arguments,
                                     const std::optional<std::string>& config_text) {
  return parse_run_like_options(arguments, run_itself(), config_text);
}

std::string run_help() { return run_like_help(run_itself()); }

}  // namespace framemill
