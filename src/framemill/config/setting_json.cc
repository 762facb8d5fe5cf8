#include "framemill/config/setting_json.h"

#include <optional>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "framemill/base/url.h"
#include "framemill/config/duration.h"
#include "framemill/config/setting_value.h"

namespace framemill {

using Json = nlohmann::ordered_json;

namespace {

Json polygons_json(const std::vector<std::vector<RelativePoint>>& polygons) {
  Json json = Json::array();
  for (const auto& polygon : polygons) {
    Json points = Json::array();
    for (const RelativePoint& point : polygon) points.push_back({point.x, point.y});
    json.push_back(std::move(points));
  }
  return json;
}

template <typename Value>
struct IsOptional : std::false_type {};
template <typename Value>
struct IsOptional<std::optional<Value>> : std::true_type {};

Json point_json(const RelativePoint& point) { return {point.x, point.y}; }

Json zones_json(const std::vector<ZoneSettings>& zones) {
  Json json = Json::object();
  for (const ZoneSettings& zone : zones) json[zone.name] = polygons_json({zone.points})[0];
  return json;
}

Json lines_json(const std::vector<LineSettings>& lines) {
  Json json = Json::object();
  for (const LineSettings& line : lines)
    json[line.name] = Json::array({point_json(line.from), point_json(line.to)});
  return json;
}

Json rules_json(const std::vector<RuleSettings>& rules, Secrets secrets);

/// The value of one setting; null: not set, or not to be shown.
template <typename Value, typename Settings>
Json value_json(const Value& value, const Setting<Settings>& row, Secrets secrets) {
  if constexpr (std::is_same_v<Value, std::string>) {
    if (value.empty()) return nullptr;
    const bool is_url = row.text == TextKind::kUrl && secrets == Secrets::kHidden;
    return is_url ? redact(strip_credentials(value)) : value;
  } else if constexpr (std::is_same_v<Value, Duration>) {
    return format_duration(value);
  } else if constexpr (std::is_same_v<Value, std::vector<std::string>>) {
    return value.empty() ? Json(nullptr) : Json(value);
  } else if constexpr (std::is_same_v<Value, std::vector<std::vector<RelativePoint>>>) {
    return value.empty() ? Json(nullptr) : polygons_json(value);
  } else if constexpr (std::is_same_v<Value, std::vector<ZoneSettings>>) {
    return value.empty() ? Json(nullptr) : zones_json(value);
  } else if constexpr (std::is_same_v<Value, std::vector<LineSettings>>) {
    return value.empty() ? Json(nullptr) : lines_json(value);
  } else if constexpr (std::is_same_v<Value, std::vector<RuleSettings>>) {
    return value.empty() ? Json(nullptr) : rules_json(value, secrets);
  } else if constexpr (std::is_enum_v<Value>) {
    return std::string(split_choices(row.choices)[static_cast<std::size_t>(value)]);
  } else if constexpr (IsOptional<Value>::value) {
    return value ? value_json(*value, row, secrets) : Json(nullptr);
  } else if constexpr (std::is_arithmetic_v<Value>) {
    return value;
  } else {
    return nullptr;
  }
}

/// What differs from a rule of which nothing but id and kind is said.
Json rules_json(const std::vector<RuleSettings>& rules, Secrets secrets) {
  const RuleSettings plain;
  Json json = Json::array();
  for (const RuleSettings& rule : rules) {
    Json& entry = json.emplace_back(Json::object());
    for (const Setting<RuleSettings>& row : kRuleSettings) {
      Json value = setting_json(row, rule, secrets);
      if (!value.is_null() && value != setting_json(row, plain, secrets))
        entry[std::string(row.key)] = std::move(value);
    }
  }
  return json;
}

}  // namespace

template <typename Settings>
Json setting_json(const Setting<Settings>& row, const Settings& settings, Secrets secrets) {
  if (row.text == TextKind::kSecret && secrets == Secrets::kHidden) return nullptr;
  return std::visit(
      [&](const auto& field) -> Json {
        if constexpr (std::is_same_v<std::decay_t<decltype(field)>, TextOrList<Settings>>) {
          return nullptr;
        } else {
          return value_json(settings.*field, row, secrets);
        }
      },
      row.field);
}

template Json setting_json(const Setting<CameraSettings>& row, const CameraSettings& settings,
                           Secrets secrets);
template Json setting_json(const Setting<RuleSettings>& row, const RuleSettings& settings,
                           Secrets secrets);

}  // namespace framemill
