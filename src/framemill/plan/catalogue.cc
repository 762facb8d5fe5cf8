#include "framemill/plan/catalogue.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <initializer_list>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "framemill/base/check.h"
#include "framemill/base/text_case.h"

namespace framemill {
namespace {

using Json = nlohmann::json;

/// Walks the document and remembers the first thing that is wrong.
class CatalogueReader {
 public:
  Result<Catalogue> read(const Json& root) {
    check_keys(root, "", {"schema", "sources", "devices"}, {});
    if (root.is_object() && root.value("schema", "") != "framemill.catalogue/1")
      refuse("schema", R"(has to be "framemill.catalogue/1")");
    if (!problem_.empty()) return wrong();
    sources_ = &root["sources"];
    Catalogue catalogue;
    if (!root["devices"].is_array() || root["devices"].empty())
      refuse("devices", "has to be a list of at least one");
    for (const Json& item : root["devices"]) {
      if (!problem_.empty()) break;
      catalogue.devices.push_back(read_device(item));
    }
    if (!problem_.empty()) return wrong();
    return catalogue;
  }

 private:
  Failure wrong() const { return fail(ErrorCode::kInvalidArgument, "catalogue: " + problem_); }

  void refuse(const std::string& place, std::string_view message) {
    if (problem_.empty()) problem_ = fmt::format("{}: {}", place, message);
  }

  void check_keys(const Json& json, const std::string& place,
                  std::initializer_list<const char*> required,
                  std::initializer_list<const char*> optional) {
    if (!json.is_object()) return refuse(place, "has to be an object");
    for (const char* const key : required)
      if (!json.contains(key)) refuse(place, fmt::format("has no {}", key));
    for (const auto& [key, value] : json.items()) {
      const auto is_key = [&key = key](const char* one) { return key == one; };
      if (std::ranges::none_of(required, is_key) && std::ranges::none_of(optional, is_key))
        refuse(place, fmt::format("unknown key {}", key));
    }
  }

  std::string text(const Json& json, const char* key, const std::string& place) {
    if (json.is_object() && json.contains(key) && json[key].is_string() && !json[key].empty())
      return json[key].get<std::string>();
    refuse(place, fmt::format("{} has to be a text", key));
    return {};
  }

  std::string optional_text(const Json& json, const char* key, const std::string& place) {
    return json.contains(key) ? text(json, key, place) : std::string();
  }

  double number(const Json& json, const char* key, const std::string& place) {
    if (json.is_object() && json.contains(key) && json[key].is_number() &&
        json[key].get<double>() > 0)
      return json[key].get<double>();
    refuse(place, fmt::format("{} has to be a number above 0", key));
    return 1;
  }

  std::string source(const Json& json, const std::string& place) {
    const std::string key = text(json, "source", place);
    if (sources_->is_object() && sources_->contains(key) && (*sources_)[key].is_object() &&
        (*sources_)[key].contains("title") && (*sources_)[key]["title"].is_string())
      return (*sources_)[key]["title"].get<std::string>();
    refuse(place, fmt::format("source {} is not among the sources", key));
    return {};
  }

  std::optional<PublishedFigure> figure(const Json& json, const char* key, const std::string& place,
                                        double factor = 1) {
    if (!json.contains(key)) return std::nullopt;
    const std::string where = fmt::format("{}.{}", place, key);
    check_keys(json[key], where, {"value", "source"}, {});
    return PublishedFigure{number(json[key], "value", where) * factor, source(json[key], where)};
  }

  CatalogueDevice read_device(const Json& json) {
    CatalogueDevice device;
    device.name = text(json, "name", "devices");
    const std::string place = fmt::format("devices[{}]", device.name);
    check_keys(json, place, {"name", "aliases", "kind", "power_w", "decode", "inference"},
               {"memory_gb", "cores"});
    if (!problem_.empty()) return device;
    for (const Json& alias : json["aliases"])
      if (alias.is_string()) device.aliases.push_back(alias.get<std::string>());
    constexpr std::array<std::string_view, 3> kKinds{"cpu", "gpu", "soc"};
    const auto* const kind = std::ranges::find(kKinds, text(json, "kind", place));
    if (kind == kKinds.end())
      refuse(place, "kind has to be cpu, gpu or soc");
    else
      device.kind = static_cast<DeviceKind>(kind - kKinds.begin());
    device.memory_bytes = figure(json, "memory_gb", place, 1e9);
    device.power_w = figure(json, "power_w", place);
    device.cores = figure(json, "cores", place);
    check_keys(json["decode"], place + ".decode", {"rates"}, {"engines"});
    if (!problem_.empty()) return device;
    device.decode_engines = figure(json["decode"], "engines", place + ".decode");
    for (const Json& rate : json["decode"]["rates"]) {
      const std::string where = place + ".decode";
      check_keys(rate, where, {"codec", "megapixels_per_s", "source"}, {"scaled", "note"});
      if (!problem_.empty()) break;
      device.decode.push_back({.codec = text(rate, "codec", where),
                               .pixels_per_s = number(rate, "megapixels_per_s", where) * 1e6,
                               .source = source(rate, where),
                               .is_scaled = rate.contains("scaled") && rate["scaled"] == true,
                               .note = optional_text(rate, "note", where)});
    }
    for (const Json& item : json["inference"]) read_inference(item, place + ".inference", device);
    return device;
  }

  void read_inference(const Json& json, const std::string& place, CatalogueDevice& device) {
    check_keys(json, place,
               {"model", "precision", "input", "runtime", "batch", "frames_per_s", "source"},
               {"scenario", "note"});
    if (!problem_.empty()) return;
    const Json& input = json["input"];
    if (!input.is_array() || input.size() != 2 || !input[0].is_number_integer() ||
        !input[1].is_number_integer())
      return refuse(place, "input has to be [width, height]");
    device.inference.push_back({.model = text(json, "model", place),
                                .precision = text(json, "precision", place),
                                .input = {input[0].get<int>(), input[1].get<int>()},
                                .runtime = text(json, "runtime", place),
                                .batch = static_cast<std::size_t>(number(json, "batch", place)),
                                .frames_per_s = number(json, "frames_per_s", place),
                                .scenario = optional_text(json, "scenario", place),
                                .source = source(json, place),
                                .note = optional_text(json, "note", place)});
  }

  const Json* sources_ = nullptr;
  std::string problem_;
};

}  // namespace

const CatalogueDevice* Catalogue::find(std::string_view name) const {
  for (const CatalogueDevice& device : devices) {
    const auto is_wanted = [&](const std::string& alias) { return is_same_text(alias, name); };
    if (is_wanted(device.name) || std::ranges::any_of(device.aliases, is_wanted)) return &device;
  }
  return nullptr;
}

Result<Catalogue> parse_catalogue(std::string_view json) {
  const Json root = Json::parse(json, nullptr, false);
  if (root.is_discarded()) return fail(ErrorCode::kInvalidArgument, "catalogue: is not JSON");
  return CatalogueReader().read(root);
}

const Catalogue& built_in_catalogue() {
  static const Catalogue catalogue = [] {
    Result<Catalogue> parsed = parse_catalogue(built_in_catalogue_json());
    CHECK(parsed.has_value());  // a test reads the file and says what is wrong with it
    return *std::move(parsed);
  }();
  return catalogue;
}

std::string_view case_of(const CatalogueDevice& device) {
  constexpr double kEdgePowerW = 60;
  constexpr double kManyStreams = 64;
  constexpr double kStreamPixelsPerS = 1920. * 1080 * 25;
  constexpr double kDecodeLimit = .8;
  if (device.decode.empty()) return "";
  if (device.power_w && device.power_w->value <= kEdgePowerW) return "edge line";
  const double streams = kDecodeLimit * device.decode.front().pixels_per_s / kStreamPixelsPerS;
  return streams >= kManyStreams ? "very many streams" : "data centre";
}

bool is_model_called(std::string_view file_name, std::string_view model) {
  const std::string name = to_lower(file_name);
  if (!name.starts_with(model)) return false;
  return name.size() == model.size() ||
         std::isalnum(static_cast<unsigned char>(name[model.size()])) == 0;
}

}  // namespace framemill
