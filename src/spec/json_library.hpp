/// The library that reads JSON, and writes what is written often: RapidJSON, as all of this
/// directory includes it. Not for others: they have a Reader and a Writer.
#pragma once

#include <rapidjson/rapidjson.h>

// A broken promise ends the program at once. The library's own assert() would put the text of each
// promise into the binary.
#undef RAPIDJSON_ASSERT
#define RAPIDJSON_ASSERT(promise) ((promise) ? static_cast<void>(0) : __builtin_trap())

#include <rapidjson/document.h>
#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>
#include <string_view>

#include "spec/reader.hpp"

namespace tare::spec {

/// Where the library's memory comes from: the program's (sys/heap.hpp), and not from malloc beside
/// it. Made after the library's own (its concept Allocator).
class JsonMemory {
 public:
  // NOLINTBEGIN(readability-identifier-naming): the library's names
  static constexpr bool kNeedFree = true;
  static void* Malloc(std::size_t size) { return size == 0 ? nullptr : ::operator new(size); }
  static void* Realloc(void* block, std::size_t size, std::size_t wanted) {
    void* const other = Malloc(wanted);
    if (size != 0 && wanted != 0) std::memcpy(other, block, std::min(size, wanted));
    Free(block);
    return other;
  }
  static void Free(void* block) noexcept { ::operator delete(block); }
  // NOLINTEND(readability-identifier-naming)
};

using JsonPool = rapidjson::MemoryPoolAllocator<JsonMemory>;
using JsonTree = rapidjson::GenericDocument<rapidjson::UTF8<>, JsonPool, JsonMemory>;
using JsonParser = rapidjson::GenericReader<rapidjson::UTF8<>, rapidjson::UTF8<>, JsonMemory>;
using JsonText = rapidjson::GenericStringBuffer<rapidjson::UTF8<>, JsonMemory>;
using JsonLine = rapidjson::Writer<JsonText, rapidjson::UTF8<>, rapidjson::UTF8<>, JsonMemory>;
using JsonLines =
    rapidjson::PrettyWriter<JsonText, rapidjson::UTF8<>, rapidjson::UTF8<>, JsonMemory>;

/// Of a value that is a string, or of a name. Valid as long as the value.
inline std::string_view text_of(const JsonValue& string) {
  return {string.GetString(), string.GetStringLength()};
}

}  // namespace tare::spec
