// As document.cpp: of every text in a config one is made here.
#pragma GCC optimize("O2")

#include "spec/reader.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "spec/json_library.hpp"

namespace tare::spec {
namespace {

// A value in an error is there to be recognised, not to be read in full.
constexpr std::size_t kShownLength = 60;

bool is_empty(const JsonValue& value) {
  switch (value.GetType()) {
    case rapidjson::kNullType:
    case rapidjson::kFalseType:
      return true;
    case rapidjson::kTrueType:
      return false;
    case rapidjson::kStringType:
      return value.GetStringLength() == 0;
    case rapidjson::kNumberType:
      return value.GetDouble() == 0;
    case rapidjson::kArrayType:
      return std::all_of(value.Begin(), value.End(), is_empty);
    case rapidjson::kObjectType:
      return std::all_of(value.MemberBegin(), value.MemberEnd(),
                         [](const JsonValue::Member& member) { return is_empty(member.value); });
  }
  return false;
}

bool is_whole(const JsonValue& value) {
  return value.IsInt64() || value.IsUint64();
}

template <typename T>
std::string not_within(const std::string& shown, T low, T high) {
  return fmt::format("{} is not within {} and {}", shown, low, high);
}

}  // namespace

std::optional<Reader> Reader::find(std::string_view key) const {
  if (!value_->IsObject()) throw wrong_type("an object");
  for (const JsonValue::Member& member : value_->GetObject()) {
    if (text_of(member.name) != key) continue;
    document_->note(member.value);
    if (member.value.IsNull()) return std::nullopt;
    return Reader(*document_, member.value);
  }
  return std::nullopt;
}

Reader Reader::at(std::string_view key) const {
  const std::optional<Reader> member = find(key);
  if (member) return *member;
  Error missing(ErrorKind::spec,
                fmt::format("{} {}/{}: required, but missing", document_->name(), pointer(), key));
  missing.set_field(pointer() + "/" + std::string(key));
  throw missing;
}

std::vector<std::pair<std::string, Reader>> Reader::members() const {
  if (!value_->IsObject()) throw wrong_type("an object");
  std::vector<std::pair<std::string, Reader>> out;
  out.reserve(value_->MemberCount());
  for (const JsonValue::Member& member : value_->GetObject()) {
    const std::string_view name = text_of(member.name);
    if (name.find('\0') != std::string_view::npos) {
      throw error("a name must not hold a NUL character");
    }
    document_->note(member.value);
    out.emplace_back(name, Reader(*document_, member.value));
  }
  std::ranges::sort(out, {}, [](const auto& member) -> const std::string& { return member.first; });
  return out;
}

std::vector<Reader> Reader::items() const {
  if (!value_->IsArray()) throw wrong_type("an array");
  std::vector<Reader> out;
  out.reserve(value_->Size());
  for (const JsonValue& item : value_->GetArray()) out.emplace_back(*document_, item);
  return out;
}

std::string_view Reader::text() const {
  if (!value_->IsString()) throw wrong_type("a string");
  const std::string_view text = text_of(*value_);
  if (document_->may_hold_nul() && text.find('\0') != std::string_view::npos) {
    throw error("a string must not hold a NUL character");
  }
  return text;
}

std::string Reader::string() const {
  return std::string(text());
}

bool Reader::boolean() const {
  if (!value_->IsBool()) throw wrong_type("true or false");
  return value_->GetBool();
}

std::vector<std::string> Reader::strings() const {
  std::vector<std::string> out;
  if (!value_->IsArray()) throw wrong_type("an array");
  out.reserve(value_->Size());
  for (const JsonValue& item : value_->GetArray()) {
    out.emplace_back(Reader(*document_, item).text());
  }
  return out;
}

std::int64_t Reader::signed_integer(std::int64_t low, std::int64_t high) const {
  if (!is_whole(*value_)) throw wrong_type("a whole number");
  if (!value_->IsInt64() || value_->GetInt64() < low || value_->GetInt64() > high) {
    throw error(not_within(shown(), low, high));
  }
  return value_->GetInt64();
}

std::uint64_t Reader::unsigned_integer(std::uint64_t low, std::uint64_t high) const {
  if (!is_whole(*value_)) throw wrong_type("a whole number");
  if (!value_->IsUint64() || value_->GetUint64() < low || value_->GetUint64() > high) {
    throw error(not_within(shown(), low, high));
  }
  return value_->GetUint64();
}

std::string Reader::string_or(std::string_view key, std::string_view otherwise) const {
  const std::optional<Reader> member = find(key);
  return member ? member->string() : std::string(otherwise);
}

bool Reader::boolean_or(std::string_view key, bool otherwise) const {
  const std::optional<Reader> member = find(key);
  return member ? member->boolean() : otherwise;
}

std::vector<std::string> Reader::strings_or_none(std::string_view key) const {
  const std::optional<Reader> member = find(key);
  return member ? member->strings() : std::vector<std::string>{};
}

bool Reader::asks_nothing() const {
  return is_empty(*value_);
}

void Reader::refuse(std::string_view key, std::string_view why) const {
  const std::optional<Reader> member = find(key);
  if (!member || member->asks_nothing()) return;
  throw member->error(fmt::format("not supported: {} (found {})", why, member->shown()),
                      ErrorKind::unsupported);
}

std::string Reader::pointer() const {
  return document_->pointer_of(*value_);
}

Error Reader::error(std::string_view text, ErrorKind kind) const {
  const std::string where = pointer();
  Error out(kind,
            fmt::format("{}{}{}: {}", document_->name(), where.empty() ? "" : " ", where, text));
  out.set_field(where);
  return out;
}

std::string Reader::json() const {
  JsonText text;
  JsonLine writer(text);
  value_->Accept(writer);
  return {text.GetString(), text.GetSize()};
}

std::string Reader::shown() const {
  std::string text = json();
  if (text.size() <= kShownLength) return text;
  std::size_t end = kShownLength;
  // Bytes 10xxxxxx go on with a character of UTF-8, which is not cut.
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return text.substr(0, end) + "…";
}

std::string Reader::unknown(std::string_view what, std::string_view text) {
  return fmt::format("unknown {} \"{}\"", what, text);
}

Error Reader::wrong_type(std::string_view expected) const {
  return error(fmt::format("expected {}, found {}", expected, shown()));
}

}  // namespace tare::spec
