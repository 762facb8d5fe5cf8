#include "framemill/engine/decoder_card.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <vector>

#include "framemill/metrics/gpu_meter.h"

namespace framemill {

int decoder_card(std::span<const std::string> devices, std::size_t camera) {
  constexpr std::string_view kCuda = "cuda:";
  std::vector<int> cards;
  for (const std::string& device : devices) {
    const std::string name = card_of(device);
    if (!name.starts_with(kCuda)) continue;
    int card = 0;
    std::from_chars(name.data() + kCuda.size(), name.data() + name.size(), card);
    if (std::ranges::find(cards, card) == cards.end()) cards.push_back(card);
  }
  return cards.empty() ? 0 : cards[camera % cards.size()];
}

}  // namespace framemill
