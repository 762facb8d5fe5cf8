#include "framemill/plan/played_group.h"

#include <algorithm>

namespace framemill {

PolicyKind policy_of(const CameraGroup& group) {
  const bool is_saved = inferred_share(group) < 1;
  return group.policy == PolicyKind::kFull && is_saved ? PolicyKind::kAdaptive : group.policy;
}

bool is_for_card(const CameraGroup& group) {
  const bool has_vectors = group.codec == "h264" || group.codec == "mpeg4";
  return group.decode == "auto" && !(policy_of(group) == PolicyKind::kAdaptive && has_vectors);
}

bool has_known_decoder(const CatalogueDevice* device) {
  return device == nullptr || device->kind != DeviceKind::kSoc;
}

const PublishedDecode* find_card_decode(const CatalogueDevice* device, std::string_view codec) {
  if (device == nullptr) return nullptr;
  const auto found = std::ranges::find(device->decode, codec, &PublishedDecode::codec);
  return found == device->decode.end() ? nullptr : &*found;
}

double engines_of(const CatalogueDevice* device) {
  return device != nullptr && device->decode_engines ? device->decode_engines->value : 1;
}

std::optional<double> decode_card_s(const CatalogueDevice* device, std::string_view codec,
                                    Size size) {
  const PublishedDecode* const rate = find_card_decode(device, codec);
  if (rate == nullptr) return std::nullopt;
  return engines_of(device) * size.width * size.height / rate->pixels_per_s;
}

}  // namespace framemill
