#include "framemill/cli/prepare_options.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <span>
#include <string_view>
#include <system_error>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "framemill/base/replace_file.h"
#include "framemill/base/url.h"
#include "framemill/base/word_list.h"
#include "framemill/cli/eval_options.h"
#include "framemill/cli/typed_words.h"
#include "framemill/config/file_clashes.h"
#include "framemill/config/setting_value.h"
#include "framemill/vision/degradation.h"

namespace framemill {
namespace {

namespace fs = std::filesystem;

constexpr int kSideMin = 64, kSideMax = 4096;

Failure wrong(std::string message) { return fail(ErrorCode::kInvalidArgument, std::move(message)); }

/// What is checked and turned into something else after parsing.
struct Texts {
  std::string sizes = "wide", precisions = "fp16,int8", forms = "openvino,onnx";
  std::string conditions, attention = "int8";
  double ap_loss = -1, small_ap_loss = -1, agreement = -1;
  int sure_least = 0;
};

void declare_inputs(CLI::App& app, PrepareRequest& request) {
  app.add_option("MODEL", request.model.path, "The FP32 export, .onnx")
      ->required()
      ->option_text("");
  app.add_option("--calibrate", request.calibrate,
                 "Pictures, clips or cameras of your own, folders of them; several times for "
                 "several. Frames are chosen by diversity.")
      ->allow_extra_args(false)
      ->option_text("PATH|URL");
  app.add_option("--data", request.data,
                 "What variants are evaluated on, as for framemill eval: labelled pictures, or "
                 "pictures or a clip without labels. Without it frames of --calibrate that were "
                 "not chosen are.")
      ->option_text("DIR");
  app.add_option("--format", request.format,
                 "Of --data: auto, yolo, coco, voc or none. Default: auto.")
      ->option_text("F");
  app.add_option("--split", request.split, "Of a data.yaml: val, test or train.")->option_text("S");
  app.add_option("--labels", request.model.labels,
                 "Class names of the model: coco, or a file with one a line.")
      ->option_text("L");
  app.add_option("--head", request.model.head,
                 "auto, v8, v5, yolox, yolox_decoded or end2end. Default: auto.")
      ->option_text("H");
}

void declare_set(CLI::App& app, PrepareRequest& request, Texts& texts) {
  app.add_option("--sizes", texts.sizes,
                 "Inputs besides the exported one, as in 640x384,512x288; wide: for 16:9 at 1, .8 "
                 "and .5 of the width; none. Default: wide.")
      ->option_text("LIST");
  app.add_option("--precisions", texts.precisions, "Besides fp32. Default: fp16,int8.")
      ->option_text("LIST");
  app.add_option("--forms", texts.forms,
                 "openvino for CPUs, onnx for GPUs by ONNX Runtime and TensorRT. Default: both.")
      ->option_text("LIST");
  app.add_option("--pictures", request.pictures, "To calibrate with. Default: 64.")
      ->check(CLI::Range(1, 2000))
      ->option_text("N");
  app.add_option("--attention", texts.attention,
                 "int8 or float: whether INT8 takes in the attention of v11 and v12. Default: "
                 "int8.")
      ->option_text("A");
}

void declare_judgement(CLI::App& app, PrepareRequest& request, Texts& texts) {
  app.add_option("--evaluate", request.evaluate, "Pictures of --data at most. Default: all.")
      ->check(CLI::Range(1, 10'000'000))
      ->option_text("N");
  app.add_option("--conditions", texts.conditions,
                 fmt::format("Degradations that INT8 is tried under, of {}. Default: all.",
                             fmt::join(kDegradationNames, ", ")))
      ->option_text("LIST");
  const auto limit = [&](const char* name, double& value, const char* help) {
    app.add_option(name, value, help)->check(CLI::Range(0.0, 1.0))->option_text("X");
  };
  limit("--ap-loss", texts.ap_loss, "AP that a variant may lose. Default: .01.");
  limit("--small-ap-loss", texts.small_ap_loss, "The same of small objects. Default: .02.");
  limit("--agreement", texts.agreement, "Agreement with the original, at least. Default: .97.");
  limit("--degraded-agreement", request.degraded_agreement,
        "Agreement of INT8 with FP32 in the dark, blurred or noisy, at least. Default: .85.");
  app.add_option("--sure-least", texts.sure_least,
                 "Sure detections that have to be compared, else a variant is not shown to agree. "
                 "Default: 20.")
      ->check(CLI::Range(1, 1'000'000'000))
      ->option_text("N");
  app.add_option("--bench", request.bench,
                 "quick, standard or off: seconds or a minute or two for each variant; off: no "
                 "speeds and no ladder. Default: quick.")
      ->option_text("B");
}

void declare_output(CLI::App& app, PrepareRequest& request) {
  app.add_option("--out", request.out, "The folder of the set. The same again continues it.")
      ->required()
      ->option_text("DIR");
  app.add_option("--venv", request.venv,
                 "Where the worker's Python packages are, made on first use (800 MB). Default: in "
                 "framemill's cache folder.")
      ->option_text("DIR");
  app.add_flag("--json", request.is_json_wanted, "Prints the document in place of the table.");
}

void declare(CLI::App& app, PrepareRequest& request, Texts& texts) {
  app.name("framemill prepare");
  app.description(
      "From an exported model to a set that can be deployed: opens the batch, makes sizes for "
      "wide\n"
      "pictures, FP16 and INT8, evaluates each variant against the original, measures its speed,\n"
      "and writes a model card and the configuration to paste.\n\n"
      "  framemill prepare yolo11n.onnx --calibrate recordings --out yolo11n\n"
      "  framemill prepare yolo11n.onnx --calibrate gate.mp4 --data coco/data.yaml --out yolo11n\n"
      "  framemill prepare line.onnx --calibrate rtsp://10.0.0.7/1 --sizes none --out line\n");
  app.footer(
      "\nThe table goes to standard output, progress and notes to standard error. SIGINT or "
      "SIGTERM\n"
      "stops and exits 1; the same command continues after the last finished step.\n"
      "Exit status: 0 done; 1 the work failed or was stopped; 2 wrong usage or model.\n"
      "docs/prepare.md says how to export and how to read the model card.");
  declare_inputs(app, request);
  declare_set(app, request, texts);
  declare_judgement(app, request, texts);
  declare_output(app, request);
}

/// The words of a list, each one of `known`.
Result<std::vector<std::string>> parse_words(const char* option, const std::string& text,
                                             std::span<const std::string_view> known) {
  std::vector<std::string> words = split_words(text);
  if (words.empty())
    return wrong(fmt::format("{}: names none of {}", option, fmt::join(known, ", ")));
  for (const std::string& word : words) {
    if (std::ranges::find(known, word) == known.end())
      return wrong(
          fmt::format("{}: {} is none of {}", option, quote(word), fmt::join(known, ", ")));
  }
  return words;
}

Result<Size> parse_side_by_side(const std::string& text) {
  const std::size_t x = text.find('x');
  const auto number = [&](std::size_t from, std::size_t to) {
    int value = 0;
    const char* const end = text.data() + to;
    const auto [rest, status] = std::from_chars(text.data() + from, end, value);
    return status == std::errc{} && rest == end ? value : 0;
  };
  const Size size =
      x == std::string::npos ? Size{} : Size{number(0, x), number(x + 1, text.size())};
  if (std::min(size.width, size.height) < kSideMin || std::max(size.width, size.height) > kSideMax)
    return wrong(fmt::format("--sizes: {} is not a size like 640x384, of sides from {} to {}",
                             quote(text), kSideMin, kSideMax));
  return size;
}

Result<void> parse_sizes(const std::string& text, PrepareRequest& request) {
  if (text == "wide") return {};
  request.sizes.emplace();
  if (text == "none") return {};
  for (const std::string& word : split_words(text)) {
    const Result<Size> size = parse_side_by_side(word);
    if (!size) return fail(size.error());
    request.sizes->push_back(*size);
  }
  return {};
}

Result<void> parse_texts(const Texts& texts, PrepareRequest& request) {
  constexpr std::string_view kPrecisions[] = {"fp16", "int8", "fp32"};
  constexpr std::string_view kForms[] = {"openvino", "onnx"};
  constexpr std::string_view kAttentions[] = {"int8", "float"};
  constexpr std::string_view kBenches[] = {"quick", "standard", "off"};
  auto precisions = parse_words("--precisions", texts.precisions, kPrecisions);
  if (!precisions) return fail(precisions.error());
  request.precisions = *std::move(precisions);
  auto forms = parse_words("--forms", texts.forms, kForms);
  if (!forms) return fail(forms.error());
  request.forms = *std::move(forms);
  std::string all = fmt::format("{}", fmt::join(kDegradationNames, ","));
  const std::vector<std::string_view> known(kDegradationNames.begin(), kDegradationNames.end());
  auto conditions =
      parse_words("--conditions", texts.conditions.empty() ? all : texts.conditions, known);
  if (!conditions) return fail(conditions.error());
  request.conditions = *std::move(conditions);
  std::erase(request.conditions, "clean");
  request.conditions.insert(request.conditions.begin(), "clean");
  if (auto format = parse_label_format(request.format); !format) return fail(format.error());
  if (auto done = parse_sizes(texts.sizes, request); !done) return done;
  const auto attention = parse_words("--attention", texts.attention, kAttentions);
  if (!attention) return fail(attention.error());
  request.is_attention_float = attention->front() == "float";
  if (auto bench = parse_words("--bench", request.bench, kBenches); !bench)
    return fail(bench.error());
  for (const auto& [name, value] :
       {std::pair("--ap-loss", texts.ap_loss), std::pair("--small-ap-loss", texts.small_ap_loss),
        std::pair("--agreement", texts.agreement)}) {
    if (value >= 0) request.limits.insert(request.limits.end(), {name, fmt::format("{}", value)});
  }
  if (texts.sure_least > 0)
    request.limits.insert(request.limits.end(),
                          {"--sure-least", fmt::format("{}", texts.sure_least)});
  return {};
}

Result<void> check_inputs(const PrepareRequest& request) {
  const std::string& path = request.model.path;
  if (path.ends_with(".xml") || path.ends_with(".pt") || path.ends_with(".engine"))
    return wrong(
        fmt::format("{}: prepare starts from ONNX; export the trained model as .onnx "
                    "(docs/prepare.md says how)",
                    path));
  if (!path.ends_with(".onnx"))
    return wrong(fmt::format("{}: is no .onnx file; prepare starts from the FP32 export", path));
  std::error_code error;
  if (!fs::is_regular_file(path, error))
    return wrong(fmt::format("{}: there is no such file", path));
  if (request.calibrate.empty() && request.data.empty())
    return wrong(
        "name what to calibrate with by --calibrate (recordings or pictures of your cameras), or "
        "what to evaluate on by --data");
  if (!request.data.empty() && !fs::exists(request.data, error))
    return wrong(fmt::format("--data {}: there is no such file or folder", request.data));
  for (const std::string& source : request.calibrate) {
    if (source.find("://") == std::string::npos && !fs::exists(source, error))
      return wrong(fmt::format("--calibrate {}: there is no such file or folder", source));
  }
  return {};
}

/// What is made lies in folders of its own, beside three files; the exported model may lie beside
/// them, but not in them, nor may what it is calibrated and evaluated on.
Result<void> check_out(const PrepareRequest& request) {
  FileClashes files;
  files.add_model("MODEL", request.model.path);
  if (request.model.labels != "coco") files.add_input("--labels", request.model.labels);
  files.add_input("--data", request.data);
  for (const std::string& source : request.calibrate)
    if (source.find("://") == std::string::npos) files.add_input("--calibrate", source);
  const fs::path out(request.out);
  const auto check = [](const std::string& problem) -> Result<void> {
    if (problem.empty()) return {};
    return wrong(fmt::format("--out: {}", problem));
  };
  for (const char* const name : {"prepare.json", "MODEL_CARD.md", "deploy.yaml"}) {
    const std::string problem = files.check_path((out / name).string(), FileClashes::kOtherFolder);
    if (Result<void> checked = check(problem); !checked) return checked;
  }
  for (const char* const name : {"models", "calibration", "footage", ".prepare"}) {
    const std::string problem =
        files.check_folder((out / name).string(), FileClashes::kOtherFolder);
    if (Result<void> checked = check(problem); !checked) return checked;
  }
  return {};
}

Result<void> make_out(const PrepareRequest& request) {
  std::error_code error;
  fs::create_directories(request.out, error);
  if (error)
    return wrong(fmt::format("--out {}: the folder cannot be made: {}; name another one",
                             request.out, error.message()));
  const std::string journal = (fs::path(request.out) / "prepare.json").string();
  if (Result<void> writable = check_replaceable(journal); !writable)
    return wrong(
        fmt::format("--out: {}; name a place that you may write to", writable.error().message()));
  return {};
}

/// The command as it would be typed again; passwords of cameras are left out, since the model card
/// goes around.
std::string shown_command(std::vector<std::string> args) {
  for (std::string& arg : args) {
    if (arg.find("://") != std::string::npos) arg = redact(arg);
  }
  return typed_command("prepare", args);
}

}  // namespace

Result<PrepareRequest> parse_prepare_options(const std::vector<std::string>& args) {
  PrepareRequest request;
  Texts texts;
  CLI::App app;
  declare(app, request, texts);
  try {
    app.parse(std::vector<std::string>(args.rbegin(), args.rend()));
  } catch (const CLI::CallForHelp&) {
    request.is_help_wanted = true;
    return request;
  } catch (const CLI::Error& error) {
    return wrong(fmt::format("{}; see framemill prepare --help", error.what()));
  }
  request.command = shown_command(args);
  if (Result<void> parsed = parse_texts(texts, request); !parsed) return fail(parsed.error());
  if (Result<void> checked = check_inputs(request); !checked) return fail(checked.error());
  if (Result<void> checked = check_out(request); !checked) return fail(checked.error());
  if (Result<void> made = make_out(request); !made) return fail(made.error());
  return request;
}

std::string prepare_help() {
  PrepareRequest request;
  Texts texts;
  CLI::App app;
  declare(app, request, texts);
  return app.help();
}

}  // namespace framemill
