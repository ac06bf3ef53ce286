/// Reading JSON with types checked and faults named: "config.json /mounts/3/options/1: expected a
/// string, found 7". A Reader borrows one value of a Document; it holds no path. Where a value lies
/// is found again from the document's top when an error has to say so, so that reading costs
/// nothing.
///
/// Unknown properties are ignored, as config.md ("Extensibility") orders; null is the same as
/// absent, as it is for runc.
#pragma once

#include <rapidjson/fwd.h>

#include <concepts>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tare/error.hpp"

namespace tare::spec {

class Document;
class JsonMemory;

/// A value as the library has it, which only this directory looks into.
using JsonValue =
    rapidjson::GenericValue<rapidjson::UTF8<char>, rapidjson::MemoryPoolAllocator<JsonMemory>>;

/// A word of the specification and what it stands for here.
template <typename T>
struct Word {
  std::string_view name;
  T value;
};

/// One value of a document. Copy it freely; it is valid as long as the Document.
class Reader {
 public:
  Reader(const Document& document, const JsonValue& value) noexcept
      : document_(&document), value_(&value) {}

  /// The member `key` of this object, or nullopt when it is absent or null.
  /// Throws Error(spec) when this is no object.
  std::optional<Reader> find(std::string_view key) const;
  /// The member `key`, which must be there. Throws Error(spec).
  Reader at(std::string_view key) const;
  /// The members of this object in the order of their names; a name must not hold a NUL either.
  std::vector<std::pair<std::string, Reader>> members() const;
  /// The elements of this array.
  std::vector<Reader> items() const;

  /// This value as what it must be. Each throws Error(spec) for any other type; strings must not
  /// hold a NUL, which no system call could be given.
  std::string string() const;
  bool boolean() const;
  std::vector<std::string> strings() const;
  /// An integer within the range of T and of [low, high].
  template <std::integral T>
  T integer(T low = std::numeric_limits<T>::min(), T high = std::numeric_limits<T>::max()) const {
    if constexpr (std::is_signed_v<T>) {
      return static_cast<T>(signed_integer(low, high));
    } else {
      return static_cast<T>(unsigned_integer(low, high));
    }
  }
  /// The value of the word that this string is; Error(spec) "unknown WHAT" for any other.
  template <typename T, std::size_t N>
  T one_of(std::string_view what, const Word<T> (&words)[N]) const {
    const std::string text = string();
    for (const Word<T>& word : words) {
      if (word.name == text) return word.value;
    }
    throw error(unknown(what, text));
  }

  /// The member `key` where there is one, else the default.
  std::string string_or(std::string_view key, std::string_view otherwise) const;
  bool boolean_or(std::string_view key, bool otherwise) const;
  std::vector<std::string> strings_or_none(std::string_view key) const;
  template <std::integral T>
  std::optional<T> find_integer(std::string_view key) const {
    const std::optional<Reader> member = find(key);
    if (!member) return std::nullopt;
    return member->integer<T>();
  }

  /// True for null, "", {}, [], 0, false and for objects and arrays that hold only such: a value
  /// that asks for nothing, as Docker writes for features it does not use.
  bool asks_nothing() const;
  /// Refuses the member `key` by name unless it asks for nothing. Throws Error(unsupported).
  void refuse(std::string_view key, std::string_view why) const;

  /// "/mounts/3/options/1". Walks the document: for errors and for Plans, not for loops.
  std::string pointer() const;
  /// An Error(spec) "NAME POINTER: text" for the caller to throw; its field is set.
  Error error(std::string_view text, ErrorKind kind = ErrorKind::spec) const;
  /// This value as compact JSON, cut where it is long.
  std::string shown() const;
  /// This value as compact JSON, whole.
  std::string json() const;

 private:
  std::int64_t signed_integer(std::int64_t low, std::int64_t high) const;
  std::uint64_t unsigned_integer(std::uint64_t low, std::uint64_t high) const;
  static std::string unknown(std::string_view what, std::string_view text);
  Error wrong_type(std::string_view expected) const;
  std::string_view text() const;

  const Document* document_;
  const JsonValue* value_;
};

/// A parsed JSON text and the name it goes by in errors ("config.json").
class Document {
 public:
  /// Throws Error(spec): with line and column for bad syntax and for nesting that is too deep, with
  /// the pointer for duplicate names (which the specification's glossary forbids).
  Document(std::string name, const std::string& text);
  ~Document();
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

  /// The outermost value.
  Reader top() const noexcept;
  const std::string& name() const noexcept { return name_; }
  /// Whether a string of it can hold a NUL, which only an escape can name.
  bool may_hold_nul() const noexcept { return has_escapes_; }
  /// From here on, remembers which members of objects are asked for: for `explain`. No other
  /// command pays for it.
  void watch() { asked_for_ = std::make_unique<std::set<const JsonValue*>>(); }
  /// Remembers that a member was asked for, if anything is to be remembered.
  void note(const JsonValue& member) const {
    if (asked_for_) asked_for_->insert(&member);
  }
  /// The pointers of all members that nobody has asked for since watch(), in the order of their
  /// names; of a member that is among them, not what is in it.
  std::vector<std::string> ignored() const;

  /// The pointer of a value that lies in this document.
  std::string pointer_of(const JsonValue& value) const;

 private:
  class Tree;

  void refuse_duplicates(const JsonValue& here) const;
  Error fault_at(std::string_view text, std::size_t offset, std::string_view fault) const;

  std::string name_;
  std::unique_ptr<Tree> top_;
  bool has_escapes_;
  std::unique_ptr<std::set<const JsonValue*>> asked_for_{};
};

}  // namespace tare::spec
