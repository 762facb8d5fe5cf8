#include "framemill/cli/eval_report.h"

#include <algorithm>
#include <filesystem>
#include <iterator>

#include <fmt/format.h>

namespace framemill {
namespace {

constexpr std::size_t kClassesShown = 20;
constexpr std::size_t kViolationsShown = 20;

std::string figure(const std::optional<double>& value, int digits = 3) {
  return value ? fmt::format("{:.{}f}", *value, digits) : std::string("-");
}

/// Bytes of at most `width` characters, so that columns stand below each other.
std::string cut(const std::string& text, std::size_t width) {
  return text.size() <= width ? text : text.substr(0, width - 2) + "..";
}

std::string interval_text(const std::optional<Interval>& interval) {
  return interval ? fmt::format(" [{:.3f}, {:.3f}]", interval->low, interval->high) : "";
}

class Table {
 public:
  explicit Table(const EvalReport& report)
      : r_(report), e_(report.evaluation), end_(std::back_inserter(out_)) {}

  std::string write() {
    write_data();
    const ConditionReport& clean = e_.conditions.front();
    if (clean.model) {
      write_quality(r_.model_name(), *clean.model, r_.context.model);
      if (clean.reference)
        write_quality(r_.reference_name(), *clean.reference, r_.context.reference);
      write_classes(clean);
    }
    if (clean.agreement)
      write_consistency();
    else if (e_.conditions.size() > 1)
      write_conditions();
    if (r_.context.reference) write_verdict();
    return std::move(out_);
  }

 private:
  template <typename... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(end_, format, std::forward<Args>(args)...);
  }

  void write_data() {
    add("{} pictures", e_.pictures.size());
    if (r_.context.format != LabelFormat::kNone)
      add(", {} objects, {} labels", e_.objects, to_string(r_.context.format));
    else
      add(" without labels");
    if (!r_.context.split.empty()) add(", split {}", r_.context.split);
    if (e_.broken > 0) add("; {} could not be read", e_.broken);
    out_ += "\n";
  }

  void write_quality(const std::string& name, const ModelQuality& quality,
                     const std::optional<EvaluatedModel>& model) {
    add("\n{}: AP {}{}", name, figure(quality.ap.by_size[0].ap),
        interval_text(quality.ap_interval));
    if (model && model->speed.in_flight > 0)
      add(", {:.1f} ms a picture (p95 {:.1f}), {:.1f} pictures/s with {} at once",
          model->speed.median_ms, model->speed.p95_ms, model->speed.pictures_per_second,
          model->speed.in_flight);
    add("\n{:<8} {:>8} {:>7} {:>7} {:>7} {:>10}\n", "size", "objects", "AP", "AP50", "AP75",
        fmt::format("recall@{:.2g}", quality.operating.score));
    for (std::size_t range = 0; range < kSizeRanges; ++range) {
      const ApFigures& figures = quality.ap.by_size[range];
      add("{:<8} {:>8} {:>7} {:>7} {:>7} {:>10}\n", kSizeRangeNames[range],
          quality.ap.objects[range], figure(figures.ap), figure(figures.ap50), figure(figures.ap75),
          figure(quality.operating.by_size[range].recall()));
    }
    add("at score {:.2f}: recall {}, precision {}", quality.operating.score,
        figure(quality.operating.by_size[0].recall()),
        figure(quality.operating.by_size[0].precision()));
    if (quality.best)
      add("; best at {:.2f}: recall {:.3f}, precision {:.3f}", quality.best->score,
          quality.best->recall, quality.best->precision);
    out_ += "\n";
  }

  /// Those with most objects; the document has all.
  void write_classes(const ConditionReport& clean) {
    std::vector<ClassAp> classes = clean.model->ap.classes;
    std::ranges::stable_sort(classes, std::greater<>(), &ClassAp::objects);
    add("\n{:<24} {:>8} {:>7} {:>7} {:>7} {:>10}", "class", "objects", "AP", "AP50", "recall",
        "precision");
    if (clean.reference) add(" {:>8}", "AP loss");
    out_ += "\n";
    for (std::size_t i = 0; i < std::min(classes.size(), kClassesShown); ++i) {
      const ClassAp& each = classes[i];
      const auto at_score = std::ranges::find(clean.model->operating.classes, each.class_id,
                                              &ClassOperating::class_id);
      add("{:<24} {:>8} {:>7} {:>7} {:>7} {:>10}",
          cut(e_.labels[static_cast<std::size_t>(each.class_id)], 24), each.objects,
          figure(each.figures.ap), figure(each.figures.ap50), figure(at_score->figures.recall()),
          figure(at_score->figures.precision()));
      if (clean.loss) {
        const auto loss =
            std::ranges::find(clean.loss->by_class, each.class_id, &std::pair<int, double>::first);
        if (loss != clean.loss->by_class.end()) add(" {:>+8.3f}", loss->second);
      }
      out_ += "\n";
    }
    if (classes.size() > kClassesShown)
      add("... and {} more classes (--json, --out)\n", classes.size() - kClassesShown);
  }

  void write_conditions() {
    add("\n{:<12} {:>7} {:>7} {:>7} {:>8} {:>9}\n", "condition", "AP", "AP50", "small", "recall",
        "precision");
    for (const ConditionReport& each : e_.conditions) {
      const ModelQuality& quality = *each.model;
      add("{:<12} {:>7} {:>7} {:>7} {:>8} {:>9}\n", each.name, figure(quality.ap.by_size[0].ap),
          figure(quality.ap.by_size[0].ap50), figure(quality.ap.by_size[1].ap),
          figure(quality.operating.by_size[0].recall()),
          figure(quality.operating.by_size[0].precision()));
    }
  }

  void write_consistency() {
    add("\n{} against {}\n", r_.model_name(), r_.reference_name());
    add("{:<12} {:>9} {:>24} {:>10} {:>9} {:>9} {:>7} {:>9}\n", "condition", "agreement", "AP loss",
        "small loss", "sure", "of these", "score", "box");
    add("{:<12} {:>9} {:>24} {:>10} {:>9} {:>9} {:>7} {:>9}\n", "", "", "", "", "wanted", "found",
        "shift", "IoU");
    for (const ConditionReport& each : e_.conditions) {
      const AgreementReport& agreement = *each.agreement;
      std::string loss = "-", small = "-";
      if (each.loss && each.loss->by_size[0])
        loss = fmt::format("{:+.3f}{}", each.loss->by_size[0]->value,
                           interval_text(each.loss->by_size[0]->interval));
      if (each.loss && each.loss->by_size[1])
        small = fmt::format("{:+.3f}", each.loss->by_size[1]->value);
      add("{:<12} {:>9} {:>24} {:>10} {:>9} {:>9} {:>+7.3f} {:>9.3f}\n", each.name,
          sure_detections(agreement.counts) > 0 ? fmt::format("{:.4f}", agreement.agreement())
                                                : std::string("-"),
          loss, small, agreement.counts.wanted, agreement.counts.found, agreement.score_shift,
          agreement.mean_iou);
    }
  }

  void write_verdict() {
    if (e_.verdict == Verdict::kConsistent) {
      out_ += "\nconsistent: all limits are kept\n";
      return;
    }
    if (e_.verdict == Verdict::kNotShown) {
      add("\nnot shown: {}\n", r_.not_shown_words());
      return;
    }
    out_ += "\nnot consistent:\n";
    for (std::size_t i = 0; i < std::min(e_.violations.size(), kViolationsShown); ++i)
      add("  {}: {}\n", e_.violations[i].condition, e_.violations[i].words());
    if (e_.violations.size() > kViolationsShown)
      add("  ... and {} more\n", e_.violations.size() - kViolationsShown);
  }

  const EvalReport& r_;
  const Evaluation& e_;
  std::string out_;
  std::back_insert_iterator<std::string> end_;
};

}  // namespace

std::string EvalReport::model_name() const {
  if (context.model) return context.model->facts.name;
  return std::filesystem::path(context.results_path).filename().string();
}

std::string EvalReport::reference_name() const {
  return context.reference ? context.reference->facts.name : "";
}

std::string EvalReport::not_shown_words() const {
  return fmt::format("{} sure detections were compared, fewer than {}", evaluation.compared,
                     context.options.limits.sure_least);
}

std::string format_eval_table(const EvalReport& report) { return Table(report).write(); }

}  // namespace framemill
