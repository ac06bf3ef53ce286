/// One value of D-Bus with its type (D-Bus Specification, "Type System"), as plain data: what the
/// systemd driver plans with, and what a reply is read into. Only sys/bus puts it on a wire.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tare::sys {

struct BusValue {
  /// One complete type: "s", "t", "a(ss)", …
  std::string signature{};
  /// Integers of all widths, and booleans, as the bits of 64; strings, paths and signatures as
  /// text; what an array, a structure or a variant holds as values.
  std::variant<std::uint64_t, double, std::string, std::vector<BusValue>> content{};
  bool operator==(const BusValue&) const = default;

  /// A boolean.
  static BusValue boolean(bool value) { return {"b", std::uint64_t{value}}; }
  /// An unsigned number of 32 bits.
  static BusValue uint32(std::uint32_t value) { return {"u", std::uint64_t{value}}; }
  /// An unsigned number of 64 bits.
  static BusValue uint64(std::uint64_t value) { return {"t", value}; }
  /// A text.
  static BusValue string(std::string_view text) { return {"s", std::string(text)}; }
  /// An array of `element`, each of which has that signature.
  static BusValue array(std::string_view element, std::vector<BusValue> items) {
    return {"a" + std::string(element), std::move(items)};
  }
  /// A structure of these members.
  static BusValue structure(std::vector<BusValue> members) {
    std::string signature = "(";
    for (const BusValue& member : members) signature += member.signature;
    return {signature + ")", std::move(members)};
  }
  /// A value in a variant, which says its type on the wire.
  static BusValue variant(BusValue value) {
    std::vector<BusValue> inner;
    inner.push_back(std::move(value));
    return {"v", std::move(inner)};
  }

  /// The text of a value that is one, or an empty one.
  const std::string& text() const noexcept {
    static const std::string none;
    const std::string* held = std::get_if<std::string>(&content);
    return held != nullptr ? *held : none;
  }
};

}  // namespace tare::sys
