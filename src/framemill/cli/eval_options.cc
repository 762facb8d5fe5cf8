#include "framemill/cli/eval_options.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "framemill/base/replace_file.h"
#include "framemill/base/word_list.h"
#include "framemill/cli/typed_words.h"
#include "framemill/config/file_clashes.h"
#include "framemill/config/setting_value.h"
#include "framemill/config/validate.h"

namespace framemill {
namespace {

namespace fs = std::filesystem;

Failure wrong(std::string message) { return fail(ErrorCode::kInvalidArgument, std::move(message)); }

/// What is checked and turned into something else after parsing.
struct Texts {
  std::string format = "auto", conditions, classes, other_path, other_head = "auto";
  std::string other_runtime = "auto";
  double score = -1, nms_iou = -1;
  std::size_t pictures = 0, frames = 40;
};

void declare_models(CLI::App& app, EvalRequest& request, Texts& texts) {
  app.add_option("MODEL", request.model.path,
                 ".onnx or .xml; or .json: detections made elsewhere, as a COCO result file")
      ->required()
      ->option_text("");
  app.add_option("--data", request.data.path,
                 "Folder of pictures with YOLO, COCO or VOC labels; its data.yaml or .json; with "
                 "--against also pictures or a clip without labels.")
      ->required()
      ->option_text("DIR");
  app.add_option("--against", texts.other_path,
                 "Holds MODEL against this one, usually what it was made from.")
      ->option_text("MODEL2");
  app.add_option("--labels", request.model.labels,
                 "Class names of the models: coco, or a file with one a line.")
      ->option_text("L");
  app.add_option("--head", request.model.head,
                 "auto, v8, v5, yolox, yolox_decoded or end2end. Default: auto.")
      ->option_text("H");
  app.add_option("--against-head", texts.other_head, "The same for MODEL2.")->option_text("H");
  app.add_option("--runtime", request.model.runtime,
                 "Of MODEL: auto, openvino or onnxruntime. Default: auto.")
      ->option_text("R");
  app.add_option("--against-runtime", texts.other_runtime, "The same for MODEL2.")
      ->option_text("R");
  app.add_option("--device", request.model.device,
                 "auto, or as the runtime names it: CPU, GPU. Default: auto.")
      ->option_text("D");
  app.add_option("--score", texts.score,
                 "Operating score, for recall and precision. Default: the model's own, else .35.")
      ->check(CLI::Range(0.0, 1.0))
      ->option_text("S");
  app.add_option("--nms-iou", texts.nms_iou, "Default: .65, or the model's own.")
      ->check(CLI::Range(0.0, 1.0))
      ->option_text("T");
}

void declare_data(CLI::App& app, EvalRequest& request, Texts& texts) {
  app.add_option("--format", texts.format, "auto, yolo, coco, voc or none. Default: auto.")
      ->option_text("F");
  app.add_option("--split", request.data.split,
                 "Of a data.yaml, folder or VOC's lists: val, test or train. Default: the first "
                 "of these.")
      ->option_text("S");
  app.add_option("--classes", texts.classes, "Only these, as in person,car. Default: all.")
      ->option_text("LIST");
  app.add_option("--pictures", texts.pictures, "At most so many, evenly spread. Default: all.")
      ->check(CLI::Range(1, 10'000'000))
      ->option_text("N");
  app.add_option("--frames", texts.frames, "Of each clip, evenly spread. Default: 40.")
      ->check(CLI::Range(1, 1'000'000))
      ->option_text("N");
}

void declare_test(CLI::App& app, EvalRequest& request, Texts& texts) {
  app.add_option("--conditions", texts.conditions,
                 fmt::format("Of {}. Default: clean; with --against all.",
                             fmt::join(kDegradationNames, ", ")))
      ->option_text("LIST");
  ConsistencyLimits& limits = request.options.limits;
  const auto limit = [&](const char* name, double& value, const char* help) {
    app.add_option(name, value, fmt::format("{} Default: {}.", help, value))
        ->check(CLI::Range(0.0, 1.0))
        ->option_text("X");
  };
  limit("--ap-loss", limits.ap_loss, "AP that MODEL may lose.");
  limit("--small-ap-loss", limits.small_ap_loss, "AP of small objects that it may lose.");
  limit("--agreement", limits.agreement, "Agreement of the detections, at least.");
  limit("--part-agreement", limits.part_agreement,
        "The same within each class and size with 20 sure detections.");
  app.add_option("--sure-least", limits.sure_least,
                 fmt::format("Sure detections that have to be compared, else nothing is shown. "
                             "Default: {}.",
                             limits.sure_least))
      ->check(CLI::Range(1, 1'000'000'000))
      ->option_text("N");
  app.add_option("--resamples", request.options.resamples,
                 "Of the bootstrap, at most. Default: 1000.")
      ->check(CLI::Range(10, 100'000))
      ->option_text("N");
  app.add_option("--seed", request.options.seed,
                 "Of the bootstrap and the degradations. Default: 1.")
      ->option_text("N");
}

void declare_output(CLI::App& app, EvalRequest& request) {
  app.add_option("--out", request.out_dir,
                 fmt::format("Writes {} and {} there.", kEvalPageName, kEvalDocumentName))
      ->option_text("DIR");
  app.add_option("--detections", request.detections_path,
                 "Writes what MODEL finds as a COCO result file.")
      ->option_text("FILE");
  app.add_flag("--json", request.is_json_wanted, "Prints the JSON document in place of the table.");
}

void declare(CLI::App& app, EvalRequest& request, Texts& texts) {
  app.name("framemill eval");
  app.description(
      "Measures a model on labelled pictures: average precision as COCO defines it, by size and\n"
      "class, recall and precision at the operating score, and speed. With --against it says\n"
      "whether two models detect the same, also in the dark, blurred, noisy or compressed.\n\n"
      "  framemill eval yolo11n.onnx --data coco/data.yaml\n"
      "  framemill eval yolo11n_int8.onnx --data coco --against yolo11n.onnx --out report\n"
      "  framemill eval yolo11n_int8.onnx --data gate.mp4 --against yolo11n.onnx\n");
  app.footer(
      "\nTable and JSON go to standard output, progress and notes to standard error. SIGINT or\n"
      "SIGTERM stops without a result and exits 1; a second one ends at once.\n"
      "Exit status: 0 done, and consistent with MODEL2; 1 not consistent, not shown to be so by\n"
      "enough detections, or the work failed; 2 wrong usage, model or labels.\n"
      "docs/eval.md says how to read the figures.");
  declare_models(app, request, texts);
  declare_data(app, request, texts);
  declare_test(app, request, texts);
  declare_output(app, request);
}

Result<std::vector<Degradation>> parse_conditions(const std::string& text, bool has_other) {
  std::vector<Degradation> conditions{Degradation::kNone};
  if (text.empty()) {
    for (std::size_t i = 1; has_other && i < kDegradations; ++i)
      conditions.push_back(static_cast<Degradation>(i));
    return conditions;
  }
  for (const std::string& name : split_words(text)) {
    const auto found = std::ranges::find(kDegradationNames, name);
    if (found == kDegradationNames.end())
      return wrong(fmt::format("--conditions: {} is none of {}", quote(name),
                               fmt::join(kDegradationNames, ", ")));
    const auto each = static_cast<Degradation>(found - kDegradationNames.begin());
    if (std::ranges::find(conditions, each) == conditions.end()) conditions.push_back(each);
  }
  return conditions;
}

Result<void> check_model(const std::string& path) {
  if (Result<void> checked = check_model_path(path); !checked) return checked;
  std::error_code error;
  if (!fs::exists(path, error)) return wrong(fmt::format("{}: there is no such file", path));
  return {};
}

/// Makes the folder of --out and sees whether its files and that of --detections can be written.
Result<void> check_outputs(const EvalRequest& request) {
  const auto check = [](const char* option, const std::string& path) -> Result<void> {
    if (Result<void> writable = check_replaceable(path); !writable)
      return wrong(fmt::format("{}: {}; name a place that you may write to", option,
                               writable.error().message()));
    return {};
  };
  if (!request.detections_path.empty()) {
    if (Result<void> done = check("--detections", request.detections_path); !done) return done;
  }
  if (request.out_dir.empty()) return {};
  std::error_code error;
  fs::create_directories(request.out_dir, error);
  if (error)
    return wrong(fmt::format("--out {}: the folder cannot be made: {}; name another one",
                             request.out_dir, error.message()));
  for (const char* const name : {kEvalPageName, kEvalDocumentName}) {
    if (Result<void> done = check("--out", (fs::path(request.out_dir) / name).string()); !done)
      return done;
  }
  return {};
}

Result<void> check(EvalRequest& request, const Texts& texts) {
  request.is_results = request.model.path.ends_with(".json");
  if (request.is_results) {
    std::error_code error;
    if (!fs::is_regular_file(request.model.path, error))
      return wrong(fmt::format("{}: there is no such file", request.model.path));
    if (request.other) return wrong("--against compares two models; it takes no result file");
    if (!texts.conditions.empty())
      return wrong("--conditions degrades pictures for a model; a result file has none");
  } else if (Result<void> model = check_model(request.model.path); !model) {
    return model;
  }
  if (request.other) {
    if (Result<void> model = check_model(request.other->path); !model)
      return fail(model.error().at("--against"));
  }
  if (Result<void> checked = check_eval_outputs(request, {}); !checked) return checked;
  return check_outputs(request);
}

}  // namespace

Result<void> check_eval_outputs(const EvalRequest& request, const DataSet& data) {
  FileClashes files;
  files.add_model("MODEL", request.model.path);
  if (request.other) files.add_model("--against", request.other->path);
  if (request.model.labels != "coco") files.add_input("--labels", request.model.labels);
  files.add_input("--data", request.data.path);
  files.add_input("--data", data.labels_at);
  for (const std::vector<std::string>* each : {&data.label_files, &data.clips})
    for (const std::string& path : *each) files.add_input("--data", path);
  for (const LabelledPicture& picture : data.pictures) files.add_input("--data", picture.path);
  const auto check = [&files](const char* option, const std::string& path,
                              std::string_view remedy) -> Result<void> {
    const std::string problem = files.add_output(option, path, FileClashes::Twice::kTaken, remedy);
    if (problem.empty()) return {};
    return wrong(fmt::format("{}: {}", option, problem));
  };
  if (!request.out_dir.empty()) {
    for (const char* const name : {kEvalPageName, kEvalDocumentName}) {
      const std::string path = (fs::path(request.out_dir) / name).string();
      if (Result<void> checked = check("--out", path, FileClashes::kOtherFolder); !checked)
        return checked;
    }
  }
  return check("--detections", request.detections_path, FileClashes::kOtherFile);
}

Result<std::optional<LabelFormat>> parse_label_format(const std::string& text) {
  if (text == "auto") return std::optional<LabelFormat>();
  if (text == "yolo") return std::optional(LabelFormat::kYolo);
  if (text == "coco") return std::optional(LabelFormat::kCoco);
  if (text == "voc") return std::optional(LabelFormat::kVoc);
  if (text == "none") return std::optional(LabelFormat::kNone);
  return wrong(fmt::format("--format: {} is none of auto, yolo, coco, voc, none", quote(text)));
}

Result<EvalRequest> parse_eval_options(const std::vector<std::string>& args) {
  EvalRequest request;
  Texts texts;
  CLI::App app;
  declare(app, request, texts);
  try {
    app.parse(std::vector<std::string>(args.rbegin(), args.rend()));
  } catch (const CLI::CallForHelp&) {
    request.is_help_wanted = true;
    return request;
  } catch (const CLI::Error& error) {
    return wrong(fmt::format("{}; see framemill eval --help", error.what()));
  }
  request.command = typed_command("eval", args);
  request.options.classes = split_words(texts.classes);
  if (texts.score >= 0) request.options.score = texts.score;
  if (texts.nms_iou >= 0) request.model.nms_iou = texts.nms_iou;
  if (!texts.other_path.empty()) {
    request.other = request.model;
    request.other->path = texts.other_path;
    request.other->head = texts.other_head;
    request.other->runtime = texts.other_runtime;
  }
  Result<std::optional<LabelFormat>> format = parse_label_format(texts.format);
  if (!format) return fail(format.error());
  request.data.format = *format;
  Result<std::vector<Degradation>> conditions =
      parse_conditions(texts.conditions, request.other.has_value());
  if (!conditions) return fail(conditions.error());
  request.run.conditions = *std::move(conditions);
  request.run.pictures_max = texts.pictures;
  request.run.frames_per_clip = texts.frames;
  request.run.seed = request.options.seed;
  if (Result<void> checked = check(request, texts); !checked) return fail(checked.error());
  request.data.are_pictures_wanted = !request.is_results;
  return request;
}

std::string eval_help() {
  EvalRequest request;
  Texts texts;
  CLI::App app;
  declare(app, request, texts);
  return app.help();
}

}  // namespace framemill
