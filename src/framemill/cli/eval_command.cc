#include "framemill/cli/eval_command.h"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include "framemill/base/clock.h"
#include "framemill/base/replace_file.h"
#include "framemill/cli/compare_progress.h"
#include "framemill/cli/eval_options.h"
#include "framemill/cli/eval_page.h"
#include "framemill/cli/eval_report.h"
#include "framemill/cli/log_to_stderr.h"
#include "framemill/cli/signal_watch.h"
#include "framemill/engine/detector_options.h"
#include "framemill/engine/environment.h"
#include "framemill/infer/detector.h"

namespace framemill {
namespace {

constexpr int kDone = 0, kFailed = 1, kWrongUsage = 2;
constexpr std::size_t kWorstShown = 6;  ///< of each condition
constexpr std::size_t kSpeedRounds = 20;
/// Average precision looks at everything a model says, as pycocotools' users do.
constexpr float kCandidateScore = .001F;

int say(int status, const std::string& message) {
  fmt::print(stderr, "framemill eval: {}\n", message);
  return status;
}

/// Loads, evaluates and measures. prepare(), then run(). One thread.
class Evaluator {
 public:
  Evaluator(const EvalRequest& request, const Clock& clock, const std::atomic<bool>& is_stopped,
            CompareProgress& progress)
      : request_(request), clock_(clock), is_stopped_(is_stopped), progress_(progress) {}

  /// Everything that can be wrong usage. Errors: those of read_data_set(), Detector::load() and
  /// plan_classes().
  Result<void> prepare();
  /// Errors: those of evaluate().
  Result<EvalReport> run();
  [[nodiscard]] const DataSet& data() const { return data_; }

 private:
  Result<std::shared_ptr<const Detector>> load(const ModelSettings& model);
  Result<Evaluation> evaluate_models();
  Result<EvaluatedModel> describe(const Detector& detector, Size picture);

  const EvalRequest& request_;
  const Clock& clock_;
  const std::atomic<bool>& is_stopped_;
  CompareProgress& progress_;
  DataSet data_;
  std::shared_ptr<const Detector> model_, reference_;
};

Result<std::shared_ptr<const Detector>> Evaluator::load(const ModelSettings& model) {
  progress_.begin(fmt::format("loading {}", model.path));
  Result<DetectorOptions> options = detector_options(model, EngineSettings{});
  if (!options) return fail(options.error());
  options->candidate_score = kCandidateScore;
  Result<std::unique_ptr<Detector>> detector = Detector::load(*options);
  if (!detector) return fail(detector.error());
  return std::shared_ptr<const Detector>(*std::move(detector));
}

Result<void> Evaluator::prepare() {
  progress_.begin("reading labels");
  Result<DataSet> data = read_data_set(request_.data);
  if (!data) return fail(data.error());
  data_ = *std::move(data);
  if (Result<void> checked = check_eval_outputs(request_, data_); !checked) return checked;
  if (!data_.is_labelled() && !request_.other)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: has no labels (YOLO .txt, COCO .json or VOC .xml); name a data "
                            "set that has, or another model by --against to compare two models "
                            "without labels",
                            request_.data.path));
  if (request_.is_results) return {};
  Result<std::shared_ptr<const Detector>> model = load(request_.model);
  if (!model) return fail(model.error());
  model_ = *std::move(model);
  if (request_.other) {
    Result<std::shared_ptr<const Detector>> other = load(*request_.other);
    if (!other) return fail(other.error().at("--against"));
    reference_ = *std::move(other);
  }
  const Result<ClassPlan> plan = plan_classes(
      data_, model_->labels(), model_->facts().name, reference_ ? &reference_->labels() : nullptr,
      reference_ ? reference_->facts().name : "", request_.options.classes);
  if (!plan) return fail(plan.error());
  return {};
}

Result<EvaluatedModel> Evaluator::describe(const Detector& detector, Size picture) {
  progress_.begin(fmt::format("speed of {}", detector.facts().name));
  Result<ModelSpeed> speed = measure_speed(detector, picture, kSpeedRounds);
  if (!speed) return fail(speed.error());
  return EvaluatedModel{
      .facts = detector.facts(), .input = detector.input_for(picture), .speed = *speed};
}

Result<Evaluation> Evaluator::evaluate_models() {
  EvaluationOptions options = request_.options;
  options.worst_max = request_.out_dir.empty() ? 0 : kWorstShown;
  if (request_.is_results) return evaluate_results(data_, request_.model.path, options);
  PictureRunHooks hooks;
  hooks.is_stopped = [this] { return is_stopped_.load(); };
  hooks.on_progress = [this](double share) { progress_.show(share); };
  progress_.begin("pictures");
  return evaluate(data_, model_, reference_, request_.run, options, clock_, hooks);
}

Result<EvalReport> Evaluator::run() {
  Result<Evaluation> evaluation = evaluate_models();
  if (!evaluation) return fail(evaluation.error());
  EvalReport report;
  EvalContext& context = report.context;
  context.version = FRAMEMILL_VERSION;
  context.command = request_.command;
  const auto now = std::chrono::floor<std::chrono::seconds>(clock_.wall_now());
  context.made_at =
      fmt::format("{:%Y-%m-%dT%H:%M:%S}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(now)));
  context.environment = read_environment();
  context.data_path = data_.path;
  context.labels_at = data_.labels_at;
  context.split = data_.split;
  context.format = data_.format;
  context.options = request_.options;
  const Size size = evaluation->pictures.empty() ? Size{640, 360} : evaluation->pictures[0].size;
  if (request_.is_results) {
    context.results_path = request_.model.path;
  } else {
    Result<EvaluatedModel> model = describe(*model_, size);
    if (!model) return fail(model.error());
    context.model = *std::move(model);
    if (reference_) {
      Result<EvaluatedModel> reference = describe(*reference_, size);
      if (!reference) return fail(reference.error());
      context.reference = *std::move(reference);
    }
  }
  if (is_stopped_) return fail(ErrorCode::kCancelled, "stopped");
  report.evaluation = *std::move(evaluation);
  return report;
}

/// What a person should know beside the figures.
void print_notes(const Evaluation& evaluation) {
  for (const std::string& note : evaluation.notes) fmt::print(stderr, "note: {}\n", note);
  for (const std::string& problem : evaluation.problems)
    fmt::print(stderr, "not read: {}\n", problem);
  if (evaluation.broken > evaluation.problems.size())
    fmt::print(stderr, "not read: {} more\n", evaluation.broken - evaluation.problems.size());
}

/// Those that were asked for. Says what could not be written, and returns the exit status.
int write_files(const EvalReport& report, const EvalRequest& request, const DataSet& data,
                const std::string& document) {
  const auto write = [](const std::string& path, const std::string& text) {
    const Result<void> written = replace_file(path, text);
    return written ? kDone : say(kFailed, written.error().message());
  };
  if (!request.out_dir.empty()) {
    const std::filesystem::path folder(request.out_dir);
    const std::string page = (folder / kEvalPageName).string();
    const std::string json = (folder / kEvalDocumentName).string();
    if (write(json, document) != kDone || write(page, to_eval_page(report)) != kDone)
      return kFailed;
    fmt::print(stderr, "page: {}\ndocument: {}\n", page, json);
  }
  if (!request.detections_path.empty() &&
      write(request.detections_path, to_coco_results(report.evaluation, data)) != kDone)
    return kFailed;
  return kDone;
}

/// The files, and what belongs on standard output: also where a file could not be written, since
/// the figures took their time. Returns the exit status.
int write_out(const EvalReport& report, const EvalRequest& request, const DataSet& data) {
  const std::string document = to_eval_json(report);
  const int files = write_files(report, request, data, document);
  const std::string text = request.is_json_wanted ? document : format_eval_table(report);
  const bool is_written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!is_written) return say(kFailed, fmt::format("standard output: {}", std::strerror(errno)));
  print_notes(report.evaluation);
  if (report.evaluation.verdict == Verdict::kNotShown)
    return say(kFailed,
               fmt::format("{} is not shown to be consistent with {}: {}; take pictures "
                           "with more objects, or fewer by --sure-least",
                           report.model_name(), report.reference_name(), report.not_shown_words()));
  const std::vector<Violation>& violations = report.evaluation.violations;
  if (violations.empty()) return files;
  return say(kFailed,
             fmt::format("{} is not consistent with {}: {}: {}{}", report.model_name(),
                         report.reference_name(), violations[0].condition, violations[0].words(),
                         violations.size() > 1
                             ? fmt::format("; and {} more limits not kept", violations.size() - 1)
                             : std::string()));
}

}  // namespace

int eval_command(const std::vector<std::string>& args) {
  const Result<EvalRequest> request = parse_eval_options(args);
  if (!request) return say(kWrongUsage, request.error().message());
  if (request->is_help_wanted) {
    fmt::print("{}", eval_help());
    return kDone;
  }
  log_to_stderr("off");  // what fails is reported once, at the end
  const SystemClock clock;
  std::atomic<bool> is_stopped{false};
  SignalWatch signals({.loss = "nothing was written"});
  signals.watch({.stop = [&is_stopped] { is_stopped = true; }});
  CompareProgress progress(stderr, isatty(STDERR_FILENO) != 0 ? CompareProgress::Style::kRedrawn
                                                              : CompareProgress::Style::kLines);
  Evaluator evaluator(*request, clock, is_stopped, progress);
  if (const Result<void> prepared = evaluator.prepare(); !prepared) {
    progress.clear();
    return say(kWrongUsage, prepared.error().message());
  }
  const Result<EvalReport> report = evaluator.run();
  progress.clear();
  if (report) return write_out(*report, *request, evaluator.data());
  const ErrorCode code = report.error().code();
  if (code == ErrorCode::kCancelled) return say(kFailed, "stopped; nothing was written");
  say(kFailed, report.error().message());
  if (code == ErrorCode::kInternal) {
    std::fflush(nullptr);
    _exit(kFailed);  // a device may hang; leaving in order would wait for it for ever
  }
  // Results and pictures that cannot be used are wrong usage.
  return code == ErrorCode::kInvalidArgument || code == ErrorCode::kNotFound ? kWrongUsage
                                                                             : kFailed;
}

}  // namespace framemill
