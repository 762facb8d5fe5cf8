#include "framemill/cli/compare_page.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "framemill/base/check.h"
#include "framemill/cli/compare_chart.h"
#include "framemill/cli/compare_page_assets.h"
#include "framemill/cli/html_text.h"

namespace framemill {
namespace {

/// "98.8 %", with a space that does not break. What is not quite all does not read "100.0 %".
std::string percent(double share) {
  const bool is_rounded_up = share < 1 && share >= .9995;
  if (is_rounded_up)
    return share < .99995 ? fmt::format("{:.2f}\u00A0%", share * 100) : "99.99\u00A0%";
  return fmt::format("{:.1f}\u00A0%", share * 100);
}

/// "80 %" in running text, where a digit more would claim too much; never rounded up to all.
std::string about(double share) {
  return share > .99 ? percent(share) : fmt::format("{:.0f}\u00A0%", share * 100);
}

/// "17,320"
std::string grouped(std::int64_t count) {
  std::string digits = std::to_string(count);
  for (std::size_t left = digits.size(); left > 3;) {
    left -= 3;
    digits.insert(digits.begin() + static_cast<std::ptrdiff_t>(left), ',');
  }
  return digits;
}

std::string named(std::int64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", grouped(count), count == 1 ? one : many);
}

std::string run_name(const RunFigures& run) {
  return run.setting.empty() ? run.policy : fmt::format("{}, {}", run.policy, run.setting);
}

/// An id, escaped, that may be broken into lines after each part of it.
std::string breakable(std::string_view id) {
  std::string out;
  for (std::size_t at = 0; at < id.size();) {
    const std::size_t end = std::min(id.find_first_of("_-./ ", at), id.size() - 1) + 1;
    out += escape_html(id.substr(at, end - at)) + (end < id.size() ? "<wbr>" : "");
    at = end;
  }
  return out;
}

/// Writes the page's parts into one string.
class Page {
 public:
  explicit Page(const Comparison& comparison) : c_(comparison), end_(std::back_inserter(out_)) {
    find_policies();
  }

  std::string write() {
    write_head();
    out_ += "<main>";
    write_headline();
    if (!c_.runs.empty()) {
      write_charts();
      write_runs();
      write_clips();
    }
    if (!c_.misses.empty()) write_misses();
    write_explanations();
    write_making();
    out_ += "</main>";
    fmt::format_to(end_, "<script>{}</script></body></html>\n", kComparePageScript);
    return std::move(out_);
  }

 private:
  template <typename... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(end_, format, std::forward<Args>(args)...);
  }

  /// Policies in the order of their runs; a policy keeps its colour from page to page.
  void find_policies() {
    std::size_t next_style = 3;
    for (const RunFigures& run : c_.runs) {
      if (std::ranges::find(policies_, run.policy, &ChartCurve::name) != policies_.end()) continue;
      std::size_t style = next_style;
      if (run.policy == "adaptive")
        style = 0;
      else if (run.policy == kBaselinePolicy)
        style = 1;
      else if (run.policy == "similarity")
        style = 2;
      else
        ++next_style;
      policies_.push_back({.name = run.policy, .style = style});
    }
  }
  [[nodiscard]] std::size_t style_of(const RunFigures& run) const {
    return std::ranges::find(policies_, run.policy, &ChartCurve::name)->style;
  }
  [[nodiscard]] bool has_baseline() const {
    return std::ranges::find(policies_, kBaselinePolicy, &ChartCurve::name) != policies_.end();
  }
  [[nodiscard]] const RunFigures* headline() const {
    return c_.headline ? &c_.runs[*c_.headline] : nullptr;
  }

  void write_head() {
    out_ +=
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
        // The page is handed on as a file: it must not fetch, send or run anything but its own.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
        "img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'\">"
        "<title>What saving inference costs: framemill compare</title>";
    add("<style>{}</style></head><body>", kComparePageStyle);
  }

  void write_headline() {
    out_ += "<header><p class=\"kicker\">framemill compare";
    if (!c_.runs.empty()) {
      const RunFigures& any = c_.runs.front();
      add(": {}, {}, {} of full inference",
          named(static_cast<std::int64_t>(c_.cameras.size()), "clip", "clips"),
          named(any.frames, "sampled frame", "sampled frames"),
          named(any.counts.wanted, "sure detection", "sure detections"));
    }
    out_ += "</p>";
    const RunFigures* const run = headline();
    if (run == nullptr) {
      out_ +=
          "<h1>What does it cost to infer less?</h1><p class=\"lead\">No run here saves "
          "inference by another policy than the baseline, so there is no saving to judge.</p>"
          "</header>";
      return;
    }
    const double saved = 1 - run->share_inferred;
    const AgreementFigures& pooled = run->pooled;
    if (std::min(pooled.recall, pooled.sure_precision) >= c_.context.fidelity) {
      add("<h1>{} less inference keeps {} of the detections</h1>", about(saved),
          percent(pooled.recall));
    } else {
      add("<h1>No saving here keeps {}: {} less inference keeps {} of the detections</h1>",
          about(c_.context.fidelity), about(saved), percent(pooled.recall));
    }
    add("<p class=\"lead\">With policy <b>{}</b> at <b>{}</b>, the model ran on {} of the frames; "
        "every other sampled frame got its answer without it. These answers hold {} of the sure "
        "detections that full inference reports, and full inference confirms {} of their own.",
        escape_html(run->policy), escape_html(run->setting.empty() ? "its default" : run->setting),
        percent(run->share_inferred), percent(pooled.recall), percent(pooled.sure_precision));
    if (const auto& against = run->against_baseline) {
      add(" Repeating the last boxes instead (<b>{}</b>), with as much inference, keeps {}.",
          kBaselinePolicy, percent(against->recall));
    }
    out_ += "</p></header>";
    write_tiles(*run);
  }

  void write_tile(std::string_view value, std::string_view what, std::string_view beside) {
    add("<div class=\"tile\"><b>{}</b><span class=\"what\">{}</span><span class=\"beside\">{}"
        "</span></div>",
        value, what, beside);
  }

  void write_tiles(const RunFigures& run) {
    out_ += "<div class=\"tiles\">";
    write_tile(
        percent(1 - run.share_inferred), "inference saved",
        fmt::format("the model ran on {} of the sampled frames", percent(run.share_inferred)));
    const auto& against = run.against_baseline;
    const auto beside = [&](double baseline) {
      return against ? fmt::format("{} at the same share: {}", kBaselinePolicy, percent(baseline))
                     : std::string("of full inference: 100\u00A0%");
    };
    write_tile(percent(run.pooled.recall), "recall", beside(against ? against->recall : 1));
    write_tile(percent(run.pooled.sure_precision), "sure precision",
               beside(against ? against->sure_precision : 1));
    if (against && against->misses) {
      const ErrorRatio& misses = *against->misses;
      write_tile(fmt::format("{:.2f}\u00A0\u00D7", misses.ratio),
                 fmt::format("the misses of {}", kBaselinePolicy),
                 misses.low ? fmt::format("95\u00A0% interval over clips: {:.2f} to {:.2f}",
                                          *misses.low, *misses.high)
                            : "too few clips for an interval");
    }
    if (run.motion_ms_per_frame) {
      std::string cost = "processor time a sampled frame";
      if (c_.context.inference_ms_per_frame) {
        const double full = *c_.context.inference_ms_per_frame;
        cost += fmt::format("; with the inference left {:.1f} ms in place of {:.1f} ms",
                            run.share_inferred * full + *run.motion_ms_per_frame, full);
      }
      write_tile(fmt::format("{:.2f}\u00A0ms", *run.motion_ms_per_frame), "cost of motion", cost);
    }
    out_ += "</div>";
  }

  std::string tip_of(const RunFigures& run) const {
    return fmt::format("{}\ninferred {}\nrecall {}, at IoU {:g} {}\nprecision {}, sure {}",
                       run_name(run), percent(run.share_inferred), percent(run.pooled.recall),
                       c_.options.strict_iou, percent(run.pooled.strict_recall),
                       percent(run.pooled.precision), percent(run.pooled.sure_precision));
  }

  void write_chart(std::string_view title, double AgreementFigures::*figure, double floor) {
    std::vector<ChartCurve> curves = policies_;
    for (std::size_t i = 0; i < c_.runs.size(); ++i) {
      const RunFigures& run = c_.runs[i];
      if (!(run.share_inferred > 0)) continue;
      const auto curve = std::ranges::find(curves, run.policy, &ChartCurve::name);
      curve->points.push_back({.share = run.share_inferred,
                               .value = run.pooled.*figure,
                               .tip = tip_of(run),
                               .is_marked = c_.headline == i});
    }
    // The policy of the headline lies on top of the others.
    if (const RunFigures* const run = headline()) {
      std::stable_partition(curves.begin(), curves.end(),
                            [&](const ChartCurve& curve) { return curve.name != run->policy; });
    }
    add("<div>{}</div>", draw_share_chart(title, curves, floor));
  }

  void write_charts() {
    out_ +=
        "<section><h2>What a share of inference buys</h2><p>Each point is one run over all "
        "clips; further up is better, further left is cheaper. The ring at the top right is "
        "full inference, which all are compared with.";
    if (headline() != nullptr) out_ += " The circled point is the run of the headline.";
    out_ += "</p><ul class=\"legend\">";
    for (const ChartCurve& policy : policies_)
      add("<li>{}{}</li>", draw_chart_marker(policy.style), escape_html(policy.name));
    out_ += "</ul>";
    const auto floor_of = [&](std::initializer_list<double AgreementFigures::*> figures) {
      std::vector<double> values;
      for (const RunFigures& run : c_.runs) {
        for (const auto figure : figures) values.push_back(run.pooled.*figure);
      }
      return chart_floor(values);
    };
    const double floor = floor_of({&AgreementFigures::recall, &AgreementFigures::precision});
    out_ += "<div class=\"charts\">";
    write_chart("Recall", &AgreementFigures::recall, floor);
    write_chart("Precision", &AgreementFigures::precision, floor);
    out_ +=
        "</div><details><summary>Recall with tighter boxes, precision of sure detections"
        "</summary><div class=\"charts\">";
    const double other =
        floor_of({&AgreementFigures::strict_recall, &AgreementFigures::sure_precision});
    write_chart(fmt::format("Recall at IoU \u2265 {:g}", c_.options.strict_iou),
                &AgreementFigures::strict_recall, other);
    write_chart("Sure precision", &AgreementFigures::sure_precision, other);
    out_ += "</div></details></section>";
  }

  void write_ratio(const RunFigures& run, std::optional<ErrorRatio> BaselineComparison::*which) {
    out_ += "<td>";
    if (run.policy == kBaselinePolicy) {
      out_ += "<span class=\"soft\">1</span>";
    } else if (const auto& against = run.against_baseline; against && (*against).*which) {
      const ErrorRatio& ratio = *((*against).*which);
      add("{:.2f}", ratio.ratio);
      if (ratio.low) add("<br><span class=\"ci\">[{:.2f}, {:.2f}]</span>", *ratio.low, *ratio.high);
    } else {
      out_ += "\u2013";
    }
    out_ += "</td>";
  }

  void write_runs() {
    add("<section><h2>All runs</h2><p class=\"note\">Pooled over all clips; the macro recall is "
        "the mean over clips with at least {} sure detections. A ratio below 1 says how much of "
        "the error of {} at the same share of inference is left; brackets hold the 95\u00A0% "
        "interval over clips. Clips behind: with at least {} sure detections, and recall or sure "
        "precision below {}.</p>",
        c_.options.macro_least, kBaselinePolicy, c_.options.below_least, kBaselinePolicy);
    out_ += "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th scope=\"col\">run</th>";
    for (const std::string& name :
         {std::string("frames inferred"), std::string("recall"), std::string("sure precision"),
          std::string("preci\u00ADsion"), std::string("mean IoU"),
          fmt::format("recall at IoU {:g}", c_.options.strict_iou), std::string("macro recall"),
          fmt::format("misses, {}\u00A0=\u00A01", kBaselinePolicy),
          fmt::format("sure errors, {}\u00A0=\u00A01", kBaselinePolicy),
          std::string("clips behind"), std::string("motion, ms a frame")})
      add("<th scope=\"col\">{}</th>", name);
    out_ += "</tr></thead><tbody>";
    for (std::size_t i = 0; i < c_.runs.size(); ++i) {
      const RunFigures& run = c_.runs[i];
      const bool is_first = i == 0 || c_.runs[i - 1].policy != run.policy;
      const bool is_marked = c_.headline == i;
      add("<tr class=\"{}{}\">", is_first ? "first" : "", is_marked ? " marked" : "");
      add("<th scope=\"row\"><span class=\"run\">{}{}</span></th>",
          draw_chart_marker(style_of(run)), escape_html(run_name(run)));
      const AgreementFigures& pooled = run.pooled;
      for (const double share : {run.share_inferred, pooled.recall, pooled.sure_precision,
                                 pooled.precision, pooled.mean_iou, pooled.strict_recall})
        add("<td>{}</td>", percent(share));
      add("<td>{}</td>", run.macro ? percent(run.macro->recall) : "\u2013");
      write_ratio(run, &BaselineComparison::misses);
      write_ratio(run, &BaselineComparison::sure_errors);
      if (run.against_baseline) {
        const std::size_t behind = run.against_baseline->clips_behind.size();
        const auto large = std::ranges::count_if(run.clips, [&](const ClipFigures& clip) {
          return clip.counts.wanted >= c_.options.below_least;
        });
        add("<td><span class=\"{}\">{}</span> of {}</td>", behind > 0 ? "bad" : "good", behind,
            large);
      } else {
        out_ += "<td>\u2013</td>";
      }
      add("<td>{}</td></tr>", run.motion_ms_per_frame
                                  ? fmt::format("{:.3f}", *run.motion_ms_per_frame)
                                  : std::string("\u2013"));
    }
    out_ += "</tbody></table></div></section>";
  }

  void write_clip_row(const RunFigures& run, std::size_t camera) {
    const ClipFigures& clip = run.clips[camera];
    const bool has_few = clip.counts.wanted < c_.options.macro_least;
    add("<tr{}><th scope=\"row\">{}</th>", has_few ? " class=\"few\"" : "",
        breakable(c_.cameras[camera].id));
    add("<td data-v=\"{}\">{}</td><td data-v=\"{}\">{}</td>", clip.counts.wanted,
        grouped(clip.counts.wanted), clip.frames, grouped(clip.frames));
    const auto cell = [&](double value) {
      add("<td data-v=\"{:.6f}\">{}</td>", value, percent(value));
    };
    const auto nothing = [&] { out_ += "<td data-v=\"-1\">\u2013</td>"; };
    cell(clip.share_inferred);
    // Where there is nothing to count, 100 % would claim something.
    const auto& baseline = clip.baseline;
    const bool has_wanted = clip.counts.wanted > 0;
    const bool has_sure = clip.counts.sure_given > 0;
    has_wanted ? cell(clip.figures.recall) : nothing();
    has_wanted&& baseline ? cell(baseline->recall) : nothing();
    has_sure ? cell(clip.figures.sure_precision) : nothing();
    has_sure&& baseline ? cell(baseline->sure_precision) : nothing();
    clip.counts.given > 0 ? cell(clip.figures.precision) : nothing();
    has_wanted ? cell(clip.figures.strict_recall) : nothing();
    const int rank = baseline && baseline->is_ahead ? 0 : has_few ? 1 : 2;
    add("<td data-v=\"{}\">", rank);
    if (clip.missing > 0) add("{} ", named(clip.missing, "frame unanswered", "frames unanswered"));
    if (rank == 0) add("<span class=\"badge\">behind {}</span>", kBaselinePolicy);
    if (rank == 1) out_ += "few detections";
    out_ += "</td></tr>";
  }

  void write_clips() {
    const std::size_t chosen = c_.headline.value_or(0);
    out_ += "<section><h2>Clip by clip</h2>";
    if (c_.runs.size() > 1) {
      // Shown by the script, without which it could not do anything.
      out_ += "<p hidden><label>Run: <select id=\"choice\">";
      for (std::size_t i = 0; i < c_.runs.size(); ++i) {
        add("<option value=\"{}\"{}>{}</option>", i, i == chosen ? " selected" : "",
            escape_html(run_name(c_.runs[i])));
      }
      out_ += "</select></label></p>";
    } else {
      add("<p>Run: {}</p>", escape_html(run_name(c_.runs[chosen])));
    }
    add("<p class=\"note\">The columns of {} say what it gives on the clip at the run's overall "
        "share of inference. A policy may spend more on one clip and less on another. Click a "
        "heading to sort.</p>",
        kBaselinePolicy);
    out_ += "<div class=\"scroll\" tabindex=\"0\"><table class=\"clips\"><thead><tr>";
    for (const std::string& name :
         {std::string("clip"), std::string("sure detections"), std::string("sampled frames"),
          std::string("frames inferred"), std::string("recall"),
          fmt::format("recall of {}", kBaselinePolicy), std::string("sure precision"),
          fmt::format("sure precision of {}", kBaselinePolicy), std::string("preci\u00ADsion"),
          fmt::format("recall at IoU {:g}", c_.options.strict_iou), std::string("remark")})
      add("<th scope=\"col\">{}</th>", name);
    out_ += "</tr></thead>";
    for (std::size_t i = 0; i < c_.runs.size(); ++i) {
      add("<tbody data-run=\"{}\"{}>", i, i == chosen ? "" : " hidden");
      for (std::size_t camera = 0; camera < c_.cameras.size(); ++camera)
        write_clip_row(c_.runs[i], camera);
      out_ += "</tbody>";
    }
    out_ += "</table></div></section>";
  }

  [[nodiscard]] std::string label_of(CameraIndex camera, int class_id) const {
    const std::vector<std::string>& labels = c_.cameras[camera].labels;
    const auto id = static_cast<std::size_t>(class_id);
    return class_id >= 0 && id < labels.size() && !labels[id].empty()
               ? labels[id]
               : fmt::format("class {}", class_id);
  }

  void write_box(const Box& box, std::string_view classes, const std::string& title) {
    add("<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"><title>{}"
        "</title></rect>",
        classes, box.x1, box.y1, std::max(0.0F, box.x2 - box.x1), std::max(0.0F, box.y2 - box.y1),
        escape_html(title));
  }

  void write_boxes(const WorstMiss& miss) {
    const auto words = [&](const Detection& detection, std::string_view side) {
      return fmt::format("{}: {} {:.2f}", side, label_of(miss.camera, detection.class_id),
                         detection.score);
    };
    for (std::size_t i = 0; i < miss.reference.size(); ++i) {
      const Detection& detection = miss.reference[i];
      if (i == miss.missed) continue;
      const bool is_sure = detection.score > c_.options.thresholds.hi;
      write_box(detection.box, is_sure ? "ref" : "ref faint", words(detection, "full inference"));
    }
    for (const Detection& detection : miss.given)
      write_box(detection.box, "ans", words(detection, "answer"));
    const Detection& missed = miss.reference[miss.missed];
    write_box(missed.box, "ref missed", words(missed, "full inference, missed"));
  }

  /// What the magnifier shows: the missed box with room around it, 4:3, inside the picture where it
  /// fits.
  static Box magnified(const Box& box, Size size) {
    const double width = size.width;
    const double height = size.height;
    double h = std::max({(box.y2 - box.y1) * 2.0, (box.x2 - box.x1) * 2.0 * .75, height * .14});
    h = std::min({h, height, width * .75});
    const double w = h / .75;
    const double x = std::clamp((box.x1 + box.x2) / 2 - w / 2, 0.0, width - w);
    const double y = std::clamp((box.y1 + box.y2) / 2 - h / 2, 0.0, height - h);
    return {static_cast<float>(x), static_cast<float>(y), static_cast<float>(x + w),
            static_cast<float>(y + h)};
  }

  void write_picture(std::size_t index) {
    const WorstMiss& miss = c_.misses[index];
    const Size size = c_.cameras[miss.camera].picture_size;
    const Box& missed = miss.reference[miss.missed].box;
    const Box crop = magnified(missed, size);
    // The magnifier sits in the right lower corner, or in the left one where it would hide the
    // miss.
    const bool is_hiding = missed.x2 > static_cast<float>(size.width) * .62F &&
                           missed.y2 > static_cast<float>(size.height) * .5F;
    add("<div class=\"shots{}\"><svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">",
        is_hiding ? " left" : "", size.width, size.height,
        escape_html(fmt::format("{}, frame {}, with boxes of both", c_.cameras[miss.camera].id,
                                miss.frame_index)));
    const bool has_picture = index < c_.pictures.size() && !c_.pictures[index].empty();
    if (has_picture) {
      add("<image id=\"p{}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" "
          "href=\"data:image/jpeg;base64,{}\"/>",
          index, size.width, size.height, encode_base64(c_.pictures[index]));
    }
    write_boxes(miss);
    const float crop_width = crop.x2 - crop.x1;
    const bool is_worth_it = crop_width < static_cast<float>(size.width) * .45F;
    if (is_worth_it) {
      add("<rect class=\"crop\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>",
          crop.x1, crop.y1, crop_width, crop.y2 - crop.y1);
    }
    out_ += "</svg>";
    if (is_worth_it) {
      add("<svg class=\"zoom\" viewBox=\"{:.1f} {:.1f} {:.1f} {:.1f}\" aria-hidden=\"true\">",
          crop.x1, crop.y1, crop_width, crop.y2 - crop.y1);
      if (has_picture) add("<use href=\"#p{}\"/>", index);
      write_boxes(miss);
      out_ += "</svg>";
    }
    out_ += "</div>";
  }

  static std::string explain_origin(const WorstMiss& miss) {
    const std::int64_t back = miss.frame_index - miss.source_frame_index;
    switch (miss.origin) {
      case Origin::kInferred:
        return "The model ran on this very frame, but its answer differs.";
      case Origin::kPropagated:
        return fmt::format("Boxes carried by motion from frame {}, {} earlier.",
                           miss.source_frame_index, named(back, "frame", "frames"));
      case Origin::kReused:
        return fmt::format("Boxes of frame {} unchanged, {} earlier.", miss.source_frame_index,
                           named(back, "frame", "frames"));
      case Origin::kNone:
        break;
    }
    return "This frame got no answer.";
  }

  void write_misses() {
    out_ += "<section><h2>The worst misses</h2>";
    if (const RunFigures* const run = headline()) {
      add("<p>Of <b>{}</b>: objects that full inference was sure of and the answers lacked for the "
          "longest time, one of each clip first. What is seen here is the price of the saving.</p>",
          escape_html(run_name(*run)));
    }
    // The style sheet alone hides what is switched off.
    out_ +=
        "<p><label class=\"switch\"><input type=\"checkbox\" id=\"show-ref\" checked>"
        "<i class=\"i-ref\"></i>full inference, <i class=\"i-miss\"></i>missed</label> "
        "<label class=\"switch\"><input type=\"checkbox\" id=\"show-ans\" checked>"
        "<i class=\"i-ans\"></i>answer</label></p><div class=\"strip\">";
    for (std::size_t i = 0; i < c_.misses.size(); ++i) {
      const WorstMiss& miss = c_.misses[i];
      const Detection& missed = miss.reference[miss.missed];
      out_ += "<figure>";
      write_picture(i);
      add("<figcaption><b>{}</b>, frame {} at {:.1f} s: {} (score {:.2f}) missed in {}",
          escape_html(c_.cameras[miss.camera].id), miss.frame_index, miss.pts_s,
          escape_html(label_of(miss.camera, missed.class_id)), missed.score,
          miss.frames_missed == 1 ? std::string("one sampled frame")
                                  : fmt::format("{} sampled frames in a row, {:.1f} s",
                                                miss.frames_missed, miss.seconds_missed));
      add(". <span class=\"soft\">{}</span></figcaption></figure>", explain_origin(miss));
    }
    out_ += "</div></section>";
  }

  void write_definition(std::string_view term, std::string_view meaning) {
    add("<dt>{}</dt><dd>{}</dd>", term, meaning);
  }

  void write_explanations() {
    const AgreementThresholds& t = c_.options.thresholds;
    out_ += "<section><h2>How to read this</h2><dl>";
    write_definition("full inference",
                     "The model on every sampled frame. It is the reference: each run is compared "
                     "with it frame by frame. Two detections are the same where class and place "
                     "agree: one to one, the best overlap first.");
    write_definition(
        "frames inferred",
        "Share of the sampled frames that the model ran on. The rest of the compute is "
        "saved, apart from the cost of motion.");
    write_definition("recall",
                     fmt::format("Of the sure detections of full inference (score above {:g}), the "
                                 "share that the run reports, too (score above {:g}, IoU at least "
                                 "{:g}).",
                                 t.hi, t.lo, t.iou));
    write_definition(
        "precision",
        fmt::format("Of what the run reports (score above {:g}), the share that full inference "
                    "confirms (score above {:g}). <b>Sure precision</b>: of its sure detections "
                    "(above {:g}). A double counts as wrong.",
                    t.lo, t.base, t.hi));
    write_definition("mean IoU",
                     fmt::format("How well the boxes of recalled detections overlap, 1 is exact. "
                                 "<b>Recall at IoU {:g}</b> asks for tighter boxes.",
                                 c_.options.strict_iou));
    if (has_baseline()) {
      write_definition(
          "hold",
          "The simple way to save: infer each Nth sampled frame and repeat its boxes in between. "
          "Other policies are held against it at the same share of inference, read off the line "
          "through its runs.");
      write_definition(
          "interval",
          fmt::format("Clips drawn anew {} times, the same draws for both sides (paired bootstrap, "
                      "seed {}). It tells how far the ratio depends on which clips were filmed.",
                      grouped(static_cast<std::int64_t>(c_.options.resamples)), c_.options.seed));
    }
    out_ +=
        "</dl></section><section><h2>Limits</h2><ul>"
        "<li>Agreement with full inference is not truth: what the model itself overlooks or "
        "makes up on every frame is not seen here. <code>framemill eval</code> measures a model "
        "against labels.</li>"
        "<li>The figures hold for these clips. Other cameras, seasons and hours can differ; "
        "compare on your own footage, and let the audit watch it in operation.</li>"
        "<li>Differences within an interval are no differences. With few clips the intervals "
        "are wide, or absent.</li>"
        "<li>Runs here read files as fast as they can be processed. What a machine holds live, "
        "with deadlines, is the business of <code>framemill bench</code>, <code>plan</code> and "
        "<code>verify</code>.</li></ul></section>";
  }

  void write_making() {
    const ComparisonContext& context = c_.context;
    out_ += "<section><h2>How this was made</h2><dl>";
    const auto row = [&](std::string_view term, const std::string& value) {
      if (!value.empty()) write_definition(term, escape_html(value));
    };
    if (!context.command.empty())
      write_definition("command", fmt::format("<code>{}</code>", escape_html(context.command)));
    row("framemill", context.version);
    row("made at", context.made_at);
    for (std::size_t i = 0; i < context.models.size(); ++i) {
      const ModelFacts& facts = context.models[i];
      write_definition(fmt::format("model {}", escape_html(context.model_names[i])),
                       fmt::format("{}, {}, {} on {} {}<br><code>{}</code>",
                                   escape_html(facts.path), escape_html(facts.precision),
                                   escape_html(facts.runtime), escape_html(facts.device),
                                   escape_html(facts.device_name), escape_html(facts.hash)));
    }
    const Environment& environment = context.environment;
    row("machine",
        fmt::format("{}, {}, {:.1f} GB memory, {}", environment.cpu_model,
                    named(environment.cpu_count, "core", "cores"),
                    static_cast<double>(environment.memory_bytes) / 1e9, environment.kernel));
    std::string settings = fmt::format("motion {}, answer delay {:g} ms, seed {}",
                                       context.motion.empty() ? "none" : context.motion,
                                       to_ms(context.answer_delay), c_.options.seed);
    if (context.inference_ms_per_frame)
      settings += fmt::format(", {:.2f} ms an inference", *context.inference_ms_per_frame);
    row("settings", settings);
    out_ +=
        "</dl></section><footer>Made by framemill. This page holds everything it shows and "
        "loads nothing from a network.</footer>";
  }

  const Comparison& c_;
  std::string out_;
  std::back_insert_iterator<std::string> end_;
  std::vector<ChartCurve> policies_;  ///< without points
};

}  // namespace

std::string to_compare_page(const Comparison& comparison) {
  for (const RunFigures& run : comparison.runs)
    CHECK(run.clips.size() == comparison.cameras.size());
  return Page(comparison).write();
}

}  // namespace framemill
