#include "spec/writer.hpp"

#include <variant>

#include "spec/json_library.hpp"
#include "spec/utf8.hpp"

namespace tare::spec {
namespace {

rapidjson::SizeType size_of(std::string_view text) {
  return static_cast<rapidjson::SizeType>(text.size());
}

}  // namespace

// The library's writer of either form.
class Writer::Library {
 public:
  explicit Library(Form form) {
    if (form == Form::line) {
      writer_.emplace<JsonLine>(out_);
    } else {
      writer_.emplace<JsonLines>(out_).SetIndent(' ', 2);
    }
  }

  // `body` is given the writer, of whichever form it is.
  template <typename Body>
  void write(Body&& body) {
    if (JsonLine* const line = std::get_if<JsonLine>(&writer_)) return body(*line);
    if (JsonLines* const indented = std::get_if<JsonLines>(&writer_)) body(*indented);
  }

  void name(std::string_view name) {
    write([&](auto& out) { out.Key(name.data(), size_of(name)); });
  }

  void text(std::string_view text) {
    if (find_ill_formed(text)) {
      const std::string better = mended(text);
      return write([&](auto& out) { out.String(better.data(), size_of(better)); });
    }
    write([&](auto& out) { out.String(text.data(), size_of(text)); });
  }

  std::string written() const { return {out_.GetString(), out_.GetSize()}; }

 private:
  JsonText out_{};
  std::variant<std::monostate, JsonLine, JsonLines> writer_{};
};

Writer::Writer(Form form) : library_(std::make_unique<Library>(form)) {
  library_->write([](auto& out) { out.StartObject(); });
}

Writer::~Writer() = default;

void Writer::add(std::string_view name, std::string_view text) {
  library_->name(name);
  library_->text(text);
}

void Writer::add(std::string_view name, const std::vector<std::string>& texts) {
  library_->name(name);
  library_->write([](auto& out) { out.StartArray(); });
  for (const std::string& text : texts) library_->text(text);
  library_->write([](auto& out) { out.EndArray(); });
}

void Writer::add(std::string_view name, const std::map<std::string, std::string>& texts) {
  begin(name);
  for (const auto& [key, text] : texts) add(key, text);
  end();
}

void Writer::add_boolean(std::string_view name, bool value) {
  library_->name(name);
  library_->write([&](auto& out) { out.Bool(value); });
}

void Writer::add_signed(std::string_view name, std::int64_t value) {
  library_->name(name);
  library_->write([&](auto& out) { out.Int64(value); });
}

void Writer::add_unsigned(std::string_view name, std::uint64_t value) {
  library_->name(name);
  library_->write([&](auto& out) { out.Uint64(value); });
}

void Writer::begin(std::string_view name) {
  library_->name(name);
  library_->write([](auto& out) { out.StartObject(); });
}

void Writer::end() {
  library_->write([](auto& out) { out.EndObject(); });
}

std::string Writer::finish() {
  end();
  return library_->written();
}

}  // namespace tare::spec
