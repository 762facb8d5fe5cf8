#include "framemill/cli/bench_page.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "framemill/base/check.h"
#include "framemill/cli/bench_chart.h"
#include "framemill/cli/compare_chart.h"
#include "framemill/cli/compare_page_assets.h"
#include "framemill/cli/html_text.h"

namespace framemill {
namespace {

std::string plural(std::size_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

/// Writes the page's parts into one string.
class Page {
 public:
  Page(const DeviceProfile& profile, const BenchPageExtras& extras)
      : p_(profile), extras_(extras), end_(std::back_inserter(out_)) {}

  std::string write() {
    write_head();
    out_ += "<main>";
    write_headline();
    write_change();
    write_batches();
    write_streams();
    write_distribution();
    write_table();
    write_decoding();
    write_making();
    fmt::format_to(end_, "</main><script>{}</script></body></html>\n", kComparePageScript);
    return std::move(out_);
  }

 private:
  [[nodiscard]] std::string tip_of(const ServicePoint& point) const {
    return fmt::format("{}\n{:.1f} frames/s\np50 {:.1f}, p95 {:.1f}, p99 {:.1f} ms",
                       describe_point(point), point.frames_per_s, latency_ms(point, 50),
                       latency_ms(point, 95), latency_ms(point, 99));
  }
  [[nodiscard]] bool is_knee(const ServicePoint& point) const {
    return point.batch == p_.knee_batch && point.streams == p_.knee_streams && point.decoders == 0;
  }

  void write_head() {
    fmt::format_to(end_,
                   "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                   "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
                   "<title>{} on {}</title><style>{}</style></head><body>",
                   escape_html(p_.model), escape_html(p_.device), kComparePageStyle);
  }

  void write_tile(std::string_view what, const std::string& figure, const std::string& beside) {
    fmt::format_to(end_,
                   R"(<div class="tile"><span class="what">{}</span><b>{}</b>)"
                   R"(<span class="beside">{}</span></div>)",
                   escape_html(what), escape_html(figure), escape_html(beside));
  }

  void write_headline() {
    const ServicePoint* const knee = find_point(p_, p_.knee_batch, p_.knee_streams, 0);
    CHECK(knee != nullptr);
    fmt::format_to(end_,
                   R"(<p class="kicker">framemill bench</p><h1>{} does {:.0f} frames/s on {}</h1>)",
                   escape_html(p_.model), knee->frames_per_s, escape_html(p_.device));
    fmt::format_to(end_,
                   R"(<p class="lead">{}, {}x{}, {}: from a decoded picture to its detections, as )"
                   R"(<code>framemill run</code> does it.</p><div class="tiles">)",
                   escape_html(p_.device_name), p_.input.width, p_.input.height,
                   escape_html(p_.precision));
    write_tile("Throughput at the knee", fmt::format("{:.1f}/s", knee->frames_per_s),
               describe_point(*knee));
    write_tile("Latency there, p95", fmt::format("{:.1f} ms", latency_ms(*knee, 95)),
               fmt::format("half of the batches within {:.1f} ms", latency_ms(*knee, 50)));
    write_tile("Processor", fmt::format("{:.2f} cores", knee->cpu_cores),
               fmt::format("{:.0f} MB of memory", static_cast<double>(knee->host_bytes) / 1e6));
    if (knee->device_bytes)
      write_tile("Card", fmt::format("{:.0f} MB", static_cast<double>(*knee->device_bytes) / 1e6),
                 knee->power_w ? fmt::format("{:.0f} W while busy", *knee->power_w)
                               : std::string("of its memory"));
    if (const ServicePoint* const run = find_point(p_, p_.knee_batch, p_.run_streams, 0);
        run != nullptr && !is_knee(*run))
      write_tile("As run does it", fmt::format("{:.1f}/s", run->frames_per_s),
                 fmt::format("{}, p95 {:.1f} ms", describe_point(*run), latency_ms(*run, 95)));
    if (const ServicePoint* const beside = most_decoders(); beside != nullptr)
      write_tile("With cameras decoded beside", fmt::format("{:.1f}/s", beside->frames_per_s),
                 fmt::format("{}, p95 {:.1f} ms", plural(beside->decoders, "camera"),
                             latency_ms(*beside, 95)));
    out_ += "</div>";
  }

  [[nodiscard]] const ServicePoint* most_decoders() const {
    const ServicePoint* most = nullptr;
    for (const ServicePoint& point : p_.points) {
      if (point.decoders > 0 && (most == nullptr || point.decoders > most->decoders)) most = &point;
    }
    return most;
  }

  void write_change() {
    if (extras_.before_name.empty()) return;
    out_ += "<section><h2>Since the older profile</h2><pre style=\"overflow-x:auto\">";
    out_ += escape_html_lines(format_bench_change(extras_.change, extras_.before_name));
    out_ += "</pre></section>";
  }

  /// escape_html() replaces control characters; lines stay lines.
  static std::string escape_html_lines(const std::string& text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      out += escape_html(text.substr(at, end - at)) + "\n";
      at = end + 1;
    }
    return out;
  }

  /// Curves by name, in the order in which their points come.
  using Curves = std::vector<std::pair<std::string, std::vector<const ServicePoint*>>>;
  static std::vector<const ServicePoint*>& curve_of(Curves& curves, const std::string& name) {
    const auto found =
        std::ranges::find_if(curves, [&name](const auto& curve) { return curve.first == name; });
    return found != curves.end()
               ? found->second
               : curves.emplace_back(name, std::vector<const ServicePoint*>()).second;
  }

  /// Two charts side by side, throughput and p95, of the same points.
  void write_pair(const BenchChartAxis& x, const Curves& curves,
                  double (*x_of)(const ServicePoint&)) {
    std::vector<BenchChartCurve> throughput, latency;
    out_ += R"(<ul class="legend">)";
    for (const auto& [name, points] : curves) {
      BenchChartCurve& fast = throughput.emplace_back();
      BenchChartCurve& slow = latency.emplace_back();
      fast.style = slow.style = (throughput.size() - 1) % kChartStyles;
      for (const ServicePoint* const point : points) {
        fast.points.push_back({x_of(*point), point->frames_per_s, tip_of(*point), is_knee(*point)});
        slow.points.push_back(
            {x_of(*point), latency_ms(*point, 95), tip_of(*point), is_knee(*point)});
      }
      fmt::format_to(end_, "<li>{}{}</li>", draw_legend_marker(fast.style), escape_html(name));
    }
    out_ += R"(</ul><div class="charts">)";
    out_ += draw_bench_chart("Throughput, frames/s", x, "", throughput);
    out_ += draw_bench_chart("Latency of a batch, p95", x, " ms", latency);
    out_ += "</div>";
  }

  static std::string draw_legend_marker(std::size_t style) {
    return fmt::format(
        R"(<svg class="key" viewBox="0 0 26 14" aria-hidden="true"><path class="curve s{0}" )"
        R"(d="M1 7H25"/><circle class="dot s{0}" cx="13" cy="7" r="4.2"/></svg>)",
        style);
  }

  void write_batches() {
    Curves curves;
    std::set<double> ticks;
    for (const ServicePoint& point : p_.points) {
      if (point.decoders > 0) continue;
      curve_of(curves, plural(point.streams, "stream")).push_back(&point);
      ticks.insert(static_cast<double>(point.batch));
    }
    std::erase_if(curves, [](const auto& curve) { return curve.second.size() < 2; });
    out_ += "<section><h2>Larger batches</h2>";
    if (curves.empty()) {
      out_ += "<p class=\"note\">The model was measured with single pictures only.</p></section>";
      return;
    }
    fmt::format_to(end_,
                   "<p>The knee is the batch past which doubling adds less than 5 % throughput: "
                   "<b>{}</b>. Past it, a batch only takes longer.</p>",
                   p_.knee_batch);
    write_pair({"frames a batch", {ticks.begin(), ticks.end()}, true}, curves,
               [](const ServicePoint& point) { return static_cast<double>(point.batch); });
    out_ += "</section>";
  }

  void write_streams() {
    Curves curves;
    std::set<double> ticks;
    for (const ServicePoint& point : p_.points) {
      if (point.batch != p_.knee_batch) continue;
      const std::string name =
          point.decoders == 0 ? "the model alone"
                              : fmt::format("{} decoded beside", plural(point.decoders, "camera"));
      curve_of(curves, name).push_back(&point);
      ticks.insert(static_cast<double>(point.streams));
    }
    fmt::format_to(end_,
                   "<section><h2>More streams</h2><p>Batches of {} in flight at once: throughput "
                   "grows up to <b>{}</b>; <code>run</code> keeps {}.</p>",
                   p_.knee_batch, p_.knee_streams, p_.run_streams);
    write_pair({"streams", {ticks.begin(), ticks.end()}, false}, curves,
               [](const ServicePoint& point) { return static_cast<double>(point.streams); });
    out_ += "</section>";
  }

  void write_distribution() {
    std::vector<BenchChartCurve> curves;
    double most = 0;
    std::string legend = R"(<ul class="legend">)";
    for (const ServicePoint& point : p_.points) {
      const bool is_shown =
          point.batch == p_.knee_batch && (point.streams == p_.knee_streams ||
                                           point.streams == p_.run_streams || point.streams == 1);
      if (!is_shown || point.service.percentiles.empty()) continue;
      BenchChartCurve& curve = curves.emplace_back();
      curve.style = (curves.size() - 1) % kChartStyles;
      curve.has_dots = false;
      // The slowest one in a hundred may be very slow and would squeeze all others.
      for (std::size_t i = 0; i <= 99; ++i) {
        const bool has_tip = i == 50 || i == 95 || i == 99;
        curve.points.push_back({latency_ms(point, i), static_cast<double>(i),
                                has_tip
                                    ? fmt::format("{}\n{} % within {:.1f} ms",
                                                  describe_point(point), i, latency_ms(point, i))
                                    : std::string()});
      }
      most = std::max(most, latency_ms(point, 99));
      legend += fmt::format("<li>{}{}</li>", draw_legend_marker(curve.style),
                            escape_html(describe_point(point)));
    }
    if (curves.empty() || most <= 0) return;
    out_ +=
        "<section><h2>Distribution of the latency</h2><p>Share of the batches that came back "
        "within a time, up to 99 %; the dots are at 50, 95 and 99 %. The simulator draws its "
        "service times from these.</p>";
    out_ += legend + R"(</ul><div class="charts">)";
    out_ += draw_bench_chart("Batches back", {"ms", round_ticks(most), false}, " %", curves);
    out_ += "</div></section>";
  }

  void write_table() {
    out_ += R"(<section><h2>All settings</h2><div class="scroll" tabindex="0"><table><thead><tr>)";
    for (const char* const name :
         {"setting", "frames/s", "p50 ms", "p95 ms", "p99 ms", "longest ms", "cores", "memory MB",
          "card's memory MB", "power W", "temperature C", "spread of windows"})
      fmt::format_to(end_, "<th>{}</th>", name);
    out_ += "</tr></thead><tbody>";
    const auto number = [](const std::optional<double>& value) {
      return value ? fmt::format("{:.1f}", *value) : std::string("-");
    };
    const auto megabytes = [](const std::optional<std::int64_t>& bytes) {
      return bytes ? fmt::format("{:.0f}", static_cast<double>(*bytes) / 1e6) : std::string("-");
    };
    for (const ServicePoint& point : p_.points)
      fmt::format_to(end_,
                     "<tr{}><th>{}{}</th><td>{:.1f}</td><td>{:.1f}</td><td>{:.1f}</td>"
                     "<td>{:.1f}</td><td>{:.1f}</td><td>{:.2f}</td><td>{:.0f}</td><td>{}</td>"
                     "<td>{}</td><td>{}</td><td>{:.0f}\u00A0%</td></tr>",
                     is_knee(point) ? R"( class="marked")" : "", escape_html(describe_point(point)),
                     is_knee(point) ? " (knee)" : "", point.frames_per_s, latency_ms(point, 50),
                     latency_ms(point, 95), latency_ms(point, 99), latency_ms(point, 100),
                     point.cpu_cores, static_cast<double>(point.host_bytes) / 1e6,
                     megabytes(point.device_bytes), number(point.power_w),
                     number(point.temperature_c), point.spread * 100);
    out_ +=
        "</tbody></table></div><p class=\"note\">A card's memory, power and temperature are absent "
        "where the system does not show them of the device that computes.</p></section>";
  }

  void write_decoding() {
    if (p_.decode.empty()) return;
    out_ += R"(<section><h2>Decoding</h2><div class="scroll" tabindex="0"><table><thead><tr>)"
            "<th>codec</th><th>size</th><th>frames/s a core</th><th>cameras of 25/s a core</th>"
            "</tr></thead><tbody>";
    for (const DecodeRate& rate : p_.decode)
      fmt::format_to(end_, "<tr><th>{}</th><td>{}x{}</td><td>{:.0f}</td><td>{:.0f}</td></tr>",
                     escape_html(rate.codec), rate.size.width, rate.size.height,
                     rate.frames_per_core_s, rate.frames_per_core_s / 25);
    out_ += "</tbody></table></div></section>";
  }

  void write_making() {
    out_ +=
        "<section><h2>How this was measured</h2><p>Each setting keeps the model busy: the next "
        "batch is handed over when one comes back. After a warm-up, windows are measured until "
        "three in a row differ by no more than 10 %.</p>";
    if (!extras_.notes.empty()) {
      out_ += "<ul>";
      for (const std::string& note : extras_.notes)
        fmt::format_to(end_, "<li>{}</li>", escape_html(note));
      out_ += "</ul>";
    }
    out_ += "<dl>";
    fmt::format_to(end_, "<dt>model sha256</dt><dd><code>{}</code></dd>",
                   escape_html(p_.model_sha256));
    for (const auto& [key, value] : p_.environment)
      fmt::format_to(end_, "<dt>{}</dt><dd>{}</dd>", escape_html(key), escape_html(value));
    out_ += "</dl></section>";
  }

  const DeviceProfile& p_;
  const BenchPageExtras& extras_;
  std::string out_;
  std::back_insert_iterator<std::string> end_;
};

}  // namespace

std::string to_bench_page(const DeviceProfile& profile, const BenchPageExtras& extras) {
  return Page(profile, extras).write();
}

}  // namespace framemill
