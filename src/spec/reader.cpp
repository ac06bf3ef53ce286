#include "spec/reader.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace tare::spec {
namespace {

// A value in an error is there to be recognised, not to be read in full.
constexpr std::size_t kShownLength = 60;

bool is_empty(const nlohmann::json& value) {
  switch (value.type()) {
    case nlohmann::json::value_t::null:
      return true;
    case nlohmann::json::value_t::boolean:
      return !value.get<bool>();
    case nlohmann::json::value_t::string:
      return value.get_ref<const std::string&>().empty();
    case nlohmann::json::value_t::number_integer:
    case nlohmann::json::value_t::number_unsigned:
    case nlohmann::json::value_t::number_float:
      return value == 0;
    case nlohmann::json::value_t::array:
    case nlohmann::json::value_t::object:
      return std::all_of(value.begin(), value.end(), is_empty);
    case nlohmann::json::value_t::binary:
    case nlohmann::json::value_t::discarded:
      return false;
  }
  return false;
}

template <typename T>
std::string not_within(const std::string& shown, T low, T high) {
  return fmt::format("{} is not within {} and {}", shown, low, high);
}

}  // namespace

std::optional<Reader> Reader::find(std::string_view key) const {
  if (!value_->is_object()) throw wrong_type("an object");
  const auto member = value_->find(key);
  if (member == value_->end()) return std::nullopt;
  document_->note(*member);
  if (member->is_null()) return std::nullopt;
  return Reader(*document_, *member);
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
  if (!value_->is_object()) throw wrong_type("an object");
  std::vector<std::pair<std::string, Reader>> out;
  out.reserve(value_->size());
  for (auto member = value_->begin(); member != value_->end(); ++member) {
    if (member.key().find('\0') != std::string::npos) {
      throw error("a name must not hold a NUL character");
    }
    document_->note(member.value());
    out.emplace_back(member.key(), Reader(*document_, member.value()));
  }
  return out;
}

std::vector<Reader> Reader::items() const {
  if (!value_->is_array()) throw wrong_type("an array");
  std::vector<Reader> out;
  out.reserve(value_->size());
  for (const nlohmann::json& item : *value_) out.emplace_back(*document_, item);
  return out;
}

std::string Reader::string() const {
  if (!value_->is_string()) throw wrong_type("a string");
  const auto& text = value_->get_ref<const std::string&>();
  if (text.find('\0') != std::string::npos) throw error("a string must not hold a NUL character");
  return text;
}

bool Reader::boolean() const {
  if (!value_->is_boolean()) throw wrong_type("true or false");
  return value_->get<bool>();
}

std::vector<std::string> Reader::strings() const {
  std::vector<std::string> out;
  for (const Reader& item : items()) out.push_back(item.string());
  return out;
}

std::int64_t Reader::signed_integer(std::int64_t low, std::int64_t high) const {
  if (!value_->is_number_integer()) throw wrong_type("a whole number");
  const bool fits =
      !value_->is_number_unsigned() || std::in_range<std::int64_t>(value_->get<std::uint64_t>());
  const auto number = value_->get<std::int64_t>();
  if (!fits || number < low || number > high) throw error(not_within(shown(), low, high));
  return number;
}

std::uint64_t Reader::unsigned_integer(std::uint64_t low, std::uint64_t high) const {
  if (!value_->is_number_integer()) throw wrong_type("a whole number");
  const bool fits = value_->is_number_unsigned() || value_->get<std::int64_t>() >= 0;
  const auto number = value_->get<std::uint64_t>();
  if (!fits || number < low || number > high) throw error(not_within(shown(), low, high));
  return number;
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
  return value_->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
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
