#include "framemill/cli/prepare_command.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "framemill/base/replace_file.h"
#include "framemill/cli/eval_options.h"
#include "framemill/cli/log_to_stderr.h"
#include "framemill/cli/prepare_options.h"
#include "framemill/engine/detector_options.h"
#include "framemill/engine/evaluation/data_set.h"
#include "framemill/infer/detector.h"

namespace framemill {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr int kDone = 0, kFailed = 1, kWrongUsage = 2;
constexpr int kOtherOutputs = 3;  // of the worker: it knows no outputs like these
constexpr const char* kHomeVariable = "FRAMEMILL_PREPARE";

int say(int status, const std::string& message) {
  fmt::print(stderr, "framemill prepare: {}\n", message);
  return status;
}

std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : "";
}

/// The folder of the worker: the one that the environment names, where it is installed beside the
/// program, else in the sources that the program was built from.
Result<fs::path> find_worker(const fs::path& program) {
  std::vector<fs::path> places;
  if (const std::string named = environment(kHomeVariable); !named.empty()) {
    places = {named};
  } else {
    places = {program.parent_path() / "../share/framemill/prepare", FRAMEMILL_PREPARE_DIR};
  }
  std::error_code ignored;
  for (const fs::path& place : places) {
    const fs::path found = place / "framemill_prepare/bootstrap.py";
    if (fs::is_regular_file(found, ignored)) return fs::weakly_canonical(found, ignored);
  }
  return fail(ErrorCode::kFailedPrecondition,
              fmt::format("the worker is not in {}; install framemill whole, or name the folder by "
                          "{}",
                          places.front().string(), kHomeVariable));
}

/// Python 3.11, for which the worker's packages are pinned, else whatever Python there is: the
/// worker says what is wrong with it.
Result<std::string> find_python() {
  std::vector<std::string> folders{"/usr/bin"};
  const std::string path = environment("PATH");
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find(':', at), path.size());
    if (end > at) folders.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  for (const char* const name : {"python3.11", "python3"}) {
    for (const std::string& folder : folders) {
      std::string found = folder + "/" + name;
      if (access(found.c_str(), X_OK) == 0) return found;
    }
  }
  return fail(ErrorCode::kFailedPrecondition,
              "there is no python3 here; install Python 3.11 (Debian 12: apt-get install python3 "
              "python3-venv)");
}

std::string default_venv() {
  std::string cache = environment("XDG_CACHE_HOME");
  if (cache.empty()) {
    const std::string home = environment("HOME");
    cache = home.empty() ? "" : home + "/.cache";
  }
  return cache.empty() ? "" : cache + "/framemill/prepare";
}

/// What the worker has to know about the model's head and input.
Json describe(const Detector& detector, const PrepareRequest& request) {
  const InputStyle& style = detector.style();
  const auto& metadata = detector.facts().metadata;
  const bool are_labels_known =
      !request.model.labels.empty() || metadata.contains("names") || metadata.contains("labels");
  const Size size = detector.input_for(Size{1, 1});
  return {{"head", to_string(detector.head_kind())},
          {"size", {size.width, size.height}},
          {"stride", std::max(32, detector.facts().input_multiple)},
          {"labels", detector.labels()},
          {"are_labels_known", are_labels_known},
          {"color", style.channels == ChannelOrder::kBgr ? "bgr" : "rgb"},
          {"range", style.range == ValueRange::kByte ? "0..255" : "0..1"},
          {"letterbox", style.place == LetterboxPlace::kTopLeft ? "top_left" : "center"},
          {"score", detector.score()},
          {"nms_iou", detector.nms_iou()}};
}

/// What --data stands for, as `framemill eval` finds it: a layout is known in one place. Errors:
/// those of read_data_set().
Result<Json> describe_data(const PrepareRequest& request) {
  const Result<std::optional<LabelFormat>> format = parse_label_format(request.format);
  if (!format) return fail(format.error());
  const Result<DataSet> data =
      read_data_set({.path = request.data, .format = *format, .split = request.split});
  if (!data) return fail(data.error());
  Json pictures = Json::array();
  for (const LabelledPicture& each : data->pictures) pictures.push_back(each.path);
  return Json{{"pictures", std::move(pictures)},
              {"clips", data->clips},
              {"labels", data->label_files},
              {"classes", data->class_names}};
}

/// `source`: the file that was named; request.model.path may be what was made of it.
/// `data_files`: those of --data; null without it.
Json to_json(const PrepareRequest& request, const std::string& source, const Detector& detector,
             const fs::path& program, const Json& data_files) {
  Json sizes;
  if (request.sizes) {
    sizes = Json::array();
    for (const Size& size : *request.sizes) sizes.push_back({size.width, size.height});
  }
  std::vector<std::string> model_options, data_options;
  if (!request.model.labels.empty())
    model_options.insert(model_options.end(), {"--labels", request.model.labels});
  if (request.model.head != "auto")
    model_options.insert(model_options.end(), {"--head", request.model.head});
  if (request.format != "auto")
    data_options.insert(data_options.end(), {"--format", request.format});
  if (!request.split.empty()) data_options.insert(data_options.end(), {"--split", request.split});
  return {{"framemill", FRAMEMILL_VERSION},
          {"program", program.string()},
          {"command", request.command},
          {"model", request.model.path},
          {"source", source},
          {"labels", request.model.labels},
          {"head_option", request.model.head},
          {"model_options", model_options},
          {"out", request.out},
          {"data", request.data},
          {"data_options", data_options},
          {"data_files", data_files},
          {"calibrate", request.calibrate},
          {"sizes", sizes},
          {"precisions", request.precisions},
          {"forms", request.forms},
          {"conditions", request.conditions},
          {"pictures", request.pictures},
          {"evaluate", request.evaluate},
          {"attention", request.is_attention_float ? "float" : "int8"},
          {"bench", request.bench},
          {"is_json_wanted", request.is_json_wanted},
          {"limits", request.limits},
          {"degraded_agreement", request.degraded_agreement},
          {"detector", describe(detector, request)}};
}

/// The head and the self-test of the model, as every command of framemill has them.
Result<std::unique_ptr<Detector>> load(const PrepareRequest& request) {
  Result<DetectorOptions> options = detector_options(request.model, EngineSettings{});
  if (!options) return fail(options.error());
  return Detector::load(*options);
}

/// True where the model was refused for its inputs and outputs, which the worker may know how to
/// rewrite: not where it is damaged or detects nothing.
bool has_unknown_outputs(const PrepareRequest& request) {
  const Result<DetectorOptions> options = detector_options(request.model, EngineSettings{});
  if (!options) return false;
  const Result<std::unique_ptr<Backend>> backend = load_backend(options->backend);
  if (!backend) return backend.error().code() == ErrorCode::kUnsupported;
  const ModelFacts& facts = (*backend)->facts();
  return facts.input && !recognise_head(facts.outputs, *facts.input, std::nullopt, options->head);
}

/// Until the program becomes the worker, which keeps what is finished, there is nothing to keep. A
/// worker that is run meanwhile ends with its parent.
void stop_at_once(int /*signal*/) {
  constexpr std::string_view kWords = "framemill prepare: stopped; nothing was made\n";
  static_cast<void>(!write(STDERR_FILENO, kWords.data(), kWords.size()));
  _exit(kFailed);
}

/// Only the owner may read it: cameras' URLs have passwords. The worker takes it away.
Result<std::string> write_request(const PrepareRequest& request, const std::string& text) {
  const fs::path home = fs::path(request.out) / ".prepare";
  std::error_code error;
  fs::create_directories(home, error);
  const std::string path = (home / fmt::format("request.{}.json", getpid())).string();
  const mode_t mask = umask(077);
  Result<void> written = replace_file(path, text);
  umask(mask);
  if (!written) return fail(written.error());
  return path;
}

/// Becomes the worker. Returns what kept it from that.
std::string become(const std::string& python, const std::vector<std::string>& arguments) {
  std::vector<char*> values;
  values.push_back(const_cast<char*>(python.c_str()));
  for (const std::string& argument : arguments)
    values.push_back(const_cast<char*>(argument.c_str()));
  values.push_back(nullptr);
  std::fflush(nullptr);
  execv(python.c_str(), values.data());
  return fmt::format("{}: {}", python, std::strerror(errno));
}

/// Runs the worker and waits for it. Returns its exit status, kFailed where it was killed.
int run_worker(const std::string& python, const std::vector<std::string>& arguments) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    const std::string problem = become(python, arguments);
    _exit(say(kFailed, problem));
  }
  int status = 0;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : kFailed;
}

struct Worker {
  std::string python, script, venv;
};

/// Has the worker turn outputs that framemill does not read into one that it does, and names the
/// new file in `request`. Returns kDone, kOtherOutputs, or the status to end with: then all is
/// said.
int adapt(const Worker& worker, PrepareRequest& request) {
  const fs::path source(request.model.path);
  const fs::path target = fs::path(request.out) / ".prepare/adapted" / source.filename();
  const Json words{{"adapt", source.string()}, {"to", target.string()}};
  const Result<std::string> path = write_request(request, words.dump());
  if (!path) return say(kFailed, path.error().message());
  const int status = run_worker(worker.python, {worker.script, worker.venv, *path});
  std::error_code ignored;
  fs::remove(*path, ignored);
  if (status == kDone) request.model.path = target.string();
  return status;
}

}  // namespace

int prepare_command(const std::vector<std::string>& args) {
  Result<PrepareRequest> request = parse_prepare_options(args);
  if (!request) return say(kWrongUsage, request.error().message());
  if (request->is_help_wanted) {
    fmt::print("{}", prepare_help());
    return kDone;
  }
  log_to_stderr("off");  // what fails is reported once, at the end
  for (const int number : {SIGINT, SIGTERM}) std::signal(number, stop_at_once);
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const Result<fs::path> worker = find_worker(program);
  if (!worker) return say(kFailed, worker.error().message());
  const Result<std::string> python = find_python();
  if (!python) return say(kFailed, python.error().message());
  const std::string venv = request->venv.empty() ? default_venv() : request->venv;
  if (venv.empty())
    return say(kWrongUsage,
               "neither HOME nor XDG_CACHE_HOME is set; name the venv's place by --venv");
  Json data_files;
  if (!request->data.empty()) {
    Result<Json> described = describe_data(*request);
    if (!described) return say(kWrongUsage, described.error().at("--data").message());
    data_files = *std::move(described);
  }
  std::string text;
  {
    const std::string source = request->model.path;
    fmt::print(stderr, "checking {}\n", source);
    Result<std::unique_ptr<Detector>> detector = load(*request);
    if (!detector && has_unknown_outputs(*request)) {
      const int status = adapt({*python, worker->string(), venv}, *request);
      if (status != kDone && status != kOtherOutputs) return status;
      if (status == kDone) detector = load(*request);
    }
    if (!detector) return say(kWrongUsage, detector.error().message());
    // The name of a picture may be no UTF-8; it is then one that cannot be read.
    text = to_json(*request, source, **detector, program, data_files)
               .dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  const Result<std::string> path = write_request(*request, text);
  if (!path) return say(kFailed, path.error().message());
  const std::string problem = become(*python, {worker->string(), venv, *path});
  fs::remove(*path, error);
  return say(kFailed, problem);
}

}  // namespace framemill
