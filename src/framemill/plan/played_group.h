#pragma once

#include <optional>
#include <string_view>

#include "framemill/config/workload.h"
#include "framemill/core/geometry.h"
#include "framemill/core/policy.h"
#include "framemill/plan/catalogue.h"

namespace framemill {

/// How `run` serves a group of cameras, for all who count with it.

/// What a group runs as: policy full with a `duty` below 1 is what adaptive would make of it.
[[nodiscard]] PolicyKind policy_of(const CameraGroup& group);

/// Whether `run` gives the group's streams to NVIDIA's decoder where there is one: `decode: auto`
/// asks for it, but policy adaptive takes the motion vectors of the decoders that export them,
/// which NVIDIA's does not.
[[nodiscard]] bool is_for_card(const CameraGroup& group);

/// Whether this version finds the decoder of such a device: not that of Jetsons.
[[nodiscard]] bool has_known_decoder(const CatalogueDevice* device);

/// What a card's decoders were published to do. Null where nothing of the codec was.
[[nodiscard]] const PublishedDecode* find_card_decode(const CatalogueDevice* device,
                                                      std::string_view codec);

/// Of a card's decoders; 1 where their number is not known.
[[nodiscard]] double engines_of(const CatalogueDevice* device);

/// How long one frame is in a card's decoder, whose engines take one stream each. None where its
/// rate is not known.
[[nodiscard]] std::optional<double> decode_card_s(const CatalogueDevice* device,
                                                  std::string_view codec, Size size);

}  // namespace framemill
