#include "framemill/cli/config_command.h"

#include <algorithm>
#include <ostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "framemill/config/load_settings.h"
#include "framemill/config/setting_value.h"
#include "framemill/config/settings_reference.h"

namespace framemill {
namespace {

constexpr int kDone = 0;
constexpr int kWrongUsage = 2;

std::string count(std::size_t number, std::string_view noun) {
  return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s");
}

int check(const std::string& file, std::ostream& out, std::ostream& err) {
  const Result<RunSettings> settings = load_settings(file);
  if (!settings) {
    err << settings.error().message() << '\n';
    return kWrongUsage;
  }
  out << fmt::format("ok: {}, {}\n", count(settings->cameras.size(), "camera"),
                     count(settings->models.size(), "model"));
  return kDone;
}

std::string to_json(const std::vector<SettingInfo>& infos) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const SettingInfo& info : infos)
    list.push_back({{"section", info.section},
                    {"key", info.key},
                    {"type", info.type},
                    {"range", info.range},
                    {"unit", info.unit},
                    {"default", info.default_value},
                    {"reserved", info.is_reserved},
                    {"help", info.help}});
  return list.dump(2) + "\n";
}

/// One line a setting: name, what it may be, default, meaning.
std::string to_lines(const std::vector<SettingInfo>& infos) {
  struct Line {
    std::string name, value, rest;
  };
  std::vector<Line> lines;
  std::size_t name_width = 0, value_width = 0;
  for (const SettingInfo& info : infos) {
    Line line{fmt::format("{}.{}", info.section, info.key), info.type, info.help};
    if (!info.range.empty()) line.value += ", " + info.range;
    if (!info.unit.empty()) line.value += " " + info.unit;
    if (info.is_reserved)
      line.rest = "Reserved, not supported by this version. " + line.rest;
    else if (!info.default_value.empty())
      line.rest += fmt::format(" Default: {}.", info.default_value);
    name_width = std::max(name_width, line.name.size());
    value_width = std::max(value_width, line.value.size());
    lines.push_back(std::move(line));
  }
  std::string text;
  for (const Line& line : lines)
    text += fmt::format("{:<{}}  {:<{}}  {}\n", line.name, name_width, line.value, value_width,
                        line.rest);
  return text;
}

}  // namespace

int run_config_command(const std::vector<std::string>& arguments, std::ostream& out,
                       std::ostream& err) {
  std::string file, word;
  bool is_json = false, is_markdown = false;
  CLI::App app("Checks and explains configurations.");
  app.name("framemill config");
  app.require_subcommand(1);
  constexpr const char* kStatuses = "Exit status: 0 done, 2 wrong usage or configuration.";
  app.footer(kStatuses);
  CLI::App* const check_app = app.add_subcommand("check", "Says whether a configuration is right.");
  check_app->footer(fmt::format(
      "Files and cameras that it names are not looked at: `framemill doctor YAML` opens "
      "models and\ncameras.\n{}",
      kStatuses));
  check_app->add_option("FILE", file, "The configuration.")->required()->option_text("YAML");
  CLI::App* const explain_app =
      app.add_subcommand("explain", "One line per setting with default, unit and meaning.");
  explain_app->footer(kStatuses);
  explain_app
      ->add_option("SECTION", word,
                   "models, defaults, cameras, engine, rules, alarms, sinks or server; or what the "
                   "name of a setting contains, as in slo or cameras.slo.")
      ->option_text("|KEY");
  CLI::Option* const json = explain_app->add_flag("--json", is_json, "As a JSON list.");
  explain_app->add_flag("--markdown", is_markdown, "As docs/reference/settings.md.")
      ->excludes(json);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    // The help of the subcommand that was named, else of all.
    const std::vector<CLI::App*> named = app.get_subcommands();
    out << (named.empty() ? app.help() : named.front()->help(app.get_name()));
    return kDone;
  } catch (const CLI::Error& error) {
    err << fmt::format("framemill config: {}; see framemill config --help\n", error.what());
    return kWrongUsage;
  }
  if (check_app->parsed()) return check(file, out, err);

  const std::vector<std::string_view> sections = list_sections();
  const bool is_section = word.empty() || std::ranges::find(sections, word) != sections.end();
  const std::vector<SettingInfo> infos = is_section ? list_settings(word) : find_settings(word);
  if (infos.empty()) {
    err << fmt::format(
        "framemill config explain: there is no section and no setting {};{} the sections are {}\n",
        quote(word), nearest_setting(word), fmt::join(sections, ", "));
    return kWrongUsage;
  }
  if (is_markdown)
    out << settings_markdown();
  else if (is_json)
    out << to_json(infos);
  else
    out << to_lines(infos);
  return kDone;
}

}  // namespace framemill
