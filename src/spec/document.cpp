// Speed counts here as nowhere else: a Docker config is 12 KiB, and reading it was a fifth of what
// the runtime's own code takes for a start. The rest of the program is compiled for size.
#pragma GCC optimize("O2")

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <set>

#include "spec/reader.hpp"

namespace tare::spec {
namespace {

using nlohmann::json;

// No field of the specification nests deeper than 8; without a bound, a hostile text could use up
// the stack of whatever later walks the tree.
constexpr std::size_t kMaxDepth = 64;

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

// The library says "[json.exception.parse_error.101] parse error at line 1, column 2: what; last
// read: 'token'". The position is told by ours; the token may be as long as the text and is not
// quoted, nor need it be UTF-8.
std::string reason_of(std::string_view text) {
  const auto drop_through = [&text](std::string_view end) {
    const std::size_t at = text.find(end);
    if (at != std::string_view::npos) text.remove_prefix(at + end.size());
  };
  drop_through("] ");
  if (text.starts_with("parse error")) drop_through(": ");
  for (const std::string_view token : {"; last read: ", " parsing '"}) {
    text = text.substr(0, text.find(token));
  }
  return std::string(text);
}

// Builds the tree as the library's own handler does, and refuses duplicate names on the way: the
// default handler keeps the last one in silence.
class Builder : public nlohmann::json_sax<json> {
 public:
  explicit Builder(json& top) : top_(top) {}

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(json::object()); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    const auto [member, is_new] = stack_.back()->emplace(name, nullptr);
    if (!is_new) return refuse(fmt::format("duplicate name \"{}\"", name));
    slot_ = &member.value();
    return true;
  }

  bool parse_error(std::size_t offset, const std::string&,
                   const nlohmann::detail::exception& exception) override {
    offset_ = offset;
    return refuse(reason_of(exception.what()));
  }

  const std::string& fault() const { return fault_; }
  std::optional<std::size_t> offset() const { return offset_; }
  // The innermost container that was being read.
  const json& container() const { return stack_.empty() ? top_ : *stack_.back(); }

 private:
  template <typename Value>
  bool add(Value&& value) {
    place(json(std::forward<Value>(value)));
    return true;
  }

  json& place(json value) {
    json* target = &top_;
    if (slot_ != nullptr) {
      target = std::exchange(slot_, nullptr);
    } else if (!stack_.empty()) {
      target = &stack_.back()->emplace_back(nullptr);
    }
    *target = std::move(value);
    return *target;
  }

  bool open(json container) {
    if (stack_.size() == kMaxDepth) return refuse(fmt::format("nested deeper than {}", kMaxDepth));
    stack_.push_back(&place(std::move(container)));
    return true;
  }

  bool close() {
    stack_.pop_back();
    return true;
  }

  bool refuse(std::string fault) {
    fault_ = std::move(fault);
    return false;
  }

  json& top_;
  std::vector<json*> stack_;
  json* slot_ = nullptr;
  std::string fault_;
  std::optional<std::size_t> offset_;
};

// RFC 6901 writes "~" and "/" within a name as ~0 and ~1.
void add_name(std::string& path, const std::string& name) {
  path += '/';
  for (const char c : name) path += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
}

void find_ignored(const json& here, const std::set<const json*>& asked_for, const std::string& path,
                  std::vector<std::string>& out) {
  std::size_t index = 0;
  for (auto child = here.begin(); here.is_structured() && child != here.end(); ++child, ++index) {
    std::string below = path;
    if (here.is_object()) {
      add_name(below, child.key());
    } else {
      below += fmt::format("/{}", index);
    }
    if (here.is_object() && asked_for.count(&*child) == 0) {
      out.push_back(std::move(below));
    } else {
      find_ignored(*child, asked_for, below, out);
    }
  }
}

// Written as the search returns: most values that are passed on the way are not on the path, and a
// Docker config has a thousand of them.
bool find_path(const json& here, const json& wanted, std::string& path) {
  if (&here == &wanted) return true;
  if (const auto* members = here.get_ptr<const json::object_t*>()) {
    for (const auto& [name, member] : *members) {
      if (!find_path(member, wanted, path)) continue;
      std::string step;
      add_name(step, name);
      path.insert(0, step);
      return true;
    }
  } else if (const auto* items = here.get_ptr<const json::array_t*>()) {
    for (std::size_t index = 0; index < items->size(); ++index) {
      if (!find_path((*items)[index], wanted, path)) continue;
      path.insert(0, fmt::format("/{}", index));
      return true;
    }
  }
  return false;
}

}  // namespace

Document::Document(std::string name, std::string_view text)
    : name_(std::move(name)), top_(std::make_unique<json>()) {
  // The library takes a NUL for the end of the text, whatever follows.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    throw fault_at(text, nul, "a NUL byte");
  }
  Builder builder(*top_);
  if (json::sax_parse(text, &builder)) return;
  if (!builder.offset()) throw Reader(*this, builder.container()).error(builder.fault());
  throw fault_at(text, *builder.offset() == 0 ? 0 : *builder.offset() - 1, builder.fault());
}

Error Document::fault_at(std::string_view text, std::size_t offset, std::string_view fault) const {
  const Position at = position_of(text, offset);
  return Error(ErrorKind::spec,
               fmt::format("{}: line {}, column {}: {}", name_, at.line, at.column, fault));
}

// A tree is not taken down: that takes a third as long as to build it, of a process that ends soon.
// A sanitizer would call it a leak.
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

std::string Document::pointer_of(const nlohmann::json& value) const {
  std::string path;
  find_path(*top_, value, path);
  return path;
}

}  // namespace tare::spec
