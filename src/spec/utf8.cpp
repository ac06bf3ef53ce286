// As document.cpp, which has each text looked through.
#pragma GCC optimize("O2")

#include "spec/utf8.hpp"

#include <cstdint>
#include <cstring>

#include "spec/json_library.hpp"

namespace tare::spec {

// The library can be told to look as it reads, which takes as long as the reading; and a text that
// is all ASCII, as most are, is seen to be so eight bytes at a time.
std::optional<std::size_t> find_ill_formed(std::string_view text) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080U;
  std::size_t at = 0;
  for (std::uint64_t eight = 0; at + sizeof(eight) <= text.size(); at += sizeof(eight)) {
    std::memcpy(&eight, text.data() + at, sizeof(eight));
    if ((eight & kHighBits) != 0) break;
  }
  rapidjson::MemoryStream rest(text.data() + at, text.size() - at);
  while (rest.Tell() < text.size() - at) {
    const std::size_t character = at + rest.Tell();
    unsigned ignored = 0;
    if (!rapidjson::UTF8<>::Decode(rest, &ignored)) return character;
  }
  return std::nullopt;
}

std::string mended(std::string_view text) {
  std::string out;
  while (const std::optional<std::size_t> at = find_ill_formed(text)) {
    out.append(text.substr(0, *at)).append("\xef\xbf\xbd");
    text.remove_prefix(*at + 1);
  }
  return out.append(text);
}

}  // namespace tare::spec
