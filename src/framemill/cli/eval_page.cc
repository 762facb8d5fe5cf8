#include "framemill/cli/eval_page.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>

#include <fmt/format.h>

#include "framemill/cli/compare_chart.h"
#include "framemill/cli/compare_page_assets.h"
#include "framemill/cli/eval_chart.h"
#include "framemill/cli/html_text.h"

namespace framemill {
namespace {

/// Beside the style sheet of compare's page.
constexpr std::string_view kStyle = R"css(
.forbidden{fill:var(--bad-soft)}.limit{stroke:var(--bad);stroke-width:1.5;stroke-dasharray:5 3;fill:none}
.curve.bad-mark{stroke:var(--bad)}.dot.bad-mark{fill:var(--bad)}
rect.dot{stroke:none}
.verdict{display:inline-block;padding:2px 14px;border-radius:14px;font-weight:700}
.verdict.good{background:color-mix(in srgb,var(--good) 14%,var(--card))}.verdict.bad{background:var(--bad-soft)}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:6px}
.pair svg{display:block;width:100%;height:auto;border-radius:8px;background:#3c4650}
.pair p{margin:0 0 3px;font-size:.85rem;color:var(--soft)}
.worst{display:grid;grid-template-columns:1fr 1fr;gap:24px;margin-top:14px}
.box{fill:none;stroke:#4cb8ff;stroke-width:2;vector-effect:non-scaling-stroke;filter:drop-shadow(0 0 1px #000)}
.box.missed{stroke:#ff3b57;stroke-width:3}.box.false{stroke:#ffb000;stroke-width:3;stroke-dasharray:6 4}
.key-box{display:inline-block;width:24px;height:13px;margin:0 4px 0 12px;vertical-align:-1px;border:2px solid #4cb8ff}
.key-box.missed{border:3px solid #ff3b57}.key-box.false{border:3px dashed #ffb000}
.reasons li{overflow-wrap:anywhere}
@media (max-width:760px){.worst{grid-template-columns:1fr}}
)css";

constexpr std::size_t kClassesDrawn = 30;
constexpr std::size_t kReasonsShown = 12;
constexpr std::string_view kDash = "\u2013";

std::string figure(const std::optional<double>& value, int digits = 3) {
  return value ? fmt::format("{:.{}f}", *value, digits) : std::string(kDash);
}

std::string interval_text(const std::optional<Interval>& interval) {
  return interval
             ? fmt::format("95\u00A0% interval {:.3f} to {:.3f}", interval->low, interval->high)
             : std::string("too few pictures for an interval");
}

std::string condition_name(std::string name) {
  std::ranges::replace(name, '_', ' ');
  return name;
}

/// Writes the page's parts into one string.
class Page {
 public:
  explicit Page(const EvalReport& report)
      : r_(report),
        e_(report.evaluation),
        clean_(report.evaluation.conditions.front()),
        end_(std::back_inserter(out_)) {}

  std::string write() {
    write_head();
    out_ += "<main>";
    write_headline();
    if (clean_.agreement) write_conditions();
    if (clean_.model) {
      write_quality();
      write_sizes();
    }
    if (!clean_.agreement && e_.conditions.size() > 1) write_condition_quality();
    write_classes();
    write_worst();
    write_explanations();
    write_making();
    add("</main><script>{}</script></body></html>\n", kComparePageScript);
    return std::move(out_);
  }

 private:
  template <typename... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(end_, format, std::forward<Args>(args)...);
  }
  [[nodiscard]] bool has_reference() const { return r_.context.reference.has_value(); }
  [[nodiscard]] std::string label(int id) const {
    return escape_html(e_.labels[static_cast<std::size_t>(id)]);
  }

  void write_head() {
    out_ +=
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
        // The page is handed on as a file: it must not fetch, send or run anything but its own.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
        "img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'\">";
    add("<title>{}: framemill eval</title><style>{}{}</style></head><body>",
        escape_html(r_.model_name()), kComparePageStyle, kStyle);
  }

  void write_tile(const std::string& value, std::string_view what, std::string_view beside) {
    add("<div class=\"tile\"><b>{}</b><span class=\"what\">{}</span><span class=\"beside\">{}"
        "</span></div>",
        escape_html(value), escape_html(what), escape_html(beside));
  }

  void write_headline() {
    add("<header><p class=\"kicker\">framemill eval: {} pictures", e_.pictures.size());
    if (clean_.model) add(", {} labelled objects", e_.objects);
    if (e_.broken > 0) add(", {} that could not be read", e_.broken);
    out_ += "</p>";
    if (has_reference())
      write_verdict();
    else
      add("<h1>{}: AP {}</h1><p class=\"lead\">Average precision as COCO defines it, on {}.</p>",
          escape_html(r_.model_name()), figure(clean_.model->ap.by_size[0].ap),
          escape_html(r_.context.data_path));
    out_ += "</header><div class=\"tiles\">";
    if (clean_.model) write_quality_tiles(*clean_.model);
    if (const auto& agreement = clean_.agreement) {
      write_tile(agreement_text(*agreement), "agreement",
                 fmt::format("at least {:g}; {} of {} sure detections found",
                             r_.context.options.limits.agreement, agreement->counts.found,
                             agreement->counts.wanted));
      write_tile(fmt::format("{:+.3f}", agreement->score_shift), "score shift",
                 fmt::format("mean size {:.3f}; boxes overlap by {:.3f}",
                             agreement->score_shift_abs, agreement->mean_iou));
    }
    write_speed_tile();
    out_ += "</div>";
  }

  void write_verdict() {
    const bool is_good = e_.verdict == Verdict::kConsistent;
    add("<h1>{} <span class=\"verdict {}\">{}</span></h1>", escape_html(r_.model_name()),
        is_good ? "good" : "bad", to_string(*e_.verdict));
    add("<p class=\"lead\">Held against <b>{}</b>, picture by picture, as they are and degraded.",
        escape_html(r_.reference_name()));
    if (is_good) {
      out_ += " Every limit is kept.</p>";
      return;
    }
    if (e_.verdict == Verdict::kNotShown) {
      add(" Every limit is kept, but {}: that shows nothing. Take pictures with more objects.</p>",
          escape_html(r_.not_shown_words()));
      return;
    }
    out_ += " Limits that are not kept:</p><ul class=\"reasons\">";
    for (std::size_t i = 0; i < std::min(e_.violations.size(), kReasonsShown); ++i)
      add("<li><b>{}</b>: {}</li>", escape_html(condition_name(e_.violations[i].condition)),
          escape_html(e_.violations[i].words()));
    if (e_.violations.size() > kReasonsShown)
      add("<li>and {} more</li>", e_.violations.size() - kReasonsShown);
    out_ += "</ul>";
  }

  void write_quality_tiles(const ModelQuality& quality) {
    const auto& reference = clean_.reference;
    const ApFigures& all = quality.ap.by_size[0];
    write_tile(figure(all.ap), "AP",
               reference
                   ? fmt::format("{}: {}", r_.reference_name(), figure(reference->ap.by_size[0].ap))
                   : interval_text(quality.ap_interval));
    write_tile(figure(all.ap50), "AP50",
               fmt::format("with boxes that overlap by half; AP75 {}", figure(all.ap75)));
    write_tile(figure(quality.ap.by_size[1].ap), "AP of small objects",
               reference
                   ? fmt::format("{}: {}", r_.reference_name(), figure(reference->ap.by_size[1].ap))
                   : fmt::format("{} of them", quality.ap.objects[1]));
    if (has_reference()) return;
    const OperatingFigures& at_score = quality.operating.by_size[0];
    write_tile(figure(at_score.recall()),
               fmt::format("recall from score {:.2f} on", quality.operating.score),
               fmt::format("precision {}", figure(at_score.precision())));
  }

  static std::string agreement_text(const AgreementReport& agreement) {
    return sure_detections(agreement.counts) > 0 ? fmt::format("{:.4f}", agreement.agreement())
                                                 : std::string(kDash);
  }

  void write_speed_tile() {
    const auto& model = r_.context.model;
    if (!model || model->speed.in_flight == 0) return;
    std::string beside = fmt::format("{:.1f} pictures/s with {} at once",
                                     model->speed.pictures_per_second, model->speed.in_flight);
    if (const auto& reference = r_.context.reference)
      beside +=
          fmt::format("; {}: {:.1f}\u00A0ms", r_.reference_name(), reference->speed.median_ms);
    write_tile(fmt::format("{:.1f}\u00A0ms", model->speed.median_ms), "a picture", beside);
  }

  [[nodiscard]] bool is_violated(const std::string& condition, std::string_view what) const {
    return std::ranges::any_of(e_.violations, [&](const Violation& each) {
      return each.condition == condition && each.what == what;
    });
  }

  void write_conditions() {
    const ConsistencyLimits& limits = r_.context.options.limits;
    std::vector<IntervalRow> agreement, loss, small;
    for (const ConditionReport& each : e_.conditions) {
      const std::string name = condition_name(each.name);
      agreement.push_back({.name = name, .is_bad = is_violated(each.name, "agreement")});
      if (sure_detections(each.agreement->counts) > 0) {
        agreement.back().value = each.agreement->agreement();
        agreement.back().interval = each.agreement->interval;
      }
      const auto row = [&](std::size_t range, const char* what) {
        IntervalRow made{.name = name, .is_bad = is_violated(each.name, what)};
        if (each.loss && each.loss->by_size[range]) {
          made.value = each.loss->by_size[range]->value;
          made.interval = each.loss->by_size[range]->interval;
        }
        return made;
      };
      loss.push_back(row(0, "ap_loss"));
      small.push_back(row(1, "small_ap_loss"));
    }
    out_ +=
        "<section><h2>The same pictures, as cameras spoil them</h2><p>Both models see the same "
        "pixels. The shaded side of the dashed line is beyond the limit.</p><div class=\"charts\">";
    add("<div>{}</div>", draw_interval_rows("Agreement", agreement, limits.agreement, false));
    if (clean_.loss) {
      add("<div>{}</div>", draw_interval_rows("AP loss", loss, limits.ap_loss, true));
      add("<div>{}</div>",
          draw_interval_rows("AP loss of small objects", small, limits.small_ap_loss, true));
    }
    out_ += "</div>";
    write_condition_table();
    out_ += "</section>";
  }

  void write_header_row(std::initializer_list<std::string_view> names) {
    out_ += "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>";
    for (const std::string_view name : names) add("<th scope=\"col\">{}</th>", name);
    out_ += "</tr></thead><tbody>";
  }

  void write_condition_table() {
    write_header_row({"condition", "agreement", "recall", "sure precision", "sure detections",
                      "score shift", "box IoU", "AP", "AP of the other", "AP loss"});
    for (const ConditionReport& each : e_.conditions) {
      const AgreementReport& a = *each.agreement;
      add("<tr><th scope=\"row\">{}</th><td{}>{}</td><td>{:.4f}</td><td>{:.4f}</td><td>{}</td>"
          "<td>{:+.4f}</td><td>{:.3f}</td>",
          escape_html(condition_name(each.name)),
          is_violated(each.name, "agreement") ? " class=\"bad\"" : "", agreement_text(a),
          a.counts.recall(), a.counts.sure_precision(), a.counts.wanted, a.score_shift, a.mean_iou);
      if (each.model && each.reference && each.loss && each.loss->by_size[0])
        add("<td>{}</td><td>{}</td><td{}>{:+.4f}</td></tr>", figure(each.model->ap.by_size[0].ap),
            figure(each.reference->ap.by_size[0].ap),
            is_violated(each.name, "ap_loss") ? " class=\"bad\"" : "",
            each.loss->by_size[0]->value);
      else
        add("<td>{0}</td><td>{0}</td><td>{0}</td></tr>", kDash);
    }
    out_ += "</tbody></table></div>";
  }

  /// One model under several conditions.
  void write_condition_quality() {
    out_ += "<section><h2>As cameras spoil pictures</h2>";
    write_header_row({"condition", "AP", "AP50", "AP of small", "recall", "precision"});
    for (const ConditionReport& each : e_.conditions) {
      const ModelQuality& quality = *each.model;
      add("<tr><th "
          "scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
          escape_html(condition_name(each.name)), figure(quality.ap.by_size[0].ap),
          figure(quality.ap.by_size[0].ap50), figure(quality.ap.by_size[1].ap),
          figure(quality.operating.by_size[0].recall()),
          figure(quality.operating.by_size[0].precision()));
    }
    out_ += "</tbody></table></div></section>";
  }

  void write_quality() {
    std::vector<PrecisionLine> lines;
    const auto add_lines = [&](const std::string& name, const ModelQuality& quality,
                               std::size_t style) {
      lines.push_back(
          {.name = name + ", IoU .50", .style = style, .precision = quality.ap.precision_50});
      lines.push_back({.name = name + ", IoU .75",
                       .style = style,
                       .is_dashed = true,
                       .precision = quality.ap.precision_75});
    };
    if (clean_.reference) add_lines(r_.reference_name(), *clean_.reference, 1);
    add_lines(r_.model_name(), *clean_.model, 0);
    out_ +=
        "<section><h2>Precision and recall</h2><p>Mean over the classes, down to the lowest score. "
        "Further right and up is better; dashed asks for boxes that fit closely (IoU .75).</p>"
        "<ul class=\"legend\">";
    add("<li>{}{}</li>", draw_chart_marker(0), escape_html(r_.model_name()));
    if (clean_.reference)
      add("<li>{}{}</li>", draw_chart_marker(1), escape_html(r_.reference_name()));
    add("</ul><div class=\"charts\"><div>{}</div><div>", draw_precision_recall(lines));
    write_operating();
    out_ += "</div></div></section>";
  }

  void write_operating() {
    const ModelQuality& quality = *clean_.model;
    const OperatingFigures& all = quality.operating.by_size[0];
    add("<p>At the operating score of <b>{:.2f}</b> it finds {} of {} objects, and {} of its {} "
        "detections are right (IoU .50).</p>",
        quality.operating.score, all.found, all.wanted, all.found, all.given);
    if (const auto& best = quality.best)
      add("<p>The best balance is at a score of <b>{:.2f}</b>: recall {:.3f}, precision {:.3f}. A "
          "lower score finds more and is wrong more often.</p>",
          best->score, best->recall, best->precision);
  }

  void write_sizes() {
    out_ +=
        "<section><h2>By size</h2><p class=\"note\">Of the objects, in pixels of the picture: "
        "small up to 32 x 32, large from 96 x 96 on.</p>";
    write_header_row({"size", "objects", "AP", "AP50", "AP75", "recall at the score",
                      "AP of the other", "AP loss"});
    for (std::size_t range = 0; range < kSizeRanges; ++range) {
      const ApFigures& figures = clean_.model->ap.by_size[range];
      add("<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>",
          kSizeRangeNames[range], clean_.model->ap.objects[range], figure(figures.ap),
          figure(figures.ap50), figure(figures.ap75),
          figure(clean_.model->operating.by_size[range].recall()));
      const bool has_loss = clean_.loss && clean_.loss->by_size[range];
      add("<td>{}</td><td>{}</td></tr>",
          clean_.reference ? figure(clean_.reference->ap.by_size[range].ap) : std::string(kDash),
          has_loss ? fmt::format("{:+.4f}", clean_.loss->by_size[range]->value)
                   : std::string(kDash));
    }
    out_ += "</tbody></table></div></section>";
  }

  void write_classes() {
    if (clean_.model)
      write_labelled_classes();
    else if (clean_.agreement)
      write_compared_classes();
  }

  void write_labelled_classes() {
    std::vector<ClassAp> classes = clean_.model->ap.classes;
    std::ranges::stable_sort(classes, std::greater<>(), &ClassAp::objects);
    const std::size_t shown = std::min(classes.size(), kClassesDrawn);
    out_ += "<section><h2>By class</h2><p class=\"note\">Those with most objects first.";
    if (classes.size() > shown) add(" {} more are in the table below.", classes.size() - shown);
    out_ += "</p><div class=\"charts\">";
    for (std::size_t half = 0; half < 2; ++half) {
      std::vector<BarRow> rows;
      for (std::size_t i = half * ((shown + 1) / 2); i < (half == 0 ? (shown + 1) / 2 : shown);
           ++i) {
        BarRow row{.name = e_.labels[static_cast<std::size_t>(classes[i].class_id)],
                   .beside = fmt::format("{} objects", classes[i].objects),
                   .value = *classes[i].figures.ap};
        if (clean_.reference) {
          const auto other = std::ranges::find(clean_.reference->ap.classes, classes[i].class_id,
                                               &ClassAp::class_id);
          row.other = other->figures.ap;
        }
        rows.push_back(std::move(row));
      }
      if (!rows.empty()) add("<div>{}</div>", draw_bar_rows("AP", rows));
    }
    out_ += "</div><details><summary>All classes</summary>";
    write_header_row({"class", "objects", "AP", "AP50", "recall", "precision", "AP loss"});
    for (const ClassAp& each : classes) {
      const auto at_score = std::ranges::find(clean_.model->operating.classes, each.class_id,
                                              &ClassOperating::class_id);
      add("<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>",
          label(each.class_id), each.objects, figure(each.figures.ap), figure(each.figures.ap50),
          figure(at_score->figures.recall()), figure(at_score->figures.precision()));
      std::string loss(kDash);
      if (clean_.loss) {
        const auto found =
            std::ranges::find(clean_.loss->by_class, each.class_id, &std::pair<int, double>::first);
        if (found != clean_.loss->by_class.end()) loss = fmt::format("{:+.3f}", found->second);
      }
      add("<td>{}</td></tr>", loss);
    }
    out_ += "</tbody></table></div></details></section>";
  }

  void write_compared_classes() {
    out_ += "<section><h2>By class</h2>";
    write_header_row({"class", "agreement", "sure detections", "of these found",
                      "sure detections of the model", "of these confirmed"});
    const std::vector<PartAgreement>& classes = clean_.agreement->by_class;
    for (std::size_t id = 0; id < classes.size(); ++id) {
      const AgreementCounts& counts = classes[id].counts;
      if (counts.wanted == 0 && counts.sure_given == 0) continue;
      add("<tr><th "
          "scope=\"row\">{}</th><td>{:.4f}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
          label(static_cast<int>(id)), classes[id].agreement(), counts.wanted, counts.found,
          counts.sure_given, counts.sure_right);
    }
    out_ += "</tbody></table></div></section>";
  }

  void write_boxes(const std::vector<Detection>& detections, const std::vector<bool>& is_bad,
                   std::string_view bad_class, bool has_scores) {
    for (std::size_t i = 0; i < detections.size(); ++i) {
      const Box& box = detections[i].box;
      add("<rect class=\"box{}{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\">"
          "<title>{}{}</title></rect>",
          is_bad[i] ? " " : "", is_bad[i] ? bad_class : "", box.x1, box.y1,
          std::max(0.0F, box.x2 - box.x1), std::max(0.0F, box.y2 - box.y1),
          label(detections[i].class_id),
          has_scores ? fmt::format(" {:.2f}", detections[i].score) : std::string());
    }
  }

  void write_side(std::size_t index, std::string_view title, bool is_right) {
    const WorstPicture& worst = e_.worst[index];
    const Size size = e_.pictures[worst.picture].size;
    add("<div><p>{}</p><svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">",
        escape_html(title), size.width, size.height, escape_html(e_.pictures[worst.picture].name));
    if (!worst.jpeg.empty() && !is_right)
      add("<image id=\"w{}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" "
          "href=\"data:image/jpeg;base64,{}\"/>",
          index, size.width, size.height, encode_base64(worst.jpeg));
    else if (!worst.jpeg.empty())
      add("<use href=\"#w{}\"/>", index);
    if (is_right)
      write_boxes(worst.right, worst.is_right_bad, "false", true);
    else
      write_boxes(worst.left, worst.is_left_bad, "missed", has_reference());
    out_ += "</svg></div>";
  }

  void write_worst() {
    if (e_.worst.empty()) return;
    const std::string left = has_reference() ? r_.reference_name() : std::string("labels");
    add("<section><h2>The worst pictures</h2><p>Left {}, right {}. "
        "<i class=\"key-box\"></i>on both sides <i class=\"key-box missed\"></i>not found by the "
        "model <i class=\"key-box false\"></i>found by the model alone</p>",
        escape_html(left), escape_html(r_.model_name()));
    std::string condition;
    for (std::size_t i = 0; i < e_.worst.size(); ++i) {
      const WorstPicture& worst = e_.worst[i];
      if (worst.condition != condition) {
        add("{}<h3>{}</h3><div class=\"worst\">", condition.empty() ? "" : "</div>",
            escape_html(condition_name(worst.condition)));
        condition = worst.condition;
      }
      out_ += "<figure><div class=\"pair\">";
      write_side(i, left, false);
      write_side(i, r_.model_name(), true);
      add("</div><figcaption><b>{}</b>: {} missed, {} found by the model "
          "alone</figcaption></figure>",
          escape_html(e_.pictures[worst.picture].name), worst.missed, worst.unconfirmed);
    }
    out_ += "</div></section>";
  }

  void write_definition(std::string_view term, std::string_view meaning) {
    add("<dt>{}</dt><dd>{}</dd>", term, meaning);
  }

  void write_explanations() {
    const AgreementThresholds t;
    out_ += "<section><h2>How to read this</h2><dl>";
    if (clean_.model) {
      write_definition("AP",
                       "Average precision: the mean precision over all recalls (101 points), all "
                       "classes and the overlaps .50 to .95, as COCO's own tool computes it. It "
                       "looks at all detections from score .001 on, so it does not depend on the "
                       "operating score. <b>AP50</b>: boxes that overlap by half are right.");
      write_definition("recall, precision",
                       "At the operating score and an overlap of .50: the share of the objects "
                       "that is found, and the share of the detections that is right.");
      write_definition("interval",
                       fmt::format("Pictures drawn anew up to {} times (bootstrap, seed {}), the "
                                   "same draws for both models. It tells how far a figure depends "
                                   "on which pictures were taken.",
                                   r_.context.options.resamples, r_.context.options.seed));
    }
    if (has_reference()) {
      write_definition("agreement",
                       fmt::format("Harmonic mean of recall (of the other model's sure detections, "
                                   "above {:g}, the share that the model has above {:g}) and sure "
                                   "precision (of the model's sure ones, the share that the other "
                                   "has above {:g}); overlap at least {:g}.",
                                   t.hi, t.lo, t.base, t.iou));
      write_definition("score shift",
                       "Score of the model less that of the other, mean over the "
                       "detections that both have.");
      write_definition("AP loss",
                       "AP of the other less AP of the model: above 0 the model is worse.");
    }
    out_ += "</dl></section>";
  }

  void write_model(std::string_view term, const EvaluatedModel& model) {
    const ModelFacts& facts = model.facts;
    write_definition(
        term, fmt::format("{}, {}x{}, {}, {} on {} {}<br><code>{}</code>", escape_html(facts.path),
                          model.input.width, model.input.height, escape_html(facts.precision),
                          escape_html(facts.runtime), escape_html(facts.device),
                          escape_html(facts.device_name), escape_html(facts.hash)));
  }

  void write_making() {
    const EvalContext& context = r_.context;
    out_ += "<section><h2>How this was made</h2><dl>";
    write_definition("command", fmt::format("<code>{}</code>", escape_html(context.command)));
    write_definition("framemill", escape_html(context.version));
    write_definition("made at", escape_html(context.made_at));
    if (context.model) write_model("model", *context.model);
    if (context.reference) write_model("held against", *context.reference);
    if (!context.results_path.empty())
      write_definition("detections", escape_html(context.results_path));
    write_definition("data",
                     fmt::format("{}, {} labels {}", escape_html(context.data_path),
                                 to_string(context.format), escape_html(context.labels_at)));
    if (!context.split.empty()) write_definition("split", escape_html(context.split));
    const Environment& machine = context.environment;
    write_definition("machine", escape_html(fmt::format("{}, {} cores, {}", machine.cpu_model,
                                                        machine.cpu_count, machine.kernel)));
    for (const std::string& note : e_.notes) write_definition("note", escape_html(note));
    for (const std::string& problem : e_.problems)
      write_definition("not read", escape_html(problem));
    out_ +=
        "</dl></section><footer>Made by framemill. This page holds everything it shows and "
        "loads nothing from a network.</footer>";
  }

  const EvalReport& r_;
  const Evaluation& e_;
  const ConditionReport& clean_;
  std::string out_;
  std::back_insert_iterator<std::string> end_;
};

}  // namespace

std::string to_eval_page(const EvalReport& report) { return Page(report).write(); }

}  // namespace framemill
