#include "framemill/plan/plan_report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace framemill {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kGibibyte = 1024.0 * 1024 * 1024;

/// Cells in columns as wide as their widest; the first is left-aligned, as are those that start
/// with a letter in every row.
class TextTable {
 public:
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] std::string text(std::string_view margin = "") const {
    std::vector<std::size_t> widths;
    for (const auto& row : rows_) {
      widths.resize(std::max(widths.size(), row.size()));
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string result;
    for (const auto& row : rows_) {
      std::string line(margin);
      for (std::size_t i = 0; i < row.size(); ++i)
        line += fmt::format("{}{:<{}}", i == 0 ? "" : "  ", row[i], widths[i]);
      line.erase(line.find_last_not_of(' ') + 1);
      result += line + "\n";
    }
    return result;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string percent(double share) { return fmt::format("{:.0f} %", share * 100); }
std::string percent(const std::optional<double>& share) { return share ? percent(*share) : "-"; }

/// 1234567 as "1.23 million"; counts below are written out.
std::string big(double value) {
  if (value >= 1e9) return fmt::format("{:.3g} billion", value / 1e9);
  if (value >= 1e6) return fmt::format("{:.3g} million", value / 1e6);
  return value >= 100 ? fmt::format("{:.0f}", value) : fmt::format("{:.4g}", value);
}

std::string decode_use(const CandidatePlan& plan) {
  std::vector<std::string> parts;
  if (plan.decode && plan.is_decoded_by_cores)
    parts.push_back(fmt::format("{:.2f} / {:.2f} cores", plan.decode->used, plan.decode->limit));
  else if (plan.decode)
    parts.push_back(
        fmt::format("{:.0f} / {:.0f} Mpx/s", plan.decode->used / 1e6, plan.decode->limit / 1e6));
  if (plan.host_decode)
    parts.push_back(plan.host_decode->limit
                        ? fmt::format("{:.2f} / {:.2f} host cores", plan.host_decode->used,
                                      *plan.host_decode->limit)
                        : fmt::format("{:.2f} host cores", plan.host_decode->used));
  if (!plan.is_decode_known) parts.emplace_back("not all known");
  return parts.empty() ? "-" : fmt::format("{}", fmt::join(parts, ", "));
}

/// Shares of a device with another one lost: busy, decoder, memory.
std::string after_loss(const CandidatePlan& plan) {
  if (!plan.occupancy_after_loss) return "-";
  return fmt::format("{}, {}, {}", percent(plan.occupancy_after_loss),
                     percent(plan.decode_after_loss), percent(plan.memory_after_loss));
}

/// Of all models that run on it.
std::string precisions(const CandidatePlan& plan) {
  std::vector<std::string> names;
  for (const DeviceLayout& layout : plan.layouts)
    for (const PlannedModel& model : layout.models)
      if (!model.precision.empty() && std::ranges::find(names, model.precision) == names.end())
        names.push_back(model.precision);
  return names.empty() ? "-" : fmt::format("{}", fmt::join(names, ", "));
}

std::string memory_use(const CandidatePlan& plan) {
  if (!plan.memory) return "-";
  return fmt::format("{:.2f} / {:.2f} GiB", plan.memory->used / kGibibyte,
                     plan.memory->limit / kGibibyte);
}

std::string power(const CandidatePlan& plan) {
  return plan.power_w ? fmt::format("{} W", big(*plan.power_w)) : "-";
}

std::string cost(const CandidatePlan& plan, const std::string& currency) {
  return plan.cost ? fmt::format("{:.0f} {}", *plan.cost, currency) : "-";
}

std::string confidence(Confidence confidence) {
  return confidence == Confidence::kScaled ? "scaled (+-30 %)" : std::string(to_string(confidence));
}
std::string confidence(const CapacityTerm& term) {
  return term.confidence ? confidence(*term.confidence) : "-";
}

std::string model_title(const PlannedModel& model) {
  std::string text = model.model.empty() ? "any model" : model.model;
  if (!model.precision.empty()) text += " " + model.precision;
  if (model.input.width > 0) text += fmt::format(" {}x{}", model.input.width, model.input.height);
  return text;
}

std::string summary(const Plan& plan) {
  return fmt::format("{} cameras, {} inferences/s (of {} sampled and {} delivered frames/s)",
                     big(plan.cameras), big(plan.qps), big(plan.sampled_per_s),
                     big(plan.frames_per_s));
}

std::string assumptions(const Plan& plan) {
  return fmt::format("redundancy {:g}, {}, eta {:g} ({}), decoders up to {}, memory up to {}",
                     plan.workload.redundancy, plan.workload.n_plus_1 ? "N+1" : "no N+1", plan.eta,
                     plan.eta_source, percent(plan.workload.decode_limit),
                     percent(plan.workload.memory_limit));
}

std::vector<std::string> what_if_header(const Plan& plan, const std::string& corner) {
  std::vector<std::string> header{corner};
  for (const double factor : plan.what_if.rate_factors)
    header.push_back(fmt::format("rate x {:g}", factor));
  return header;
}

std::vector<std::string> what_if_row(const Plan& plan, std::size_t i) {
  const double factor = plan.what_if.camera_factors[i];
  std::vector<std::string> row{fmt::format("{} (x {:g})", big(plan.cameras * factor), factor)};
  for (const std::optional<std::int64_t>& cell : plan.what_if.devices[i])
    row.push_back(cell ? std::to_string(*cell) : "-");
  return row;
}

std::string markdown_row(const std::vector<std::string>& cells) {
  std::string text = "|";
  for (std::string cell : cells) {
    for (std::size_t at = cell.find('|'); at != std::string::npos; at = cell.find('|', at + 2))
      cell.insert(at, 1, '\\');
    text += fmt::format(" {} |", cell);
  }
  return text + "\n";
}

std::string markdown_head(const std::vector<std::string>& cells) {
  std::string rule = "|";
  for (std::size_t i = 0; i < cells.size(); ++i) rule += "---|";
  return markdown_row(cells) + rule + "\n";
}

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

std::string csv_row(const std::vector<std::string>& cells) {
  std::vector<std::string> quoted;
  for (const std::string& cell : cells) quoted.push_back(csv_cell(cell));
  return fmt::format("{}\n", fmt::join(quoted, ","));
}

/// Six significant digits: what the last bits are is chance.
Json number(double value) {
  if (!std::isfinite(value)) return nullptr;
  return std::stod(fmt::format("{:.6g}", value));
}
/// Whole numbers, which counts and bytes are, keep all their digits.
Json whole(double value) {
  if (!std::isfinite(value) || std::abs(value) > 9e15) return number(value);
  return static_cast<std::int64_t>(std::llround(value));
}
Json number(const std::optional<double>& value) { return value ? number(*value) : Json(nullptr); }

Json usage(const std::optional<Usage>& use, double unit, const char* name) {
  if (!use) return nullptr;
  if (unit == 1 && std::string_view(name) == "bytes")
    return {{"used", whole(use->used)}, {"limit", whole(use->limit)}, {"unit", name}};
  return {{"used", number(use->used / unit)}, {"limit", number(use->limit / unit)}, {"unit", name}};
}

Json candidate_json(const CandidatePlan& one) {
  Json json;
  json["device"] = one.device.name;
  json["usable"] = one.problem.empty();
  json["problem"] = one.problem.empty() ? Json(nullptr) : Json(one.problem);
  json["count"] = one.count > 0 ? Json(one.count) : Json(nullptr);
  json["nodes"] = one.nodes > 0 ? Json(one.nodes) : Json(nullptr);
  json["binding"] = one.binding.empty() ? Json(nullptr) : Json(one.binding);
  json["terms"] = Json::array();
  for (const CapacityTerm& term : one.terms)
    json["terms"].push_back(
        {{"name", term.name},
         {"devices", term.devices ? Json(*term.devices) : Json(nullptr)},
         {"confidence", term.confidence ? Json(to_string(*term.confidence)) : Json(nullptr)},
         {"reason", term.reason}});
  json["devices"] = Json::array();
  for (const DeviceLayout& layout : one.layouts) {
    Json models = Json::array();
    for (const PlannedModel& model : layout.models)
      models.push_back(
          {{"model", model.model},
           {"precision", model.precision.empty() ? Json(nullptr) : Json(model.precision)},
           {"input", model.input.width > 0 ? Json::array({model.input.width, model.input.height})
                                           : Json(nullptr)},
           {"batch", model.batch},
           {"instances", model.instances},
           {"groups", model.groups},
           {"slo_ms", number(model.slo_ms)},
           {"qps", number(model.qps)},
           {"p99_ms", number(model.p99_ms)}});
    json["devices"].push_back(
        {{"count", layout.count}, {"qps", number(layout.qps)}, {"models", models}});
  }
  json["knee_fps"] = number(one.knee_fps);
  json["occupancy"] = number(one.occupancy);
  json["occupancy_after_loss"] = number(one.occupancy_after_loss);
  json["decode"] = one.is_decoded_by_cores ? usage(one.decode, 1, "cores")
                                           : usage(one.decode, 1e6, "megapixels/s");
  json["decode_after_loss"] = number(one.decode_after_loss);
  json["host_decode"] = one.host_decode ? Json{{"used", number(one.host_decode->used)},
                                               {"limit", number(one.host_decode->limit)},
                                               {"unit", "cores of a machine"}}
                                        : Json(nullptr);
  json["decode_known"] = one.is_decode_known;
  json["memory"] = usage(one.memory, 1, "bytes");
  json["memory_after_loss"] = number(one.memory_after_loss);
  json["power_w"] = number(one.power_w);
  json["cost"] = number(one.cost);
  json["confidence"] = to_string(one.confidence);
  json["sources"] = one.sources;
  json["profile_hashes"] = one.profile_hashes;
  json["notes"] = one.notes;
  return json;
}

/// Six digits, of which none before the point is dropped.
std::string csv_number(double value) {
  return std::abs(value) < 1e5 ? fmt::format("{:.6g}", value) : fmt::format("{:.0f}", value);
}
std::string csv_number(const std::optional<double>& value) {
  return value ? csv_number(*value) : std::string();
}

std::string csv_decode_unit(const CandidatePlan& plan) {
  if (!plan.decode) return "";
  return plan.is_decoded_by_cores ? "cores" : "megapixels/s";
}

std::vector<std::string> csv_cells(const Plan& plan, const CandidatePlan& one,
                                   const DeviceLayout& layout, const PlannedModel& model) {
  const double unit = one.is_decoded_by_cores ? 1 : 1e6;
  const auto decode = std::ranges::find(one.terms, "decode", &CapacityTerm::name);
  std::vector<std::string> cells{
      one.device.name,
      &one == plan.best() ? "yes" : "no",
      std::to_string(one.count),
      std::to_string(one.nodes),
      one.binding,
      std::to_string(layout.count),
      model.model,
      model.precision,
      model.input.width > 0 ? fmt::format("{}x{}", model.input.width, model.input.height) : "",
      std::to_string(model.batch),
      std::to_string(model.instances),
      fmt::format("{}", fmt::join(model.groups, " ")),
      csv_number(model.slo_ms),
      csv_number(model.qps),
      csv_number(model.p99_ms),
      csv_number(one.occupancy),
      csv_number(one.occupancy_after_loss),
      one.decode ? csv_number(one.decode->used / unit) : "",
      one.decode ? csv_number(one.decode->limit / unit) : "",
      csv_decode_unit(one),
      csv_number(one.decode_after_loss),
      one.host_decode ? csv_number(one.host_decode->used) : "",
      one.host_decode ? csv_number(one.host_decode->limit) : "",
      one.is_decode_known ? "yes" : "no",
      one.memory ? fmt::format("{:.0f}", one.memory->used) : "",
      one.memory ? fmt::format("{:.0f}", one.memory->limit) : "",
      csv_number(one.memory_after_loss),
      csv_number(one.power_w),
      csv_number(one.cost),
      plan.workload.currency,
      std::string(to_string(one.confidence)),
      decode != one.terms.end() && decode->confidence ? std::string(to_string(*decode->confidence))
                                                      : "",
      fmt::format("{}", fmt::join(one.sources, "; ")),
      fmt::format("{}", fmt::join(one.profile_hashes, " ")),
      fmt::format("{}", fmt::join(one.notes, "; ")),
      ""};
  return cells;
}

}  // namespace

std::string format_plan_table(const Plan& plan) {
  const CandidatePlan& best = *plan.best();
  std::string text =
      fmt::format("{}: {}\n{}\n\n", plan.workload.name, summary(plan), assumptions(plan));
  TextTable table;
  table.add({"", "device", "precision", "count", "nodes", "binding", "busy", "decode", "memory",
             "N-1", "power", "cost", "figures"});
  for (const CandidatePlan& one : plan.candidates) {
    if (!one.problem.empty()) continue;
    table.add({&one == &best ? "*" : "", one.device.name, precisions(one),
               std::to_string(one.count), std::to_string(one.nodes), one.binding,
               percent(one.occupancy), decode_use(one), memory_use(one), after_loss(one),
               power(one), cost(one, plan.workload.currency), confidence(one.confidence)});
  }
  text += table.text() + "\n";
  for (const CandidatePlan& one : plan.candidates)
    if (!one.problem.empty())
      text += fmt::format("  {} cannot be used: {}\n", one.device.name, one.problem);
  text += fmt::format(
      "* {}; busy is the mean share of time; N-1: busy, decoder and memory with one device "
      "lost\n\n",
      plan.criterion);

  text += fmt::format("why {} {}\n", best.count, best.device.name);
  TextTable terms;
  for (const CapacityTerm& term : best.terms)
    terms.add({term.name == best.binding ? ">" : "", term.name,
               term.devices ? std::to_string(*term.devices) : "-", confidence(term), term.reason});
  text += terms.text("  ") + "\n";

  text += "what runs on them\n";
  TextTable models;
  models.add(
      {"devices", "model", "batch", "instances", "inferences/s each", "p99", "SLO", "groups"});
  for (const DeviceLayout& layout : best.layouts) {
    bool is_first = true;
    for (const PlannedModel& model : layout.models) {
      models.add({is_first ? std::to_string(layout.count) : "", model_title(model),
                  std::to_string(model.batch), std::to_string(model.instances),
                  fmt::format("{:.4g}", model.qps), fmt::format("{:.3g} ms", model.p99_ms),
                  fmt::format("{:.4g} ms", model.slo_ms),
                  fmt::format("{}", fmt::join(model.groups, ", "))});
      is_first = false;
    }
  }
  text += models.text("  ") + "\n";

  text += "what would flip the choice\n";
  for (const std::string& flip : plan.flips) text += "  " + flip + "\n";

  text += fmt::format("\n{} for other loads\n", best.device.name);
  TextTable what_if;
  what_if.add(what_if_header(plan, "cameras"));
  for (std::size_t i = 0; i < plan.what_if.camera_factors.size(); ++i)
    what_if.add(what_if_row(plan, i));
  text += what_if.text("  ");

  text += "\nfrom\n";
  for (const std::string& source : best.sources) text += "  " + source + "\n";
  for (const std::string& hash : best.profile_hashes)
    text += fmt::format("  profile sha256 {}\n", hash.substr(0, 16));
  for (const CandidatePlan& one : plan.candidates)
    if (one.problem.empty())
      for (const std::string& note : one.notes)
        text += fmt::format("note: {}: {}\n", one.device.name, note);
  for (const std::string& note : plan.notes) text += "note: " + note + "\n";
  return text;
}

std::string format_plan_markdown(const Plan& plan, const std::string& version) {
  const CandidatePlan& best = *plan.best();
  const std::string& currency = plan.workload.currency;
  std::string text = fmt::format(
      "## Hardware for {}\n\n{}. Planned by framemill {} with {}.\n\n**{} x {}** in {} "
      "machine{}; what decides is *{}*; figures are {}.\n\n",
      plan.workload.name, summary(plan), version, assumptions(plan), best.count, best.device.name,
      best.nodes, best.nodes == 1 ? "" : "s", best.binding, confidence(best.confidence));

  text += "### Load\n\n" + markdown_head({"group", "cameras", "stream", "answers/s each",
                                          "inferred", "SLO", "priority", "model"});
  for (const CameraGroup& group : plan.workload.cameras)
    text += markdown_row({group.name, std::to_string(group.count),
                          fmt::format("{} {}x{} at {:g}/s", group.codec, group.resolution.width,
                                      group.resolution.height, group.fps),
                          fmt::format("{:g}", group.rate_hz), percent(inferred_share(group)),
                          fmt::format("{:g} ms", to_ms(group.slo)),
                          std::string(to_string(group.priority)),
                          group.model.empty() ? "the profiled one" : group.model});

  text += "\n### Resource list\n\n" +
          markdown_head({"type", "precision", "count", "nodes", "busy", "decode used / limit",
                         "memory used / limit", "busy, decoder, memory with one lost", "power",
                         "cost", "binding", "confidence"});
  for (const CandidatePlan& one : plan.candidates)
    if (one.problem.empty())
      text +=
          markdown_row({&one == &best ? fmt::format("**{}**", one.device.name) : one.device.name,
                        precisions(one), std::to_string(one.count), std::to_string(one.nodes),
                        percent(one.occupancy), decode_use(one), memory_use(one), after_loss(one),
                        power(one), cost(one, currency), one.binding, confidence(one.confidence)});
  text += fmt::format("\nChosen by: {}.\n", plan.criterion);
  for (const CandidatePlan& one : plan.candidates)
    if (!one.problem.empty())
      text += fmt::format("\n{} cannot be used: {}.\n", one.device.name, one.problem);

  text += "\n### What runs on each device\n\n" +
          markdown_head({"devices", "model", "batch", "instances", "inferences/s each",
                         "p99 predicted", "SLO", "groups"});
  for (const DeviceLayout& layout : best.layouts)
    for (const PlannedModel& model : layout.models)
      text += markdown_row(
          {std::to_string(layout.count), model_title(model), std::to_string(model.batch),
           std::to_string(model.instances), fmt::format("{:.4g}", model.qps),
           fmt::format("{:.3g} ms", model.p99_ms), fmt::format("{:.4g} ms", model.slo_ms),
           fmt::format("{}", fmt::join(model.groups, ", "))});

  text += fmt::format("\n### Why {}\n\n", best.count) +
          markdown_head({"term", "devices", "confidence", "sum"});
  for (const CapacityTerm& term : best.terms)
    text += markdown_row({term.name == best.binding ? fmt::format("**{}**", term.name) : term.name,
                          term.devices ? std::to_string(*term.devices) : "-", confidence(term),
                          term.reason});

  text += "\n### What would flip the choice\n\n";
  for (const std::string& flip : plan.flips) text += fmt::format("- {}\n", flip);

  text += fmt::format("\n### {} for other loads\n\n", best.device.name) +
          markdown_head(what_if_header(plan, "cameras"));
  for (std::size_t i = 0; i < plan.what_if.camera_factors.size(); ++i)
    text += markdown_row(what_if_row(plan, i));

  text += "\n### Where the figures come from\n\n";
  for (const CandidatePlan& one : plan.candidates) {
    if (!one.problem.empty()) continue;
    text += fmt::format("- {} ({}): {}", one.device.name, confidence(one.confidence),
                        fmt::join(one.sources, "; "));
    if (!one.profile_hashes.empty())
      text += fmt::format("; profiles {}", fmt::join(one.profile_hashes, ", "));
    for (const std::string& note : one.notes) text += "; " + note;
    text += "\n";
  }
  for (const std::string& note : plan.notes) text += fmt::format("- {}\n", note);
  return text;
}

std::string format_plan_json(const Plan& plan, const std::string& version) {
  Json json;
  json["schema"] = "framemill.plan/1";
  json["framemill"] = version;
  json["name"] = plan.workload.name;
  json["load"] = {{"cameras", whole(plan.cameras)},
                  {"qps", number(plan.qps)},
                  {"sampled_per_s", number(plan.sampled_per_s)},
                  {"frames_per_s", number(plan.frames_per_s)},
                  {"megapixels_per_s", number(plan.pixels_per_s / 1e6)}};
  json["redundancy"] = plan.workload.redundancy;
  json["n_plus_1"] = plan.workload.n_plus_1;
  json["eta"] = plan.eta;
  json["eta_source"] = plan.eta_source;
  json["currency"] = plan.workload.currency;
  json["criterion"] = plan.criterion;
  json["choice"] = plan.best()->device.name;
  json["second"] = plan.candidates.size() > 1 && plan.candidates[1].problem.empty()
                       ? Json(plan.candidates[1].device.name)
                       : Json(nullptr);
  json["candidates"] = Json::array();
  for (const CandidatePlan& one : plan.candidates)
    json["candidates"].push_back(candidate_json(one));
  json["flips"] = plan.flips;
  Json rows = Json::array();
  for (const auto& row : plan.what_if.devices) {
    Json cells = Json::array();
    for (const std::optional<std::int64_t>& cell : row)
      cells.push_back(cell ? Json(*cell) : Json(nullptr));
    rows.push_back(cells);
  }
  json["what_if"] = {{"device", plan.best()->device.name},
                     {"camera_factors", plan.what_if.camera_factors},
                     {"rate_factors", plan.what_if.rate_factors},
                     {"devices", rows}};
  json["notes"] = plan.notes;
  // Names come from files and drivers: what is no UTF-8 is replaced, not thrown over.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string format_plan_csv(const Plan& plan) {
  const std::vector<std::string> names{"device",
                                       "choice",
                                       "count",
                                       "nodes",
                                       "binding",
                                       "devices_of_layout",
                                       "model",
                                       "precision",
                                       "input",
                                       "batch",
                                       "instances",
                                       "groups",
                                       "slo_ms",
                                       "qps_each",
                                       "p99_ms",
                                       "occupancy",
                                       "occupancy_after_loss",
                                       "decode_used",
                                       "decode_limit",
                                       "decode_unit",
                                       "decode_after_loss",
                                       "host_decode_cores",
                                       "host_decode_limit",
                                       "decode_known",
                                       "memory_used_bytes",
                                       "memory_limit_bytes",
                                       "memory_after_loss",
                                       "power_w",
                                       "cost",
                                       "currency",
                                       "confidence",
                                       "decode_confidence",
                                       "sources",
                                       "profile_hashes",
                                       "notes",
                                       "problem"};
  std::string text = csv_row(names);
  for (const CandidatePlan& one : plan.candidates) {
    if (!one.problem.empty()) {
      std::vector<std::string> row(names.size());
      row.front() = one.device.name;
      row[1] = "no";
      row.back() = one.problem;
      text += csv_row(row);
      continue;
    }
    for (const DeviceLayout& layout : one.layouts)
      for (const PlannedModel& model : layout.models)
        text += csv_row(csv_cells(plan, one, layout, model));
  }
  return text;
}

std::string format_catalogue(const Catalogue& catalogue) {
  TextTable table;
  table.add({"device", "case", "memory", "power", "cores", "decoding", "published inference"});
  for (const CatalogueDevice& device : catalogue.devices) {
    std::string decode = "-";
    if (!device.decode.empty())
      decode = fmt::format("{:.0f} Mpx/s {}", device.decode.front().pixels_per_s / 1e6,
                           device.decode.front().codec);
    else if (device.decode_engines)
      decode = fmt::format("{:g} engines", device.decode_engines->value);
    std::vector<std::string> models;
    for (const PublishedInference& one : device.inference)
      if (std::ranges::find(models, one.model) == models.end()) models.push_back(one.model);
    table.add({device.name, case_of(device).empty() ? "-" : std::string(case_of(device)),
               device.memory_bytes ? fmt::format("{:g} GB", device.memory_bytes->value / 1e9) : "-",
               device.power_w ? fmt::format("{:g} W", device.power_w->value) : "-",
               device.cores ? fmt::format("{:g}", device.cores->value) : "-", decode,
               models.empty() ? "-" : fmt::format("{}", fmt::join(models, ", "))});
  }
  return table.text();
}

}  // namespace framemill
