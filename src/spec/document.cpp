// Speed counts here as nowhere else: a Docker config is 12 KiB, and reading it was a fifth of what
// the runtime's own code takes for a start. The rest of the program is compiled for size.
#pragma GCC optimize("O2")

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "spec/json_library.hpp"
#include "spec/reader.hpp"
#include "spec/utf8.hpp"

namespace tare::spec {
namespace {

// No field of the specification nests deeper than 8; without a bound, a hostile text could use up
// the stack of whatever walks the tree, and of the library, which reads by recursion.
constexpr std::size_t kMaxDepth = 64;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

struct Position {
  std::size_t line = 1;
  std::size_t column = 1;
};

Position position_of(std::string_view text, std::size_t offset) {
  Position at;
  for (const char c : text.substr(0, offset)) {
    ++at.column;
    if (c == '\n') at = {.line = at.line + 1, .column = 1};
  }
  return at;
}

// The library's own words, which quote nothing of the text, as the end of a sentence of ours.
std::string reason_of(rapidjson::ParseErrorCode code, char found) {
  if (code == rapidjson::kParseErrorTermination) {
    return fmt::format("nested deeper than {}", kMaxDepth);
  }
  // To the library it is an escape that is not one.
  if (code == rapidjson::kParseErrorStringEscapeInvalid && found != '\\') {
    return "a control character in a string, which must be escaped";
  }
  std::string reason = rapidjson::GetParseError_En(code);
  reason.front() = static_cast<char>(reason.front() - 'A' + 'a');
  reason.pop_back();
  return reason;
}

// The library would take 64 KiB for even the smallest text, each time on pages that nothing else is
// on.
struct Pool {
  JsonPool pool{1024};
};

}  // namespace

// The library's tree, with a bound to its depth.
class Document::Tree : Pool, public JsonTree {
 public:
  // What is read and not yet in the tree: of Docker's config, at most half of the text's length.
  explicit Tree(std::size_t length) : JsonTree(&pool, length / 2) {}

  rapidjson::ParseResult parse(const char* text) {
    rapidjson::ParseResult result;
    const auto feed = [&](JsonTree&) {
      rapidjson::StringStream stream(text);
      JsonParser reader;
      result = reader.Parse(stream, *this);
      return !result.IsError();
    };
    Populate(feed);
    return result;
  }

  // What the library calls as it reads, in place of its own of these names.
  bool StartObject() { return ++depth_ <= kMaxDepth && JsonTree::StartObject(); }
  bool StartArray() { return ++depth_ <= kMaxDepth && JsonTree::StartArray(); }
  bool EndObject(rapidjson::SizeType members) {
    --depth_;
    return JsonTree::EndObject(members);
  }
  bool EndArray(rapidjson::SizeType elements) {
    --depth_;
    return JsonTree::EndArray(elements);
  }

 private:
  std::size_t depth_ = 0;
};

namespace {

// RFC 6901 writes "~" and "/" within a name as ~0 and ~1.
void add_name(std::string& path, std::string_view name) {
  path += '/';
  for (const char c : name) path += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
}

// In the order of their names, as members() gives them.
std::vector<const JsonValue::Member*> sorted(const JsonValue& object) {
  std::vector<const JsonValue::Member*> members;
  for (const JsonValue::Member& member : object.GetObject()) members.push_back(&member);
  std::ranges::sort(members, {}, [](const auto* member) { return text_of(member->name); });
  return members;
}

void find_ignored(const JsonValue& here, const std::set<const JsonValue*>& asked_for,
                  const std::string& path, std::vector<std::string>& out) {
  if (here.IsObject()) {
    for (const JsonValue::Member* member : sorted(here)) {
      std::string below = path;
      add_name(below, text_of(member->name));
      if (asked_for.count(&member->value) == 0) {
        out.push_back(std::move(below));
      } else {
        find_ignored(member->value, asked_for, below, out);
      }
    }
  } else if (here.IsArray()) {
    for (rapidjson::SizeType index = 0; index < here.Size(); ++index) {
      find_ignored(here[index], asked_for, fmt::format("{}/{}", path, index), out);
    }
  }
}

// Most of a Docker config's thousand values are texts, which need no visit.
bool has_values(const JsonValue& value) {
  return value.IsObject() || value.IsArray();
}

// Written as the search returns: most values that are passed on the way are not on the path.
bool find_path(const JsonValue& here, const JsonValue& wanted, std::string& path) {
  const auto leads_there = [&](const JsonValue& value) {
    return &value == &wanted || (has_values(value) && find_path(value, wanted, path));
  };
  if (here.IsObject()) {
    for (const JsonValue::Member& member : here.GetObject()) {
      if (!leads_there(member.value)) continue;
      std::string step;
      add_name(step, text_of(member.name));
      path.insert(0, step);
      return true;
    }
  } else if (here.IsArray()) {
    for (rapidjson::SizeType index = 0; index < here.Size(); ++index) {
      if (!leads_there(here[index])) continue;
      path.insert(0, fmt::format("/{}", index));
      return true;
    }
  }
  return false;
}

// A name that the object has more than once, or none. The library keeps both; where the object is
// small, as nearly all are, comparing each with each takes no memory.
std::optional<std::string_view> twice_in(const JsonValue& object) {
  constexpr rapidjson::SizeType kSmall = 16;
  if (object.MemberCount() > kSmall) {
    const std::vector<const JsonValue::Member*> members = sorted(object);
    const auto name = [](const auto* member) { return text_of(member->name); };
    const auto found = std::ranges::adjacent_find(members, {}, name);
    if (found == members.end()) return std::nullopt;
    return text_of((*found)->name);
  }
  for (auto one = object.MemberBegin(); one != object.MemberEnd(); ++one) {
    for (auto other = object.MemberBegin(); other != one; ++other) {
      if (text_of(one->name) == text_of(other->name)) return text_of(one->name);
    }
  }
  return std::nullopt;
}

}  // namespace

Document::Document(std::string name, const std::string& text)
    : name_(std::move(name)),
      top_(std::make_unique<Tree>(text.size())),
      has_escapes_(text.find('\\') != std::string::npos) {
  // The library takes a NUL for the end of the text, whatever follows.
  if (const std::size_t nul = text.find('\0'); nul != std::string::npos) {
    throw fault_at(text, nul, "a NUL byte");
  }
  if (const std::optional<std::size_t> at = find_ill_formed(text)) {
    throw fault_at(text, *at, "no UTF-8");
  }
  const std::size_t begin = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  const rapidjson::ParseResult result = top_->parse(text.c_str() + begin);
  if (result.IsError()) {
    const std::size_t at = begin + result.Offset();
    throw fault_at(text, at, reason_of(result.Code(), text.c_str()[at]));
  }
  refuse_duplicates(*top_);
}

void Document::refuse_duplicates(const JsonValue& here) const {
  if (here.IsObject()) {
    if (const std::optional<std::string_view> name = twice_in(here)) {
      throw Reader(*this, here).error(fmt::format("duplicate name \"{}\"", *name));
    }
    for (const JsonValue::Member& member : here.GetObject()) {
      if (has_values(member.value)) refuse_duplicates(member.value);
    }
  } else if (here.IsArray()) {
    for (const JsonValue& element : here.GetArray()) {
      if (has_values(element)) refuse_duplicates(element);
    }
  }
}

Error Document::fault_at(std::string_view text, std::size_t offset, std::string_view fault) const {
  const Position at = position_of(text, offset);
  return Error(ErrorKind::spec,
               fmt::format("{}: line {}, column {}: {}", name_, at.line, at.column, fault));
}

// A tree is not taken down: it is of a process that ends soon. A sanitizer would call it a leak.
Document::~Document() {
#ifndef __SANITIZE_ADDRESS__
  static_cast<void>(top_.release());
#endif
}

Reader Document::top() const noexcept {
  return Reader(*this, *top_);
}

std::vector<std::string> Document::ignored() const {
  std::vector<std::string> out;
  if (asked_for_) find_ignored(*top_, *asked_for_, "", out);
  return out;
}

std::string Document::pointer_of(const JsonValue& value) const {
  std::string path;
  find_path(*top_, value, path);
  return path;
}

}  // namespace tare::spec
