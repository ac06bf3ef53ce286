/// Writing JSON member by member, straight into a text: for what every start of a container writes.
/// Documents that are made to be read, once in a while, are trees of nlohmann/json.
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tare::spec {

/// One object, whose members stand in the order in which they are added. No name may be added
/// twice. Text that is no UTF-8 is mended (utf8.hpp): writing must not fail for it.
class Writer {
 public:
  enum class Form {
    line,     ///< without white space
    indented  ///< a member a line, two spaces deeper for each level
  };

  explicit Writer(Form form = Form::line);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// A member that is a string, a list of strings, an object of strings, a boolean or a number.
  void add(std::string_view name, std::string_view text);
  void add(std::string_view name, const std::vector<std::string>& texts);
  void add(std::string_view name, const std::map<std::string, std::string>& texts);
  template <std::same_as<bool> T>
  void add(std::string_view name, T value) {
    add_boolean(name, value);
  }
  template <std::integral T>
  requires(!std::same_as<T, bool>) void add(std::string_view name, T value) {
    if constexpr (std::signed_integral<T>) {
      add_signed(name, value);
    } else {
      add_unsigned(name, value);
    }
  }
  /// A member that is an object: what `members` adds meanwhile is in it.
  template <std::invocable Members>
  void add_object(std::string_view name, Members&& members) {
    begin(name);
    members();
    end();
  }

  /// The whole text. Nothing can be added any more.
  std::string finish();

 private:
  class Library;

  void add_boolean(std::string_view name, bool value);
  void add_signed(std::string_view name, std::int64_t value);
  void add_unsigned(std::string_view name, std::uint64_t value);
  void begin(std::string_view name);
  void end();

  std::unique_ptr<Library> library_;
};

}  // namespace tare::spec
